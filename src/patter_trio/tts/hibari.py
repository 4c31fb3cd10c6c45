"""Hibari on this machine's CPU: American English, 24 kHz, about 25 ms of CPU a sentence.

The model and its dictionary travel in the wheel ``hibari-tts`` (Apache-2.0, pure Python on onnxruntime and
numpy: Linux x86-64 and ARM64, macOS, Windows; Python 3.11 to 3.13). Other voices than the one in the wheel
would be fetched when first used, so they are not offered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from .._local import LoadOnce, in_thread, require_package
from .._local.reading import read_aloud
from .._local.voice import LocalVoice
from ..errors import PatterConfigError, VoiceError
from ..events import AudioFormat, CallInfo

__all__ = ["TTS", "HibariTTS"]

_INSTEAD = "or speak with a provider on the network"
_SAMPLE_RATE = 24000
# A pitch is a change of sample rate; whole kilohertz keep the resampler's ratio small.
_RATE_STEP = 1000


def _load(_: str) -> Any:
    from hibari import Hibari

    model = Hibari(threads=1)
    # The dictionaries, and the network for words that are in none of them, load with the first such word.
    model("Warm, xqzt.", seed=0)
    return model


_model = LoadOnce(_load)


@attrs.frozen
class HibariTTS:
    """A clear American voice without an account or a key.

    Args:
        speed: pace of speech, 0.5 to 2; 1 is the voice's own.
        pitch: height of the voice, 0.75 to 1.25, the size of the speaker with it: 0.8 is another person, as
            well understood as the first.

    Raises:
        PatterConfigError: a value is out of range.
        MissingExtraError: hibari-tts or onnxruntime is not installed.
    """

    speed: float = 1.0
    pitch: float = 1.0
    name: str = "hibari"

    def __attrs_post_init__(self) -> None:
        if not 0.5 <= self.speed <= 2.0:
            raise PatterConfigError(f"HibariTTS speaks at 0.5 to 2 times its pace, not {self.speed}")
        if not 0.75 <= self.pitch <= 1.25:
            raise PatterConfigError(f"HibariTTS takes a pitch from 0.75 to 1.25, not {self.pitch}")
        require_package("hibari", "HibariTTS", _INSTEAD)
        require_package("onnxruntime", "HibariTTS", _INSTEAD)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[HibariTTS]:
        """Loads the process's one model in a thread, unless it is there already."""
        await in_thread(lambda: _model.get(""))
        yield self

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[LocalVoice]:
        """A voice for one call, in the carrier's own format."""
        model = await in_thread(lambda: _model.get(""))
        sample_rate = round(_SAMPLE_RATE * self.pitch / _RATE_STEP) * _RATE_STEP
        # Played at another rate the speech is shorter or longer too: the model speaks the other way.
        speed = self.speed * _SAMPLE_RATE / sample_rate

        def render(text: str) -> Iterator[NDArray[np.float32]]:
            return _render(model, text, speed)

        yield LocalVoice(render, sample_rate, audio)


def _render(model: Any, text: str, speed: float) -> Iterator[NDArray[np.float32]]:
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    try:
        # The same seed always: the same sentence sounds the same, to the sample.
        yield from model.stream(read_aloud(text), speed=speed, seed=0)
    except Fail as error:
        raise VoiceError(f"Hibari failed: {error}") from error


TTS = HibariTTS
