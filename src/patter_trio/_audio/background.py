"""What is heard behind an agent: a room, a keyboard, music, softer while the agent speaks."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from ..errors import PatterConfigError, RemoteProtocolError
from ..events import AudioFormat
from . import g711
from .clips import CLIP_RATE, BuiltinAudioClip, clip_pcm
from .frame import FRAME_SECONDS
from .mix import fade_pcm, mix_pcm
from .resample import Resampler
from .wav import read_wav

__all__ = ["AudioConfig", "BackgroundAudioPlayer", "Bed"]

AudioSource = str | os.PathLike[str] | bytes | BuiltinAudioClip

# From full volume to nothing in so long: heard as a fade, not as a click.
_FADE_SECONDS = 0.15


def _share(_: object, field: attrs.Attribute[float], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise PatterConfigError(f"{field.name} must be a number from 0 to 1, not {value!r}")


def _decibels(_: object, field: attrs.Attribute[float], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -120 <= value <= 0:
        raise PatterConfigError(f"{field.name} must be decibels from -120 to 0, not {value!r}")


def _rate(_: object, field: attrs.Attribute[int], value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise PatterConfigError(f"{field.name} must be samples per second, not {value!r}")


@attrs.frozen
class AudioConfig:
    """One of several sounds for the background, of which each call hears one.

    Args:
        source: as for :class:`BackgroundAudioPlayer`.
        volume: 0 to 1, times that of the player.
        probability: how often it is chosen, compared with the others.
        sample_rate: samples per second where ``source`` is bare linear16.

    Raises:
        PatterConfigError: the source cannot be read, or a value is out of range.
    """

    source: AudioSource = attrs.field(repr=lambda source: repr(source)[:60])
    volume: float = attrs.field(default=1.0, validator=_share)
    probability: float = attrs.field(default=1.0, validator=_share)
    sample_rate: int | None = attrs.field(default=None, validator=_rate)
    _sound: tuple[bytes, int] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        # Read now, so that a missing file is found before any call, and a rate that fits no telephone too.
        pcm, rate = _read(self.source, self.sample_rate)
        for telephone in (8000, 16000):
            Resampler(rate, telephone)
        object.__setattr__(self, "_sound", (pcm, rate))

    @property
    def pcm(self) -> bytes:
        """The sound as linear16, one channel."""
        return self._sound[0]

    @property
    def rate(self) -> int:
        """Samples per second of ``pcm``."""
        return self._sound[1]


def _sounds(source: object) -> tuple[AudioConfig, ...]:
    if isinstance(source, AudioConfig):
        return (source,)
    if isinstance(source, str | os.PathLike | bytes | BuiltinAudioClip):
        return (AudioConfig(source),)
    if isinstance(source, Sequence) and source and all(isinstance(one, AudioConfig) for one in source):
        return tuple(source)
    raise PatterConfigError(
        f"source={source!r} is no sound",
        hint="a WAV file or its bytes, a clip, linear16 in AudioConfig(…, sample_rate=…), or a list of those",
    )


@attrs.frozen
class BackgroundAudioPlayer:
    """A sound behind the whole call. While the agent speaks it is softer, and nobody counts it as speech.

    Args:
        source: a WAV file of 16 bits (its path, or its bytes), a :class:`BuiltinAudioClip`, an
            :class:`AudioConfig`, or several of these, of which each call hears one. At 8 kHz, most calls need
            not change its rate.
        volume: 0 to 1.
        loop: begin again at its end; otherwise it is played once.
        duck_db: how much softer it is under the agent's voice, in decibels, -120 to 0.

    Raises:
        PatterConfigError: the source cannot be read, or a value is out of range.
    """

    source: tuple[AudioConfig, ...] = attrs.field(converter=_sounds)
    volume: float = attrs.field(default=0.1, validator=_share)
    loop: bool = False
    duck_db: float = attrs.field(default=-10.0, kw_only=True, validator=_decibels)

    def __attrs_post_init__(self) -> None:
        if not any(sound.probability for sound in self.source):
            raise PatterConfigError("every sound has probability 0: there is nothing to play")

    def open_bed(self, audio: AudioFormat) -> Bed:
        """The sound of one call, in the carrier's format."""
        (sound,) = random.choices(self.source, [sound.probability for sound in self.source])
        return Bed(sound.pcm, sound.rate, audio, self.volume * sound.volume, self.loop, self.duck_db)


