"""Sounds for the background that are computed, so that nothing has to be shipped or licensed.

Only what a computer can honestly make is here: the hum of a quiet room, keys that are typed, soft chords for
a caller who waits. A street or a forest is recorded, not computed: give a recording of yours as the source.
"""

from __future__ import annotations

from enum import Enum
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLIP_RATE", "BuiltinAudioClip", "clip_pcm"]

#: Samples per second of the clips: the telephone's, so that most calls need no rate change.
CLIP_RATE = 8000

_LOUDEST = 0.7 * 32767


class BuiltinAudioClip(Enum):
    """Sounds that come with the package; each repeats without a seam."""

    ROOM_TONE = "room_tone"
    KEYBOARD_TYPING = "keyboard_typing"
    HOLD_MUSIC = "hold_music"


@cache
def clip_pcm(clip: BuiltinAudioClip) -> bytes:
    """A clip as linear16, the same on every machine; made when it is first asked for."""
    sound = {
        BuiltinAudioClip.ROOM_TONE: _room_tone,
        BuiltinAudioClip.KEYBOARD_TYPING: _keyboard_typing,
        BuiltinAudioClip.HOLD_MUSIC: _hold_music,
    }[clip]()
    samples: NDArray[np.int16] = np.rint(sound * (_LOUDEST / np.abs(sound).max())).astype("<i2")
    return samples.tobytes()


def _room_tone(seconds: int = 8) -> NDArray[np.float64]:
    """Noise that falls by 6 dB an octave from 100 Hz on: air, and the machines behind a wall."""
    count = seconds * CLIP_RATE
    frequencies = np.fft.rfftfreq(count, 1 / CLIP_RATE)
    phases = np.random.default_rng(1).uniform(0, 2 * np.pi, len(frequencies))
    levels = np.where(frequencies < 40, 0.0, 1 / np.maximum(frequencies, 100))
    # Made of whole periods, its end leads into its beginning.
    return np.asarray(np.fft.irfft(levels * np.exp(1j * phases), count))


def _keyboard_typing(seconds: int = 8) -> NDArray[np.float64]:
    """Clicks of 25 ms in bursts, a pause between two words."""
    random = np.random.default_rng(2)
    sound = np.zeros(seconds * CLIP_RATE)
    length = round(0.025 * CLIP_RATE)
    at = 0.2
    while at < seconds - 0.5:
        for _ in range(random.integers(2, 8)):
            start = round(at * CLIP_RATE)
            if start + length >= len(sound):
                break
            decay = np.exp(-np.arange(length) / (0.004 * CLIP_RATE))
            sound[start : start + length] += random.uniform(0.4, 1.0) * decay * random.standard_normal(length)
            at += random.uniform(0.08, 0.2)
        at += random.uniform(0.3, 0.9)
    return sound


def _hold_music() -> NDArray[np.float64]:
    """Four soft chords of two seconds, each one struck note by note."""
    chords = (
        (220.0, 261.63, 329.63),
        (174.61, 220.0, 261.63),
        (261.63, 329.63, 392.0),
        (196.0, 246.94, 293.66),
    )
    length = 2 * CLIP_RATE
    sound = np.zeros(len(chords) * length)
    for number, chord in enumerate(chords):
        for place, note in enumerate(chord):
            start = number * length + place * CLIP_RATE // 3
            time = np.arange((number + 1) * length - start) / CLIP_RATE
            struck = np.minimum(time / 0.02, 1.0) * np.exp(-1.2 * time)
            # The next chord begins where this one has faded away.
            struck *= np.minimum((time[-1] - time) / 0.1, 1.0)
            wave = np.sin(2 * np.pi * note * time) + 0.3 * np.sin(4 * np.pi * note * time)
            sound[start : start + len(time)] += struck * wave
    return sound
