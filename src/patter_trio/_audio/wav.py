"""WAV files of linear16 sound."""

from __future__ import annotations

import os
import wave
from collections.abc import Sequence
from typing import IO

import numpy as np

from ..errors import RemoteProtocolError

__all__ = ["read_wav", "write_wav"]


def write_wav(file: str | os.PathLike[str] | IO[bytes], channels: Sequence[bytes], sample_rate: int) -> None:
    """Writes linear16 channels side by side; shorter ones are filled up with silence."""
    length = max((len(channel) for channel in channels), default=0) // 2
    frames = np.zeros((length, len(channels)), "<i2")
    for number, channel in enumerate(channels):
        samples = np.frombuffer(channel, "<i2")
        frames[: len(samples), number] = samples
    with wave.open(os.fspath(file) if isinstance(file, os.PathLike) else file, "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes(frames.tobytes())


def read_wav(file: str | os.PathLike[str] | IO[bytes]) -> tuple[list[bytes], int]:
    """Reads a file of linear16 sound; returns its channels and its sample rate.

    Raises:
        RemoteProtocolError: it is no WAV file, or its samples are not 16 bit.
    """
    try:
        with wave.open(os.fspath(file) if isinstance(file, os.PathLike) else file, "rb") as source:
            width, count = source.getsampwidth(), source.getnchannels()
            rate, frames = source.getframerate(), source.readframes(source.getnframes())
    except (wave.Error, EOFError) as error:
        raise RemoteProtocolError(f"not a readable WAV file: {error}") from error
    if width != 2:
        raise RemoteProtocolError(f"a WAV file of {8 * width} bit samples; only 16 bit is read")
    samples = np.frombuffer(frames, "<i2").reshape(-1, count)
    return [samples[:, number].tobytes() for number in range(count)], rate
