"""Speech by loudness alone: no model, no weights, a few microseconds a window."""

from __future__ import annotations

import math

import attrs
import numpy as np
from numpy.typing import NDArray

from ..abc import DetectorThresholds
from ..errors import PatterConfigError

__all__ = ["VAD", "EnergyDetector", "EnergyVAD"]

_WINDOW = 0.02

# The noise floor follows quieter sound within a few windows and louder sound slowly, so that a word does not
# become the floor, and a fan that was switched on does within some seconds.
_FALL = 0.3
_RISE_DB = 4.0 * _WINDOW

# A step of 16-bit sound is -90 dBFS; a line at rest lies between -75 and -55.
_QUIETEST_DB = -90.0
_START_DB = -60.0


@attrs.frozen
class EnergyVAD:
    """Calls speech what stands out of the line's own noise. For tests, and where no model is wanted.

    It takes any loud sound for speech: music, a ring tone or a slammed door. Silero tells these apart.

    Args:
        above_noise_db: decibels over the noise floor at which a window counts as speech.
        quietest_db: dBFS below which nothing is speech, however quiet the line.
        onset_windows: windows of 20 ms in a row that make the positive edge.
        min_silence_ms: quiet that makes the trailing edge.

    Raises:
        PatterConfigError: a value is out of range.
    """

    above_noise_db: float = 12.0
    quietest_db: float = -50.0
    onset_windows: int = 3
    min_silence_ms: int = 250
    name: str = "energy"

    def __attrs_post_init__(self) -> None:
        if self.above_noise_db <= 0 or self.onset_windows < 1 or self.min_silence_ms < 0:
            raise PatterConfigError(f"{self} has a value out of range")

    @property
    def thresholds(self) -> DetectorThresholds:
        """How its numbers are read: 0.5 is ``above_noise_db`` over the floor, 0.35 is 3.6 dB less."""
        return DetectorThresholds(
            onset=0.5,
            release=0.35,
            onset_windows=self.onset_windows,
            min_silence=self.min_silence_ms / 1000,
        )

    def open_detector(self, sample_rate: int) -> EnergyDetector:
        """A fresh detector for one call.

        Raises:
            PatterConfigError: the rate is none of 8, 12, 16, 24, 32 or 48 kHz.
        """
        if sample_rate not in (8000, 12000, 16000, 24000, 32000, 48000):
            raise PatterConfigError(f"EnergyVAD does not take {sample_rate} Hz")
        return EnergyDetector(self, round(sample_rate * _WINDOW))


class EnergyDetector:
    """One call's noise floor; how the sound is cut into pieces does not change what it says."""

    def __init__(self, settings: EnergyVAD, samples: int) -> None:
        self._settings = settings
        self._window_bytes = 2 * samples
        self._rest = b""
        self._floor_db = _START_DB

    @property
    def window(self) -> float:
        """Seconds of sound that one number covers."""
        return _WINDOW

    def feed(self, pcm: bytes) -> list[float]:
        """A number between 0 and 1 for each window that ``pcm`` (linear16) completes."""
        sound = self._rest + pcm
        whole = len(sound) // self._window_bytes * self._window_bytes
        self._rest = sound[whole:]
        if not whole:
            return []
        windows = np.frombuffer(sound[:whole], dtype="<i2").reshape(-1, self._window_bytes // 2)
        return [self._judge(float(level)) for level in _decibels(windows)]

    def _judge(self, level_db: float) -> float:
        above = level_db - self._floor_db
        if above < 0:
            self._floor_db += _FALL * above
        else:
            self._floor_db += min(above, _RISE_DB)
        if level_db < self._settings.quietest_db:
            return 0.0
        # 24 dB from certain quiet to certain speech, with 0.5 at the threshold.
        return min(1.0, max(0.0, 0.5 + (above - self._settings.above_noise_db) / 24.0))


def _decibels(windows: NDArray[np.int16]) -> NDArray[np.float64]:
    """The level of each row in dB of full scale, without its direct current."""
    levels: NDArray[np.float64] = windows.astype(np.float64).std(axis=1) / 32768.0
    return np.asarray(20.0 * np.log10(np.maximum(levels, math.pow(10.0, _QUIETEST_DB / 20.0))))


VAD = EnergyVAD