class Bed:
    """One call's background sound, taken frame by frame, alone or under speech; pure.

    Args:
        pcm: the sound, linear16.
        rate: its samples per second.
        audio: the format of what is given.
        volume: its gain.
        loop: whether it begins again.
        duck_db: by how much it is changed under speech.
    """

    def __init__(
        self, pcm: bytes, rate: int, audio: AudioFormat, volume: float, loop: bool, duck_db: float
    ) -> None:
        self._pcm = pcm
        self._at = 0
        self._piece = 2 * max(1, round(rate * FRAME_SECONDS))
        self._loop = loop
        self._audio = audio
        self._resampler = Resampler(rate, audio.sample_rate)
        self._ready = bytearray()
        self._read_all = False
        self._frame = audio.bytes_for(FRAME_SECONDS) // audio.bytes_per_sample
        self._volume, self._ducked = volume, volume * 10 ** (duck_db / 20)
        self._gain = 0.0
        self._step = volume / (_FADE_SECONDS * audio.sample_rate)

    @property
    def ended(self) -> bool:
        """Whether all of it was given."""
        return self._read_all and not self._ready

    def alone(self) -> bytes:
        """20 ms of it."""
        return g711.encode(self._take(self._frame, self._volume), self._audio)

    def under(self, speech: bytes) -> bytes:
        """Speech in the carrier's format, with this behind it."""
        if self.ended:
            return speech
        bed = self._take(len(speech) // self._audio.bytes_per_sample, self._ducked)
        return g711.encode(mix_pcm(g711.decode(speech, self._audio), bed), self._audio)

    def _take(self, samples: int, gain: float) -> bytes:
        size = 2 * samples
        while len(self._ready) < size and not self._read_all:
            self._ready += self._resampler.feed(self._pcm[self._at : self._at + self._piece])
            self._at += self._piece
            if self._at >= len(self._pcm):
                self._at = 0
                if not self._loop:
                    self._read_all = True
                    self._ready += self._resampler.flush()
        taken = bytes(self._ready[:size])
        del self._ready[:size]
        faded, self._gain = fade_pcm(taken, self._gain, gain, self._step)
        return faded.ljust(size, b"\0")


def _read(source: AudioSource, sample_rate: int | None) -> tuple[bytes, int]:
    """A source as one channel of linear16, and its rate."""
    if isinstance(source, BuiltinAudioClip):
        channels, rate = [clip_pcm(source)], CLIP_RATE
    elif isinstance(source, bytes) and source[:4] != b"RIFF":
        if sample_rate is None:
            raise PatterConfigError(
                "the rate of bare linear16 is unknown", hint="AudioConfig(source, sample_rate=8000)"
            )
        return _whole(source[: len(source) & ~1]), sample_rate
    else:
        channels, rate = _read_wav(source)
    if sample_rate is not None:
        raise PatterConfigError("sample_rate is for bare linear16; this source says its own")
    mixed = np.mean([np.frombuffer(channel, "<i2") for channel in channels], axis=0)
    return _whole(np.rint(mixed).astype("<i2").tobytes()), rate


def _read_wav(source: str | os.PathLike[str] | bytes) -> tuple[list[bytes], int]:
    try:
        return read_wav(io.BytesIO(source if isinstance(source, bytes) else Path(source).read_bytes()))
    except OSError as error:
        raise PatterConfigError(f"the background sound cannot be read: {error}") from error
    except RemoteProtocolError as error:
        raise PatterConfigError(str(error), hint="a WAV file with samples of 16 bits") from error


def _whole(pcm: bytes) -> bytes:
    if not pcm:
        raise PatterConfigError("the background sound is empty")
    return pcm
