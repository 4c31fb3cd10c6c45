"""Sound over sound: linear16 added up, made softer, and faded from one gain to another."""

from __future__ import annotations

import warnings

import numpy as np

with warnings.catch_warnings():
    # It is in the standard library up to 3.12, where importing it warns that it will go; see g711.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

__all__ = ["fade_pcm", "mix_pcm", "scale_pcm"]


def mix_pcm(first: bytes, second: bytes) -> bytes:
    """The sum of two linear16 sounds that begin together; what is too loud is limited, never wrapped around.

    The shorter one is followed by silence, a half sample at an end is left out.
    """
    first, second = first[: len(first) & ~1], second[: len(second) & ~1]
    length = max(len(first), len(second))
    return audioop.add(first.ljust(length, b"\0"), second.ljust(length, b"\0"), 2)


def scale_pcm(pcm: bytes, gain: float) -> bytes:
    """Linear16 sound, each sample times ``gain`` and limited."""
    return audioop.mul(pcm, 2, gain)


def fade_pcm(pcm: bytes, start: float, stop: float, step: float) -> tuple[bytes, float]:
    """Linear16 sound whose gain moves from ``start`` towards ``stop``, by ``step`` per sample.

    Returns the sound and the gain of its last sample.
    """
    if start == stop or not pcm:
        return scale_pcm(pcm, stop), stop
    samples = np.frombuffer(pcm, "<i2")
    moved = step * np.arange(1, len(samples) + 1)
    gains = np.minimum(start + moved, stop) if stop > start else np.maximum(start - moved, stop)
    faded = np.clip(np.rint(samples * gains), -32768, 32767).astype("<i2")
    return faded.tobytes(), float(gains[-1])
