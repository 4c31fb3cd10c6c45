"""When the caller has finished: the detector's trailing edge, the final words, and what they mean."""

from __future__ import annotations

from difflib import SequenceMatcher

import attrs

from .._text.words import normalise, split_words
from ..events import EouTrigger, Transcript
from .pauses import Pauses

# Two of three words: an interim result and its final differ in less.
_ALIKE = 0.6

# Speech that begins again so soon after a commit was a pause; an answer is hardly heard before it.
_RESUMES_WITHIN = 0.6

__all__ = ["CallerWords", "Endpointing", "EndpointingSettings", "Utterance"]


@attrs.frozen
class EndpointingSettings:
    """How long to wait, in seconds after the detector's trailing edge.

    Args:
        min_delay: nothing is committed earlier, even when the final words are there.
        max_delay: what is there by then is committed without waiting for a final result.
        noise_after: seconds without any result after final words, in which the detector still hears a voice,
            that make that voice a noise.
        owed_for: seconds for which the final of words that were committed without it may still come.
        duplicate_within: a final result equal to the utterance committed this long ago is a repetition of
            the recogniser, not of the caller.
        prefix_within: the same for a final result that begins as that utterance did, or is its beginning.
        adaptive: learn from the caller's pauses how long to wait, between ``min_delay`` and ``max_delay``.
        semantic_hold: how long after the trailing edge a turn detector may hold an utterance open; 0 where
            there is none.
        semantic_every: seconds of silence between two questions to it.
    """

    min_delay: float = 0.1
    max_delay: float = 1.5
    noise_after: float = 4.0
    owed_for: float = 10.0
    duplicate_within: float = 2.0
    prefix_within: float = 0.5
    adaptive: bool = False
    semantic_hold: float = 0.0
    semantic_every: float = 0.2


@attrs.frozen
class CallerWords:
    """The words of the running utterance, as of the latest result: a level.

    ``serial`` counts the results; ``is_final`` is that of the latest one. ``committed`` says that the
    utterance was committed since then, so that nothing more will be added to these words.
    """

    text: str = ""
    is_final: bool = False
    serial: int = 0
    committed: bool = False


@attrs.frozen
class Utterance:
    """What the caller said, committed. ``text`` is empty when there was speech but no words.

    ``turn_idx`` counts the utterances with words of a call, from 1; an empty one has that of the last. What
    ``has_keys`` holds keys that the caller has pressed, which are never just a sign of listening. What is
    ``unworded`` was spoken, and its words are not known yet: an engine has the sound.
    """

    text: str
    trigger: EouTrigger = "vad_silence"
    speech_started: float | None = None
    speech_ended: float | None = None
    trailing_silence: float = 0.0
    final_at: float | None = None
    committed_at: float = 0.0
    turn_idx: int = 0
    has_keys: bool = False
    unworded: bool = False

    @property
    def says_something(self) -> bool:
        """Whether there is anything in it to be answered."""
        return bool(self.text) or self.unworded


