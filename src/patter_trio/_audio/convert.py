"""From one format of sound to another, streaming."""

from __future__ import annotations

from ..events import AudioFormat
from . import g711
from .resample import Resampler

__all__ = ["Converter"]


class Converter:
    """Turns a stream in one format into another: decode, change the rate, encode, whatever of it is needed.

    Equal formats pass untouched and cost nothing.

    Raises:
        PatterConfigError: the rates have no small ratio.
    """

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self._source = source
        self._target = target
        self._same = source == target
        self._resampler = Resampler(source.sample_rate, target.sample_rate)

    def feed(self, audio: bytes) -> bytes:
        """Takes sound of any length; returns what is ready."""
        if self._same:
            return audio
        return g711.encode(self._resampler.feed(g711.decode(audio, self._source)), self._target)

    def flush(self) -> bytes:
        """Ends the stream: what was still on its way."""
        return b"" if self._same else g711.encode(self._resampler.flush(), self._target)
