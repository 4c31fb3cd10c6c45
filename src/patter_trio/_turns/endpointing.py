"""When the caller has finished: the detector's trailing edge and the recogniser's final words."""

from __future__ import annotations

import attrs

from .._text.words import normalise
from ..events import EouTrigger, Transcript

__all__ = ["Endpointing", "EndpointingSettings", "Utterance"]


@attrs.frozen
class EndpointingSettings:
    """How long to wait, in seconds after the detector's trailing edge.

    Args:
        min_delay: nothing is committed earlier, even when the final words are there.
        max_delay: what is there by then is committed without waiting for a final result.
        duplicate_within: a final result equal to the utterance committed this long ago is a repetition of
            the recogniser, not of the caller.
    """

    min_delay: float = 0.1
    max_delay: float = 1.5
    duplicate_within: float = 2.0


@attrs.frozen
class Utterance:
    """What the caller said, committed. ``text`` is empty when there was speech but no words."""

    text: str
    trigger: EouTrigger = "vad_silence"
    speech_started: float | None = None
    speech_ended: float | None = None
    trailing_silence: float = 0.0
    final_at: float | None = None
    committed_at: float = 0.0


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
        if not result.is_final:
            self._interim = result.text.strip()
            return
        text = result.text.strip()
        self._interim = ""
        if text and not self._finals and self._is_repetition(text, now):
            return
        if text:
            self._finals.append(text)
        if text or self._ended is not None:
            self._final_at = now
            # While the caller speaks on, a final result is a part; after the edge it is the whole.
            self._complete = not self._speaking

    def _is_repetition(self, text: str, now: float) -> bool:
        recent = now - self._last_commit <= self._settings.duplicate_within
        return recent and not self._speaking and normalise(text) == normalise(self._last_text)

    @property
    def text(self) -> str:
        """The words so far, the latest interim ones included."""
        return " ".join([*self._finals, self._interim] if self._interim else self._finals)

    @property
    def deadline(self) -> float:
        """When :meth:`poll` may have something without anything else happening; infinite for never."""
        if self._speaking:
            return float("inf")
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
        if utterance.text:
            self._last_text, self._last_commit = utterance.text, now
        self._finals, self._interim = [], ""
        self._started = self._ended = self._final_at = None
        self._complete = False
        self._silence = 0.0
        return utterance
