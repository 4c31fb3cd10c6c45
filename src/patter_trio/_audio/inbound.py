"""What the caller's sound goes through before anybody listens to it: rumble out, loudness evened."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from ..errors import PatterConfigError
from .mix import fade_pcm

with warnings.catch_warnings():
    # It is in the standard library up to 3.12, where importing it warns that it will go; see g711.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

__all__ = ["AgcConfig", "AutomaticGain", "HighPass"]

_FULL_SCALE = 32768

# Samples that are filtered as one product: what a short matrix costs and what a loop costs meet here.
_BLOCK = 40


class _Biquad(NamedTuple):
    """A second-order filter over a block: outputs and next state from inputs and state, as matrices."""

    forced: NDArray[np.float64]
    free: NDArray[np.float64]
    enter: NDArray[np.float64]
    carry: NDArray[np.float64]


class HighPass:
    """Takes out what lies below a frequency: a second-order Butterworth filter, 12 dB an octave; streaming.

    How the sound is split does not change what comes out, beyond the rounding of a sample. Half a sample at
    the end of a piece is left out.

    Args:
        hertz: where the sound is 3 dB down.
        sample_rate: samples per second.

    Raises:
        PatterConfigError: the frequency is not between 0 and half of the rate.
    """

    def __init__(self, hertz: float, sample_rate: int) -> None:
        if not 0 < hertz < sample_rate / 2:
            raise PatterConfigError(
                f"a high-pass at {hertz} Hz does nothing for {sample_rate} samples a second"
            )
        self._hertz, self._rate = hertz, sample_rate
        self._state = np.zeros(2)

    def process(self, pcm: bytes) -> bytes:
        """Takes linear16; returns as much."""
        sound = np.frombuffer(pcm, "<i2", len(pcm) // 2).astype(np.float64)
        filtered = np.empty(len(sound))
        whole = len(sound) - len(sound) % _BLOCK
        if whole:
            filtered[:whole] = self._filter(sound[:whole].reshape(-1, _BLOCK)).reshape(-1)
        if whole < len(sound):
            filtered[whole:] = self._filter(sound[whole:].reshape(1, -1)).reshape(-1)
        np.clip(np.rint(filtered, out=filtered), -32768, 32767, out=filtered)
        return filtered.astype("<i2").tobytes()

    def _filter(self, blocks: NDArray[np.float64]) -> NDArray[np.float64]:
        plan = _biquad(self._hertz, self._rate, blocks.shape[1])
        states = np.empty((len(blocks), 2))
        for number, entering in enumerate(blocks @ plan.enter):
            states[number] = self._state
            self._state = plan.carry @ self._state + entering
        return np.asarray(blocks @ plan.forced + states @ plan.free)


@cache
def _biquad(hertz: float, rate: int, size: int) -> _Biquad:
    """The filter for blocks of ``size`` samples, in transposed direct form II."""
    turn = 2 * math.pi * hertz / rate
    alpha = math.sin(turn) / math.sqrt(2)
    scale = 1 + alpha
    b0 = (1 + math.cos(turn)) / 2 / scale
    b1, b2 = -2 * b0, b0
    a1, a2 = -2 * math.cos(turn) / scale, (1 - alpha) / scale
    step = np.array([[-a1, 1.0], [-a2, 0.0]])
    into = np.array([b1 - a1 * b0, b2 - a2 * b0])
    powers = [np.linalg.matrix_power(step, number) for number in range(size + 1)]
    response = [b0, *(float((powers[number] @ into)[0]) for number in range(size - 1))]
    forced = np.zeros((size, size))
    for place in range(size):
        forced[place, place:] = response[: size - place]
    free = np.array([power[0] for power in powers[:size]]).T.copy()
    enter = np.array([powers[size - 1 - place] @ into for place in range(size)])
    return _Biquad(forced, free, enter, powers[size])


def _between(least: float, most: float) -> Callable[[Any, attrs.Attribute[float], Any], None]:
    def check(_: Any, field: attrs.Attribute[float], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise PatterConfigError(
                f"{field.name} must be a number from {least:g} to {most:g}, not {value!r}"
            )

    return check


@attrs.frozen
class AgcConfig:
    """How the caller's loudness is evened.

    Args:
        target_dbfs: the level that speech is brought to.
        max_gain_db: the most that it is made louder or softer.
        floor_dbfs: below this it is no speech, and the gain stays what it is: silence is not pumped up.
        attack_ms: how fast the gain falls for a caller who is too loud.
        release_ms: how fast it rises for one who is too soft.
        ceiling: the share of full scale that no sample passes.

    Raises:
        PatterConfigError: a value is out of range.
    """

    target_dbfs: float = attrs.field(default=-18.0, validator=_between(-60, 0))
    max_gain_db: float = attrs.field(default=30.0, validator=_between(0, 60))
    floor_dbfs: float = attrs.field(default=-45.0, validator=_between(-90, 0))
    attack_ms: float = attrs.field(default=10.0, validator=_between(1, 10_000))
    release_ms: float = attrs.field(default=200.0, validator=_between(1, 10_000))
    ceiling: float = attrs.field(default=0.99, validator=_between(0.1, 1))


class AutomaticGain:
    """Brings a caller's voice to one level; pure, streaming.

    Args:
        settings: to which, and how fast.
        sample_rate: samples per second.
    """

    def __init__(self, settings: AgcConfig, sample_rate: int) -> None:
        self._settings = settings
        self._rate = sample_rate
        self._gain = 1.0

    def process(self, pcm: bytes) -> bytes:
        """Takes linear16; returns as much. Half a sample at the end is left out."""
        pcm = pcm[: len(pcm) & ~1]
        if not pcm:
            return b""
        count = len(pcm) // 2
        start, wanted = self._gain, self._wanted(audioop.rms(pcm, 2), count)
        # A sudden shout is limited at once: the gain may jump down, never up.
        peak = audioop.max(pcm, 2)
        limit = self._settings.ceiling * _FULL_SCALE / peak if peak else math.inf
        start, wanted = min(start, limit), min(wanted, limit)
        evened, self._gain = fade_pcm(pcm, start, wanted, abs(wanted - start) / count)
        return evened

    def _wanted(self, level: int, count: int) -> float:
        """The gain at the end of so many samples of that level."""
        settings = self._settings
        dbfs = 20 * math.log10(level / _FULL_SCALE) if level else -math.inf
        if dbfs < settings.floor_dbfs:
            return self._gain
        needed = max(-settings.max_gain_db, min(settings.max_gain_db, settings.target_dbfs - dbfs))
        goal = 10 ** (needed / 20)
        seconds = (settings.attack_ms if goal < self._gain else settings.release_ms) / 1000
        return goal + (self._gain - goal) * math.exp(-count / self._rate / seconds)
