"""Deepgram's Aura voices, over a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import attrs
import trio

from .._wire.deepgram_voice import DeepgramVoiceWire
from ..abc import Voice
from ..events import AudioFormat, CallInfo
from ..llm._checks import flag, number, optional, texts
from ..stt._settings import query
from ._settings import NetworkTTS
from ._socket import Place, open_socket_voice

__all__ = ["TTS", "DeepgramTTS"]


@attrs.frozen(kw_only=True)
class DeepgramTTS(NetworkTTS):
    """Aura over a WebSocket: one for a call, on which one turn is spoken at a time.

    Args:
        model: the model, which is the voice too.
        speed: pace, 0.7 to 1.5.
        mip_opt_out: keeps the text out of the vendor's training.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "deepgram"
    key_names: ClassVar[tuple[str, ...]] = ("DEEPGRAM_API_KEY",)
    formats: ClassVar[Mapping[str, AudioFormat]] = {
        "linear16_24000": AudioFormat("linear16", 24000),
        "mulaw_8000": AudioFormat("mulaw", 8000),
        "alaw_8000": AudioFormat("alaw", 8000),
        "linear16_8000": AudioFormat("linear16", 8000),
        "linear16_16000": AudioFormat("linear16", 16000),
        "linear16_48000": AudioFormat("linear16", 48000),
    }

    base_url: str = "wss://api.deepgram.com/v1/speak"
    model: str = attrs.field(default="aura-2-thalia-en", validator=texts)
    speed: float | None = attrs.field(default=None, validator=optional(number(0.7, 1.5)))
    mip_opt_out: bool | None = attrs.field(default=None, validator=optional(flag))

    def open_voice(self, audio: AudioFormat, call: CallInfo) -> AbstractAsyncContextManager[Voice]:
        """A voice for one call, connected."""
        _, sound = self.format_for(audio)
        place = Place(
            f"{self.url}?{query(self.query_fields(sound))}",
            {"Authorization": f"Token {self.key}"},
            self.key,
            lambda: DeepgramVoiceWire(sound, trio.current_time),
        )
        return open_socket_voice(place, sound, self.patience)

    def query_fields(self, sound: AudioFormat) -> dict[str, Any]:
        """What stands in the address."""
        return {
            "model": self.model,
            "encoding": sound.encoding,
            "sample_rate": sound.sample_rate,
            "speed": self.speed,
            "mip_opt_out": self.mip_opt_out,
        }


TTS = DeepgramTTS
