"""Parts of what a recogniser understood become utterances, and each end of speech gets its answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ..events import Transcript, Word
from .recognizer import Cue, Said

__all__ = ["Utterances"]

# Words that are known are on their way: their final is worth more patience than one that may never come.
_WORDS_PENDING = 1.0


class Utterances:
    """One connection's results as the call takes them.

    Parts are collected, and shown as interim results, until the far end says that the utterance is over: then
    comes one final transcript. Each :meth:`ask` is answered by one that says ``from_finalize``. Some vendors
    answer nothing when nothing was buffered; then an empty one is given after ``answer_within`` seconds. A
    final that comes later is passed on.

    Args:
        joint: what stands between two parts.
        answer_within: seconds for the answer where no words are known that it could have.
    """

    def __init__(self, joint: str, answer_within: float) -> None:
        self._joint = joint
        self._answer_within = answer_within
        self._parts: list[Transcript] = []
        self._interim: Transcript | None = None
        self._asked: deque[float] = deque()

    @property
    def asked(self) -> bool:
        """Whether an answer is due."""
        return bool(self._asked)

    @property
    def deadline(self) -> float:
        """When :meth:`poll` gives an answer that has not come; infinite for never."""
        if not self._asked:
            return float("inf")
        pending = self._interim is not None or bool(self._parts)
        return self._asked[0] + (max(self._answer_within, _WORDS_PENDING) if pending else self._answer_within)

    def ask(self, now: float) -> None:
        """The caller has stopped: the far end was asked for its final words."""
        self._asked.append(now)

    def hear(self, said: Said) -> Iterable[Transcript]:
        """What the call is given for something that the far end said."""
        if isinstance(said, Cue):
            if said is Cue.FINALISED or (said is Cue.UTTERANCE_ENDED and self._parts):
                return self._conclude(finalised=said is Cue.FINALISED)
            return ()
        if not said.is_final:
            self._interim = said if said.text.strip() else None
            return (self._so_far(),) if self._interim else ()
        self._interim = None
        if said.text.strip():
            self._parts.append(said)
        if said.speech_final or said.from_finalize:
            return self._conclude(finalised=said.from_finalize)
        return (self._so_far(),) if said.text.strip() else ()

    def poll(self, now: float) -> Iterable[Transcript]:
        """The answer that is due by ``now`` though the far end gave none; interim words are taken for it."""
        return self._take_all() if now >= self.deadline else ()

    def finish(self) -> Iterable[Transcript]:
        """The far end is done: what it had not ended yet."""
        return self._take_all() if self._asked or self._parts or self._interim else ()

    def _take_all(self) -> Iterable[Transcript]:
        if self._interim is not None:
            self._parts.append(self._interim)
            self._interim = None
        return self._conclude(finalised=True)

    def _conclude(self, *, finalised: bool) -> Iterable[Transcript]:
        if not self._parts and not (finalised and self._asked):
            return ()
        answers = bool(self._asked)
        if answers:
            self._asked.popleft()
        final = self._joined(self._parts, is_final=True, answers=answers)
        self._parts = []
        return (final,)

    def _so_far(self) -> Transcript:
        parts = [*self._parts, self._interim] if self._interim else self._parts
        return self._joined(parts, is_final=False, answers=False)

    def _joined(self, parts: list[Transcript], *, is_final: bool, answers: bool) -> Transcript:
        words: tuple[Word, ...] = tuple(word for part in parts for word in part.words)
        return Transcript(
            self._joint.join(part.text for part in parts).strip(),
            is_final=is_final,
            confidence=_confidence(parts),
            speech_final=is_final,
            from_finalize=answers,
            words=words,
        )


def _confidence(parts: Iterable[Transcript]) -> float | None:
    """The mean over the words of those parts that have one."""
    known = [(part.confidence, len(part.text.split())) for part in parts if part.confidence is not None]
    weight = sum(words for _, words in known)
    return sum(confidence * words for confidence, words in known) / weight if weight else None
