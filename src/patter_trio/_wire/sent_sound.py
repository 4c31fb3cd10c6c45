"""The call's sound as a recogniser is sent it: in its format, in pieces of its size, with traceable times."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from .._audio.convert import Converter
from ..events import AudioFormat, SpeechAudio

__all__ = ["SentSound"]

# Media time that jumps by more than this was not sent on: words after the gap are later than they seem.
_GAP = 0.02
# Jumps that are remembered; words are told within seconds.
_JUMPS = 32


class SentSound:
    """What one connection is sent.

    Args:
        source: the format of the call.
        target: the format of the recogniser.
        smallest: seconds that a piece must have; what is missing at the end of speech is silence.
        largest: seconds that a piece may have.
    """

    def __init__(self, source: AudioFormat, target: AudioFormat, smallest: float, largest: float) -> None:
        self._source = source
        self._target = target
        self._converter = Converter(source, target)
        self._smallest = target.bytes_for(smallest)
        self._largest = target.bytes_for(largest)
        self._waiting = bytearray()
        self._taken = 0
        # When, in seconds of what was taken, which media time began.
        self._jumps: list[tuple[float, float]] = []

    def add(self, item: SpeechAudio) -> Iterator[bytes]:
        """Takes a block; gives the pieces that are ready to go, none of them empty."""
        taken = self._target.seconds_in(self._taken)
        if not self._jumps or abs(self.media_time(taken) - item.at) > _GAP:
            self._jumps = [*self._jumps[1 - _JUMPS :], (taken, item.at)]
        self._take(self._converter.feed(item.audio))
        yield from self._pieces()

    def rest(self) -> Iterator[bytes]:
        """The caller stopped: what was waiting for more, made long enough."""
        if self._waiting:
            missing = max(0, self._smallest - len(self._waiting)) // self._target.bytes_per_sample
            self._take(self._target.silence * missing)
            yield from self._pieces()

    def silence(self, seconds: float) -> bytes:
        """Silence in the recogniser's format, which shifts the times of what comes after it."""
        sound = self._target.silence * round(seconds * self._target.sample_rate)
        self._taken += len(sound)
        return sound

    def media_time(self, sent: float) -> float:
        """The call's media time of what stands ``sent`` seconds after the beginning of what was sent."""
        place = bisect_right(self._jumps, (sent, float("inf"))) - 1
        began, at = self._jumps[max(0, place)] if self._jumps else (0.0, 0.0)
        return max(0.0, at + sent - began)

    def _take(self, audio: bytes) -> None:
        self._taken += len(audio)
        self._waiting += audio

    def _pieces(self) -> Iterator[bytes]:
        while len(self._waiting) >= max(self._smallest, 1):
            yield bytes(self._waiting[: self._largest])
            del self._waiting[: self._largest]
