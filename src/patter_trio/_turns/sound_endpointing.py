"""When a caller has finished whose words are understood later than they are answered, by an engine."""

from __future__ import annotations

import attrs

from ..events import Transcript
from .endpointing import Endpointing, Utterance

__all__ = ["SoundEndpointing"]


class SoundEndpointing(Endpointing):
    """Edges, the turn detector and the delays decide; words come too late to."""

    def speech_ended(self, now: float, trailing_silence: float = 0.0) -> None:
        """The detector's trailing edge: there is nothing more to wait for than the delay."""
        super().speech_ended(now, trailing_silence)
        self._complete = True

    def transcript(self, result: Transcript, now: float) -> None:
        """Words of an utterance that was committed long ago."""

    def commit(self) -> None:
        """Somebody else knows that the caller has finished: what was heard is taken now."""
        self._manual = self._started is not None

    def poll(self, now: float) -> Utterance | None:
        """The utterance, if it is complete by ``now``; its words will follow."""
        utterance = super().poll(now)
        if utterance is None or utterance.speech_started is None:
            return None
        self._last_text, self._last_commit = "…", now
        return attrs.evolve(utterance, unworded=True)
