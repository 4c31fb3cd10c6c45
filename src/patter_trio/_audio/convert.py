"""From one format of sound to another, streaming."""

from __future__ import annotations

from ..events import AudioFormat
from . import g711
from .resample import Resampler

__all__ = ["Converter"]


class Converter:
    """Turns a stream of one format into another: decoded, its rate changed, encoded, as far as is needed.

    The sound may be split anywhere, odd bytes included; whole samples come out. Equal formats cost nothing.

    Raises:
        PatterConfigError: the ratio of the rates is not one of small whole numbers.
    """

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self._source = source
        self._target = target
        self._resampler = Resampler(source.sample_rate, target.sample_rate)
        # Decoding and encoding again would give back the same µ-law or A-law, save for its two zeros.
        self._same = source == target and source.bytes_per_sample == 1

    def feed(self, audio: bytes) -> bytes:
        """Takes sound; returns what is ready of it."""
        if self._same:
            return audio
        return g711.encode(self._resampler.feed(g711.decode(audio, self._source)), self._target)

    def flush(self) -> bytes:
        """Ends the stream: what was still on its way. The next sound starts a new one."""
        return g711.encode(self._resampler.flush(), self._target)
