"""Streaming rate changes: a polyphase FIR filter, computed in blocks.

The filter is a Kaiser window (beta 8) over 32 samples of the slower rate, cut at 0.92 of its Nyquist rate:
97 taps from 24 to 8 kHz. It is flat up to 3/4 of that Nyquist rate, aliases and images are 80 dB down from
1.1 times it on, and it needs 16 samples of the slower rate ahead (2 ms at 8 kHz). Of the ready-made ones,
``audioop.ratecv`` folds everything above 4 kHz back at full level, and soxr's streaming mode withholds 40 to
118 ms.

Coefficients are whole multiples of 2**-24 and samples have 16 bits, so products and sums stay below 2**53 and
are exact in float64, in whatever order the matrix product adds them: how the input is split never changes the
output, not even its last bit, and no machine hears anything else.
"""

from __future__ import annotations

from functools import cache
from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import PatterConfigError
from .frame import Reblocker

__all__ = ["Resampler"]

_REACH = 16
_BETA = 8.0
_CUT = 0.92
_UNIT = 2.0**-24

# 11.025 to 16 kHz is 640:441. Beyond this the tables grow to megabytes, and no sound card has such rates.
_LARGEST_TERM = 1024

# Outputs per matrix product and products per round: small enough to stay in the first cache and, with the
# shapes that arise, below the sizes at which a BLAS library would wake its threads.
_BLOCK = 20
_ROWS = 64


class _Band(NamedTuple):
    """The outputs ``first:last`` of a cycle as a matrix over the inputs from ``start`` on."""

    first: int
    last: int
    start: int
    weights: NDArray[np.float64]


class _Plan(NamedTuple):
    """How ``taken`` inputs become ``given`` outputs, over and over: a cycle of the two rates.

    The outputs of one cycle need ``reach`` inputs, those before and behind it included.
    """

    taken: int
    given: int
    reach: int
    bands: tuple[_Band, ...]


class Resampler:
    """Changes the rate of a linear16 stream, in step with its input: no delay is added, none is lost.

    The sound may be split anywhere, odd bytes included. Equal rates cost nothing.

    Args:
        from_rate: samples per second that come in.
        to_rate: samples per second that go out.

    Raises:
        PatterConfigError: a rate is not positive, or their ratio is not one of small whole numbers.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if from_rate <= 0 or to_rate <= 0:
            raise PatterConfigError(f"a sample rate must be positive: {from_rate} Hz to {to_rate} Hz")
        common = gcd(from_rate, to_rate)
        self._up, self._down = to_rate // common, from_rate // common
        if max(self._up, self._down) > _LARGEST_TERM:
            raise PatterConfigError(
                f"cannot change {from_rate} Hz into {to_rate} Hz: {self._down}:{self._up} is no simple ratio"
            )
        self._half = _REACH * max(self._up, self._down)
        self._lead = self._half // self._up
        self._begin()

    def _begin(self) -> None:
        # The silence before the first sample. ``_pcm`` always starts ``_lead`` samples before a cycle does,
        # ``_given`` counts the outputs of that cycle that are out already.
        self._pcm = bytes(2 * self._lead)
        self._given = 0
        self._whole = Reblocker(2)

    def feed(self, pcm: bytes) -> bytes:
        """Takes sound; returns all output that no later input can change."""
        pcm = self._whole.feed(pcm)
        if self._up == self._down:
            return pcm
        self._pcm += pcm
        known = len(self._pcm) // 2 - self._lead
        # Output n reaches ``_half`` beyond n * down on the grid that both rates share.
        return self._take(-((self._half - known * self._up) // self._down))

    def flush(self) -> bytes:
        """Ends the stream: what is left, as if silence followed. The next sound starts a new one."""
        tail = b""
        if self._up != self._down:
            known = len(self._pcm) // 2 - self._lead
            tail = self._take(-(-known * self._up // self._down))
        self._begin()
        return tail

    def _take(self, ready: int) -> bytes:
        """The outputs of the cycle begun, from the first that is not out yet up to ``ready``."""
        if ready <= self._given:
            return b""
        plan = _plan(self._up, self._down)
        cycles = -(-ready // plan.given)
        sound = np.empty((cycles, plan.given))
        # Past what is known comes silence; the outputs it would touch are not taken.
        pcm = self._pcm + bytes(2 * max(0, (cycles - 1) * plan.taken + plan.reach - len(self._pcm) // 2))
        for band in plan.bands:
            # Only the rows with outputs that are wanted now.
            begin, end = int(band.last <= self._given), -((band.first - ready) // plan.given)
            for row in range(begin, end, _ROWS):
                rows = min(_ROWS, end - row)
                _filter(pcm, row * plan.taken, plan.taken, band, sound[row : row + rows])
        wanted = sound.reshape(-1)[self._given : ready]
        np.clip(np.rint(wanted, out=wanted), -32768, 32767, out=wanted)
        done, self._given = divmod(ready, plan.given)
        self._pcm = self._pcm[2 * done * plan.taken :]
        return wanted.astype("<i2").tobytes()


def _filter(pcm: bytes, at: int, step: int, band: _Band, sound: NDArray[np.float64]) -> None:
    """Computes a band of each row of ``sound``, whose inputs lie ``step`` samples apart from ``at`` on."""
    # A view whose rows overlap, made contiguous only as floats.
    shape, offset = (len(sound), len(band.weights)), 2 * (at + band.start)
    inputs = np.ndarray(shape, "<i2", pcm, offset, (2 * step, 2)).astype(np.float64)
    np.matmul(inputs, band.weights, out=sound[:, band.first : band.last])


@cache
def _plan(up: int, down: int) -> _Plan:
    half = _REACH * max(up, down)
    lead = half // up
    filter_ = _taps(up, down)
    given = up * -(-_BLOCK // up)
    bands = []
    for first in range(0, given, _BLOCK):
        last = min(first + _BLOCK, given)
        start = -((half - first * down) // up)
        inputs = np.arange(start, (half + (last - 1) * down) // up + 1)
        tap = half + np.arange(first, last) * down - inputs[:, None] * up
        inside = (tap >= 0) & (tap <= 2 * half)
        weights = np.where(inside, filter_[np.where(inside, tap, 0)], 0.0)
        bands.append(_Band(first, last, start + lead, weights))
    reach = max(band.start + len(band.weights) for band in bands)
    return _Plan(given // up * down, given, reach, tuple(bands))


def _taps(up: int, down: int) -> NDArray[np.float64]:
    """The filter on the grid that both rates share; each of its ``up`` phases sums to about 1."""
    wide = max(up, down)
    time = np.arange(-_REACH * wide, _REACH * wide + 1)
    taps = np.sinc(time * _CUT / wide) * np.kaiser(len(time), _BETA)
    exact: NDArray[np.float64] = np.rint(taps * (up / taps.sum() / _UNIT)) * _UNIT
    return exact
