"""When the caller has finished: the detector's trailing edge and the recogniser's final words."""

from __future__ import annotations

from difflib import SequenceMatcher

import attrs

from .._text.words import normalise, split_words
from ..events import EouTrigger, Transcript

# Two of three words: an interim result and its final differ in less.
_ALIKE = 0.6

__all__ = ["Endpointing", "EndpointingSettings", "Utterance"]


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
    """

    min_delay: float = 0.1
    max_delay: float = 1.5
    noise_after: float = 4.0
    owed_for: float = 10.0
    duplicate_within: float = 2.0


@attrs.frozen
class Utterance:
    """What the caller said, committed. ``text`` is empty when there was speech but no words.

    ``turn_idx`` counts the utterances with words of a call, from 1; an empty one has that of the last.
    """

    text: str
    trigger: EouTrigger = "vad_silence"
    speech_started: float | None = None
    speech_ended: float | None = None
    trailing_silence: float = 0.0
    final_at: float | None = None
    committed_at: float = 0.0
    turn_idx: int = 0


class Endpointing:
    """Collects edges and results of one call and says when an utterance is complete.

    Feed what happens, ask :attr:`deadline` how long to wait for the next thing, and :meth:`poll` after each.
    """

    def __init__(self, settings: EndpointingSettings | None = None) -> None:
        self._settings = settings or EndpointingSettings()
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

    def speech_started(self, now: float) -> None:
        """The detector's positive edge: whatever was about to be committed goes on."""
        self._speaking = True
        self._complete = False
        if self._started is None:
            self._started = now

    def speech_ended(self, now: float, trailing_silence: float = 0.0) -> None:
        """The detector's trailing edge, which comes ``trailing_silence`` seconds after the last sound."""
        self._speaking = False
        self._ended = now
        self._silence = trailing_silence

    def transcript(self, result: Transcript, now: float) -> None:
        """A result of the recogniser, interim or final."""
        self._result_at = now
        text = result.text.strip()
        if self._owed is not None and now - self._last_commit > self._settings.owed_for:
            self._owed = None
        if not result.is_final:
            self._interim = text if self._owed is None else self._beyond(text)[0]
            return
        if self._owed is not None:
            # Results come in order: this is the final of words that were committed without waiting for it.
            text, self._owed = self._beyond(text)
            if text:
                self._add(text, now, whole=self._started is None)
            return
        self._interim = ""
        if text and self._is_repetition(text, now):
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

    def _is_repetition(self, text: str, now: float) -> bool:
        """A final that follows no new speech and says what was just committed."""
        quiet = self._started is None and not self._finals
        recent = now - self._last_commit <= self._settings.duplicate_within
        return quiet and recent and normalise(text) == normalise(self._last_text)

    @property
    def text(self) -> str:
        """The words so far, the latest interim ones included."""
        return " ".join([*self._finals, self._interim] if self._interim else self._finals)

    @property
    def deadline(self) -> float:
        """When :meth:`poll` may have something without anything else happening; infinite for never."""
        if self._speaking and not self._complete:
            # Final words, and then a "voice" in which nobody understands anything: that is not the caller.
            return self._result_at + self._settings.noise_after if self._finals else float("inf")
        if self._complete and self._speaking:
            return (self._final_at or 0.0) + self._settings.min_delay
        if self._complete:
            return (
                self._ended if self._ended is not None else self._final_at or 0.0
            ) + self._settings.min_delay
        if self._ended is not None:
            return self._ended + self._settings.max_delay
        return float("inf")

    def poll(self, now: float) -> Utterance | None:
        """The utterance, if it is complete by ``now``; it is then forgotten here."""
        if now < self.deadline:
            return None
        utterance = Utterance(
            text=self.text,
            speech_started=self._started,
            speech_ended=self._ended,
            trailing_silence=self._silence,
            final_at=self._final_at,
            committed_at=now,
        )
        # A recogniser that was not waited for still owes the final of what it heard.
        if not self._complete:
            self._owed = " ".join(filter(None, [self._owed, self._interim]))
        if utterance.text:
            self._last_text, self._last_commit = utterance.text, now
        self._finals, self._interim = [], ""
        self._started = self._ended = self._final_at = None
        self._complete = False
        self._silence = 0.0
        return utterance
