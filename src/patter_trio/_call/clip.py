"""Recordings that are played to the caller."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np

from .._audio.convert import Converter
from .._audio.frame import FRAME_SECONDS
from .._audio.wav import read_wav
from ..errors import PatterConfigError, RemoteProtocolError
from ..events import LINEAR_8K, AudioFormat, SpokenAudio

__all__ = ["Clip", "Source", "read_clip"]

Source = str | os.PathLike[str] | bytes
"""A WAV file of linear16 sound: its path, or its bytes."""

# Three minutes of stereo at 44.1 kHz. A file is read in one go between two frames: a megabyte takes about a
# millisecond from a local disk that has it in its cache.
_MOST_BYTES = 32 * 1024 * 1024

# As much at a time as a voice gives, so that converting a long recording holds nobody up.
_PIECE_SECONDS = 0.2


@attrs.frozen
class Clip:
    """Sound to be played, linear16 on one channel, as it was recorded.

    Args:
        text: what is said in it, for the history; empty for sound without words.
        interruptible: whether the caller may take the floor from it.
    """

    pcm: bytes = attrs.field(repr=lambda pcm: f"<{len(pcm)} bytes>")
    sample_rate: int
    text: str = ""
    interruptible: bool = True

    def pieces(self, target: AudioFormat, *, again: bool = False) -> Iterator[SpokenAudio]:
        """The sound in the carrier's format, piece by piece; ``again`` and again without an end."""
        source = AudioFormat("linear16", self.sample_rate)
        converter, size = Converter(source, target), source.bytes_for(_PIECE_SECONDS)
        # An empty text says that there are no words, and does so on every piece.
        text: str | None = self.text
        while True:
            for start in range(0, len(self.pcm), size):
                yield SpokenAudio(converter.feed(self.pcm[start : start + size]), text)
                text = "" if not self.text else None
            if not again:
                break
        yield SpokenAudio(converter.flush(), text)


def read_clip(source: Source, *, text: str = "", interruptible: bool = True) -> Clip:
    """A WAV file as a clip; its channels are mixed.

    Raises:
        PatterConfigError: it cannot be read, or is no WAV file of linear16 sound.
    """
    try:
        channels, rate = read_wav(io.BytesIO(_bytes_of(source)))
        # A rate that cannot be converted to a telephone's is found out now.
        Converter(AudioFormat("linear16", rate), LINEAR_8K)
    except (RemoteProtocolError, PatterConfigError) as error:
        raise PatterConfigError(
            f"this cannot be played: {error.args[0]}", hint="a WAV file of 16-bit samples, or its bytes"
        ) from error
    pcm = channels[0] if len(channels) == 1 else _mixed(channels)
    if len(pcm) < 2 * rate * FRAME_SECONDS:
        raise PatterConfigError("this WAV file has no sound in it")
    return Clip(pcm, rate, text, interruptible)


def _bytes_of(source: Source) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if not isinstance(source, str | os.PathLike):
        raise PatterConfigError(f"{type(source).__name__} is neither a path nor the bytes of a file")
    path = Path(source)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise PatterConfigError(f"{path.name} has more than {_MOST_BYTES // 2**20} MB")
        return path.read_bytes()
    except OSError as error:
        raise PatterConfigError(f"{path}: {error.strerror or error}") from error


def _mixed(channels: list[bytes]) -> bytes:
    samples = np.stack([np.frombuffer(channel, "<i2") for channel in channels]).astype(np.int32)
    mixed: bytes = (samples.sum(axis=0) // len(channels)).astype("<i2").tobytes()
    return mixed
