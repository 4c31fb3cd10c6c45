"""How loud sound is."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["rms_dbfs"]


def rms_dbfs(pcm: bytes) -> float:
    """The level of linear16 sound in dB below full scale: -3.01 for the loudest sine, ``-inf`` for silence.

    A half sample at the end is not heard.
    """
    samples = np.frombuffer(pcm, "<i2", len(pcm) // 2).astype(np.float64)
    power = float(np.dot(samples, samples)) / max(1, len(samples))
    return 10 * math.log10(power / 32768**2) if power else -math.inf
