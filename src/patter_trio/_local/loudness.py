"""Synthesised speech made ready for a telephone: silence cut off, level set, encoded. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._audio import g711
from ..events import AudioFormat
from .rate import resampled

__all__ = ["for_telephone", "trimmed"]

_WINDOW = 0.01
# Sound this far below the loudest moment is breath and noise of the model, not speech.
_QUIET_DB = -38.0
# Soft consonants begin and end below that: this much is kept around what is loud.
_LEAD_SECONDS = 0.03
_TAIL_SECONDS = 0.06
# -20 dBFS while speaking, with peaks below -1 dBFS: as loud as people on the telephone are.
_LEVEL = 0.1
_PEAK = 0.89
_MOST_GAIN = 4.0


def trimmed(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Without the silence at both ends; empty if there is nothing else.

    Models put a third of a second in front of each sentence, which a caller would hear as slowness.
    """
    levels = _levels(samples, sample_rate)
    loud = np.flatnonzero(levels > max(float(levels.max(initial=0.0)) * 10 ** (_QUIET_DB / 20), 1e-5))
    if not len(loud):
        return samples[:0]
    window = round(_WINDOW * sample_rate)
    start = int(loud[0]) * window - round(_LEAD_SECONDS * sample_rate)
    end = (int(loud[-1]) + 1) * window + round(_TAIL_SECONDS * sample_rate)
    return samples[max(0, start) : end]


def for_telephone(samples: NDArray[np.float32], sample_rate: int, audio: AudioFormat) -> bytes:
    """Speech (floats, full scale 1.0) at telephone level and in the format ``audio``."""
    pcm = np.clip(samples * _gain(samples, sample_rate) * 32767.0, -32768, 32767).astype("<i2").tobytes()
    return g711.encode(resampled(pcm, sample_rate, audio.sample_rate), audio)


def _gain(samples: NDArray[np.float32], sample_rate: int) -> float:
    levels = _levels(samples, sample_rate)
    loudest = float(levels.max(initial=0.0))
    if loudest <= 0.0:
        return 1.0
    active = levels[levels > loudest * 0.1]
    level = float(np.sqrt(np.square(active).mean()))
    return min(_LEVEL / level, _PEAK / float(np.abs(samples).max()), _MOST_GAIN)


def _levels(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Root mean square of each 10 ms; a rest shorter than that is left out."""
    window = round(_WINDOW * sample_rate)
    count = len(samples) // window
    power = np.square(samples[: count * window].reshape(count, window)).mean(axis=1)
    return np.asarray(np.sqrt(power), np.float32)
