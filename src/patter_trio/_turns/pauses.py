"""How long one caller pauses in the middle of what they say."""

from __future__ import annotations

__all__ = ["Pauses"]

# How much the latest pause counts against all those before it.
_FRESH = 0.5

# What is waited is longer than the usual pause, for the next one may be a little longer too.
_MARGIN = 1.3

# An utterance that ended where it was taken to end says that less waiting may do.
_RELAX = 0.97


class Pauses:
    """Learns from a caller's pauses how long a silence must be before they have finished.

    Args:
        shortest: the least delay that is ever answered, in seconds.
        longest: the greatest one.
    """

    def __init__(self, shortest: float, longest: float) -> None:
        self._shortest = shortest
        self._longest = longest
        self._usual = 0.0

    def paused(self, seconds: float) -> None:
        """The caller was silent for so long and then went on."""
        self._usual = seconds if not self._usual else self._usual + _FRESH * (seconds - self._usual)

    def finished(self) -> None:
        """The caller had finished where they were taken to have."""
        self._usual *= _RELAX

    def delay(self, already_silent: float) -> float:
        """Seconds to wait after a trailing edge that follows ``already_silent`` seconds of silence."""
        return min(max(self._usual * _MARGIN - already_silent, self._shortest), self._longest)
