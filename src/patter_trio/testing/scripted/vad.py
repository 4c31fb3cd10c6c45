"""A detector that calls speech whatever is loud: exact, pure and without a model."""

from __future__ import annotations

import attrs
import numpy as np

from ...abc import DetectorThresholds
from ...errors import PatterConfigError
from ...events import AudioFormat

__all__ = ["LoudnessDetector", "ScriptedVAD"]


@attrs.frozen
class ScriptedVAD:
    """Settings of a :class:`LoudnessDetector`: probability 1 for a loud window, 0 for a quiet one.

    Args:
        thresholds: how the call reads the probabilities.
        loudness: mean absolute sample (of 32768) at which a window counts as loud. Word sound has about
            24000, telephone line noise below 100.
        window: seconds of sound per probability.
    """

    thresholds: DetectorThresholds = attrs.field(factory=DetectorThresholds)
    loudness: float = 1000.0
    window: float = 0.02
    name: str = "scripted"

    def open_detector(self, sample_rate: int) -> LoudnessDetector:
        """A fresh detector for one call.

        Raises:
            PatterConfigError: a window of this length has no whole sample at that rate.
        """
        size = AudioFormat("linear16", sample_rate).bytes_for(self.window)
        if size <= 0:
            raise PatterConfigError(f"a window of {self.window} s has no sample at {sample_rate} Hz")
        return LoudnessDetector(self.window, size, self.loudness)


class LoudnessDetector:
    """One call's detector; how its sound is cut into pieces does not change what it says."""

    def __init__(self, window: float, window_bytes: int, loudness: float) -> None:
        self._window = window
        self._window_bytes = window_bytes
        self._loudness = loudness
        self._rest = b""

    @property
    def window(self) -> float:
        """Seconds of sound that one probability covers."""
        return self._window

    def feed(self, pcm: bytes) -> list[float]:
        """A probability for each window that ``pcm`` (linear16) completes."""
        sound = self._rest + pcm
        whole = len(sound) // self._window_bytes * self._window_bytes
        self._rest = sound[whole:]
        if not whole:
            return []
        windows = np.frombuffer(sound[:whole], dtype="<i2").reshape(-1, self._window_bytes // 2)
        loud = np.abs(windows.astype(np.int32)).mean(axis=1) >= self._loudness
        return [1.0 if is_loud else 0.0 for is_loud in loud]
