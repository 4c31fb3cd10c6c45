"""Keys of a telephone as the tones that they make (DTMF).

The pairs of frequencies are those of ITU-T Q.23. Q.24 leaves the rest to each country; what is made here lies
inside all of its limits: tones and pauses are longer than the 40 ms that the slowest receiver asks for, and
the higher tone is 2 dB louder, because lines carry high tones worse. The tones have -8 and -6 dBm0, as a
telephone's have when they reach the exchange, and soft edges, since a click is energy at every frequency and
may talk a receiver out of a key.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import PatterConfigError

__all__ = ["DTMF_KEYS", "DTMF_PAUSES", "dtmf_tones"]

_ROWS = (697, 770, 852, 941)
_COLUMNS = (1209, 1336, 1477, 1633)

#: The two frequencies of each key.
DTMF_KEYS: dict[str, tuple[int, int]] = {
    key: (_ROWS[number // 4], _COLUMNS[number % 4]) for number, key in enumerate("123A456B789C*0#D")
}

#: Seconds that a dialler waits where it finds these between keys.
DTMF_PAUSES = {"w": 0.5, "W": 1.0}

# The loudest sine that G.711 carries has +3.17 dBm0.
_LOW = 10 ** ((-8 - 3.17) / 20)
_HIGH = 10 ** ((-6 - 3.17) / 20)

_EDGE_SECONDS = 0.004

# Q.24: no receiver needs more than 40 ms of either; five seconds is a key that got stuck.
_SHORTEST_MS = 40
_LONGEST_MS = 5000

# A tone of 1633 Hz and what is left of a voice fit under half of this.
_LOWEST_RATE = 8000


def dtmf_tones(digits: str, sample_rate: int, *, tone_ms: int = 100, pause_ms: int = 80) -> bytes:
    """The sound of pressing ``digits``, as linear16.

    Args:
        digits: keys ``0-9 * # A-D``, and pauses: ``w`` for half a second, ``W`` for a whole one.
        sample_rate: samples per second, at least 8000.
        tone_ms: how long each key sounds, 40 to 5000.
        pause_ms: the silence behind each key, 40 to 5000.

    Raises:
        PatterConfigError: there is no such key, nothing to press, or a number is out of range.
    """
    if not digits:
        raise PatterConfigError("there is no key to press", hint="digits are 0-9 * # A-D, pauses w and W")
    for key in digits:
        if key not in DTMF_KEYS and key not in DTMF_PAUSES:
            raise PatterConfigError(
                f"no telephone has a key {key!r}", hint="digits are 0-9 * # A-D, pauses w and W"
            )
    if sample_rate < _LOWEST_RATE:
        raise PatterConfigError(
            f"sample_rate={sample_rate} is too low for the tones of keys", hint="8000 or more"
        )
    for name, value in (("tone_ms", tone_ms), ("pause_ms", pause_ms)):
        if not _SHORTEST_MS <= value <= _LONGEST_MS:
            raise PatterConfigError(f"{name} must be {_SHORTEST_MS} to {_LONGEST_MS}, not {value!r}")
    behind = np.zeros(round(pause_ms / 1000 * sample_rate))
    sounds: list[NDArray[np.float64]] = []
    for key in digits:
        if key in DTMF_PAUSES:
            sounds.append(np.zeros(round(DTMF_PAUSES[key] * sample_rate)))
        else:
            sounds += [_tone(key, sample_rate, tone_ms / 1000), behind]
    return np.rint(32767 * np.concatenate(sounds)).astype("<i2").tobytes()


def _tone(key: str, sample_rate: int, seconds: float) -> NDArray[np.float64]:
    low, high = DTMF_KEYS[key]
    turns = 2 * math.pi * np.arange(round(seconds * sample_rate)) / sample_rate
    sound = _LOW * np.sin(low * turns) + _HIGH * np.sin(high * turns)
    edge = np.sin(np.linspace(0, math.pi / 2, round(_EDGE_SECONDS * sample_rate))) ** 2
    sound[: len(edge)] *= edge
    sound[-len(edge) :] *= edge[::-1]
    return sound
