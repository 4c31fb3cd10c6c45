"""WAV files of linear16 sound."""

from __future__ import annotations

import os
import struct
import wave
from collections.abc import Sequence
from typing import IO

import numpy as np

from ..errors import PatterConfigError, RemoteProtocolError

__all__ = ["WavWriter", "read_wav", "write_wav"]


def write_wav(file: str | os.PathLike[str] | IO[bytes], channels: Sequence[bytes], sample_rate: int) -> None:
    """Writes linear16 channels side by side; shorter ones are filled up with silence.

    A half sample at the end of a channel is left out.

    Raises:
        PatterConfigError: there is no channel.
    """
    if not channels:
        raise PatterConfigError("a WAV file needs at least one channel")
    frames = np.zeros((max(len(channel) for channel in channels) // 2, len(channels)), "<i2")
    for number, channel in enumerate(channels):
        count = len(channel) // 2
        frames[:count, number] = np.frombuffer(channel, "<i2", count)
    with wave.open(os.fspath(file) if isinstance(file, os.PathLike) else file, "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes(frames.tobytes())


def read_wav(file: str | os.PathLike[str] | IO[bytes]) -> tuple[list[bytes], int]:
    """Reads the channels of a linear16 file and its sample rate; a torn last frame is left out.

    Raises:
        RemoteProtocolError: it is not a WAV file, or its samples are not of 16 bits.
    """
    try:
        with wave.open(os.fspath(file) if isinstance(file, os.PathLike) else file, "rb") as source:
            width, count = source.getsampwidth(), source.getnchannels()
            rate, data = source.getframerate(), source.readframes(source.getnframes())
    except (wave.Error, EOFError) as error:
        raise RemoteProtocolError(f"this WAV file cannot be read: {error}") from error
    if width != 2:
        raise RemoteProtocolError(f"this WAV file has samples of {8 * width} bits, not 16")
    whole = len(data) // (2 * count) * count
    frames = np.frombuffer(data, "<i2", whole).reshape(-1, count)
    return [frames[:, number].tobytes() for number in range(count)], rate


class WavWriter:
    """A WAV file of linear16 that grows; after each :meth:`append` it is complete as it stands.

    Args:
        file: an empty binary file that can seek; whoever opened it closes it.
        channels: how many stand side by side.
        sample_rate: samples per second and channel.
    """

    def __init__(self, file: IO[bytes], *, channels: int, sample_rate: int) -> None:
        self._file = file
        self._size = 0
        frame = 2 * channels
        layout = struct.pack("<IHHIIHH", 16, 1, channels, sample_rate, sample_rate * frame, frame, 16)
        file.write(b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + layout + b"data" + struct.pack("<I", 0))
        file.flush()

    def append(self, frames: bytes) -> None:
        """Adds interleaved samples, and only then says in the header that they are there."""
        if not frames:
            return
        self._file.seek(44 + self._size)
        self._file.write(frames)
        self._file.flush()
        self._size += len(frames)
        for place, size in ((4, 36 + self._size), (40, self._size)):
            self._file.seek(place)
            self._file.write(struct.pack("<I", size))
        self._file.flush()
