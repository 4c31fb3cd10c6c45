"""SVOX Pico in a wheel: a small, older voice with another accent, 16 kHz. The caller's voice in the demo.

``py-nanotts`` (Apache-2.0) has wheels for Linux x86-64 and ARM64 and Windows x86-64, Python 3.11 to 3.13;
there is none for macOS. It holds the interpreter lock while it speaks, about 13 ms a sentence: no thread can
help, every call of the process waits that long. Fine for a caller in a test, too much for many agents.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Literal, get_args

import attrs
import numpy as np
from numpy.typing import NDArray

from .._local import in_thread, require_package
from .._local.reading import read_aloud
from .._local.voice import LocalVoice
from ..errors import MissingExtraError, PatterConfigError, VoiceError
from ..events import AudioFormat, CallInfo

__all__ = ["TTS", "NanoTTS", "NanoVoice"]

_INSTEAD = "where there is no wheel (macOS), HibariTTS() speaks too"
_SAMPLE_RATE = 16000

NanoVoice = Literal["en-US", "en-GB", "de-DE", "es-ES", "fr-FR", "it-IT"]


@attrs.frozen
class NanoTTS:
    """Pico's voices, six of them in five languages.

    It holds the interpreter lock for about 13 ms a sentence (see the module): a voice for tests and small
    installations.

    Args:
        voice: a language tag.
        speed: pace of speech, 0.5 to 2; 1 is the voice's own.
        pitch: height of the voice, 0.5 to 2; 1 is the voice's own.

    Raises:
        PatterConfigError: an unknown voice, or a value out of range.
        MissingExtraError: py-nanotts is not installed.
    """

    voice: NanoVoice = "en-US"
    speed: float = 1.0
    pitch: float = 1.0
    name: str = "nano"

    def __attrs_post_init__(self) -> None:
        if self.voice not in get_args(NanoVoice):
            raise PatterConfigError(
                f"NanoTTS has no voice {self.voice!r}, only {', '.join(get_args(NanoVoice))}"
            )
        if not (0.5 <= self.speed <= 2.0 and 0.5 <= self.pitch <= 2.0):
            raise PatterConfigError("NanoTTS takes speed and pitch from 0.5 to 2")
        require_package("py_nanotts", "NanoTTS", _INSTEAD)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[NanoTTS]:
        """Loads the engine in a thread; its voices are small files that it reads for each sentence."""
        await in_thread(_engine)
        yield self

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[LocalVoice]:
        """A voice for one call, in the carrier's own format."""
        yield LocalVoice(self._render, _SAMPLE_RATE, audio)

    def _render(self, text: str) -> Iterator[NDArray[np.float32]]:
        # Pico reads angle brackets as its own markup.
        plain = text.replace("<", " ").replace(">", " ")
        if self.voice.startswith("en"):
            plain = read_aloud(plain)
        try:
            pcm = _engine()().speak(plain, voice=self.voice, speed=self.speed, pitch=self.pitch)
        except (RuntimeError, ValueError) as error:
            raise VoiceError(f"Pico failed: {error}") from error
        yield np.frombuffer(pcm, "<i2").astype(np.float32) * np.float32(1.0 / 32768.0)


def _engine() -> Any:
    try:
        from py_nanotts import NanoTTS as Engine
    except ImportError as error:
        raise MissingExtraError(
            "NanoTTS cannot load py-nanotts on this machine",
            hint=f"pip install 'patter-trio[local]'; {_INSTEAD}",
        ) from error
    return Engine


TTS = NanoTTS