class Endpointing:
    """Collects edges and results of one call and says when an utterance is complete.

    Feed what happens, ask :attr:`deadline` how long to wait for the next thing, and :meth:`poll` after each.
    """

    def __init__(self, settings: EndpointingSettings | None = None) -> None:
        self._settings = settings or EndpointingSettings()
        self._pauses = Pauses(self._settings.min_delay, self._settings.max_delay)
        self._finals: list[str] = []
        self._interim = ""
        self._speaking = False
        self._started: float | None = None
        self._ended: float | None = None
        self._silence = 0.0
        self._final_at: float | None = None
        self._complete = False
        self._result_at = 0.0
        self._owed: str | None = None
        self._last_text = ""
        self._last_commit = float("-inf")
        self._last_sound: float | None = None
        self._manual = False
        self._semantic = self._settings.semantic_hold > 0
        self._edges = 0
        self._ask_at = float("inf")
        self._finished = False

    def speech_started(self, now: float) -> None:
        """The detector's positive edge: whatever was about to be committed goes on."""
        if self._last_sound is not None and (
            self._ended is not None or now - self._last_commit <= _RESUMES_WITHIN
        ):
            self._pauses.paused(now - self._last_sound)
        elif self._last_text:
            self._pauses.finished()
        self._speaking = True
        self._complete = False
        self._no_verdict(float("inf"))
        if self._started is None:
            self._started = now

    def speech_ended(self, now: float, trailing_silence: float = 0.0) -> None:
        """The detector's trailing edge, which comes ``trailing_silence`` seconds after the last sound."""
        self._speaking = False
        self._ended = now
        self._silence = trailing_silence
        self._last_sound = now - trailing_silence
        self._no_verdict(now)

    def _no_verdict(self, ask_at: float) -> None:
        self._edges += 1
        self._finished = False
        self._ask_at = ask_at if self._semantic else float("inf")

    def ask(self, now: float) -> int | None:
        """Whether the turn detector is to be asked now, and if so, the name of this silence."""
        if now < self._ask_at or self._ended is None:
            return None
        self._ask_at = now + self._settings.semantic_every
        if self._ask_at >= self._ended + self._settings.semantic_hold:
            self._ask_at = float("inf")
        return self._edges

    def judged(self, silence: int, finished: bool | None) -> None:
        """The turn detector's verdict on a silence; ``None`` for a detector that is no longer believed."""
        if finished is None:
            self._semantic = False
            self._ask_at = float("inf")
        elif silence == self._edges and finished:
            self._finished = True
            self._ask_at = float("inf")

    def commit(self) -> None:
        """Somebody else knows that the caller has finished: what is there is taken now."""
        self._manual = bool(self.text) or self._ended is not None

    def transcript(self, result: Transcript, now: float) -> None:
        """A result of the recogniser, interim or final."""
        self._result_at = now
        text = result.text.strip()
        if self._owed is not None and now - self._last_commit > self._settings.owed_for:
            self._owed = None
        if not result.is_final:
            self._interim = text if self._owed is None else self._beyond(text)[0]
            if self._interim:
                # The final before it was of an earlier part: another one is on its way.
                self._complete = False
            return
        self._interim = ""
        if self._owed is not None:
            # Results come in order: this is the final of words that were committed without waiting for it.
            text, self._owed = self._beyond(text)
            if text:
                self._add(text, now, whole=self._started is None)
            return
        if text:
            text = self._fresh(text, now)
            if not text:
                return
        # While the caller speaks on, a final result is a part, unless the recogniser heard the end itself
        # (the detector may hear a voice in the background); after the edge it is the whole.
        self._add(text, now, whole=not self._speaking or (result.speech_final and not result.from_finalize))

    def _add(self, text: str, now: float, *, whole: bool) -> None:
        if text:
            self._finals.append(text)
        if text or self._ended is not None:
            self._final_at = now
            self._complete = whole

    def _beyond(self, text: str) -> tuple[str, str | None]:
        """What a result says beyond the words it owes, and which of those it still owes.

        The two may differ in a word or two: a recogniser corrects itself. Alike for the most part, they are
        the same words.
        """
        known = split_words(self._owed or "")
        before, after, words = normalise(" ".join(known)).split(), normalise(text).split(), split_words(text)
        if not before:
            return text, None
        if before[: len(after)] == after and len(known) == len(before):
            return "", " ".join(known[len(after) :]) or None
        if after[: len(before)] == before and len(words) == len(after):
            return " ".join(words[len(before) :]), None
        return ("" if SequenceMatcher(None, before, after).ratio() >= _ALIKE else text), None

    def _fresh(self, text: str, now: float) -> str:
        """What of a final is new, where it follows no new speech and repeats what was just committed."""
        age = now - self._last_commit
        if self._started is not None or self._finals or age > self._settings.duplicate_within:
            return text
        said, known = normalise(text), normalise(self._last_text)
        if said == known:
            return ""
        if age <= self._settings.prefix_within:
            if f"{known} ".startswith(f"{said} "):
                return ""
            if f"{said} ".startswith(f"{known} ") and len(said.split()) == len(split_words(text)):
                return " ".join(split_words(text)[len(known.split()) :])
        return text

    @property
    def text(self) -> str:
        """The words so far, the latest interim ones included."""
        return " ".join([*self._finals, self._interim] if self._interim else self._finals)

    @property
    def deadline(self) -> float:
        """When :meth:`poll` may have something without anything else happening; infinite for never."""
        if self._manual:
            return float("-inf")
        if self._speaking and not self._complete:
            # Final words, and then a "voice" in which nobody understands anything: that is not the caller.
            return self._result_at + self._settings.noise_after if self._finals else float("inf")
        if self._complete and self._speaking:
            return (self._final_at or 0.0) + self._min_delay
        if self._ended is None:
            return (self._final_at or 0.0) + self._min_delay if self._complete else float("inf")
        due = self._ended + (self._min_delay if self._complete else self._settings.max_delay)
        held = self._semantic and not self._finished
        return max(due, self._ended + self._settings.semantic_hold) if held else due

    @property
    def _min_delay(self) -> float:
        return self._pauses.delay(self._silence) if self._settings.adaptive else self._settings.min_delay

    @property
    def wake_at(self) -> float:
        """When to look again: the deadline, or the next question to the turn detector."""
        return min(self.deadline, self._ask_at)

    def poll(self, now: float) -> Utterance | None:
        """The utterance, if it is complete by ``now``; it is then forgotten here."""
        if now < self.deadline:
            return None
        utterance = Utterance(
            text=self.text,
            trigger=self._trigger,
            speech_started=self._started,
            speech_ended=self._ended,
            trailing_silence=self._silence,
            final_at=self._final_at,
            committed_at=now,
        )
        # A recogniser that was not waited for still owes the final of what it heard.
        if not self._complete or self._interim:
            self._owed = " ".join(filter(None, [self._owed, self._interim]))
        if utterance.text:
            self._last_text, self._last_commit = utterance.text, now
        self._finals, self._interim = [], ""
        self._started = self._ended = self._final_at = None
        self._complete = self._manual = False
        self._silence = 0.0
        self._no_verdict(float("inf"))
        return utterance

    @property
    def _trigger(self) -> EouTrigger:
        if self._manual:
            return "manual_commit"
        return "semantic_turn_detector" if self._finished else "vad_silence"
