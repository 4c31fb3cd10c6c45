"""Cartesia's Sonic voices, over a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import attrs

from .._wire.cartesia_voice import CartesiaWire
from ..abc import Voice
from ..errors import PatterConfigError
from ..events import AudioFormat, CallInfo
from ..llm._checks import flag, number, optional, texts
from ..stt._checks import between
from ._settings import NetworkTTS, given
from ._socket import Place, open_socket_voice

__all__ = ["TTS", "CartesiaTTS"]

_GENERATION = ("speed", "volume", "emotion")


@attrs.frozen(kw_only=True)
class CartesiaTTS(NetworkTTS):
    """Sonic over a WebSocket: one for a call, on which each turn has a context of its own.

    Args:
        model: the model.
        voice: the voice's id.
        language: the language; None with ``locale``.
        locale: a language with its region, such as ``en-GB``, in place of ``language``.
        speed: pace, 0.6 to 1.5.
        volume: 0.5 to 2.
        emotion: how it feels, in the vendor's words.
        normalization: ``auto``, ``off`` or a locale: whether numbers are written out first.
        pronunciation_dict_id: a dictionary of one's own.
        max_buffer_delay_ms: milliseconds that the vendor may wait for more text, 0 to 5000; whole sentences
            need none.
        add_timestamps: the times of words.
        cartesia_version: the date of the protocol.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "cartesia"
    key_names: ClassVar[tuple[str, ...]] = ("CARTESIA_API_KEY",)
    formats: ClassVar[Mapping[str, AudioFormat]] = {
        "pcm_s16le_24000": AudioFormat("linear16", 24000),
        "pcm_mulaw_8000": AudioFormat("mulaw", 8000),
        "pcm_alaw_8000": AudioFormat("alaw", 8000),
        "pcm_s16le_8000": AudioFormat("linear16", 8000),
        "pcm_s16le_16000": AudioFormat("linear16", 16000),
    }

    base_url: str = "wss://api.cartesia.ai/tts/websocket"
    model: str = attrs.field(default="sonic-3", validator=texts)
    voice: str = attrs.field(default="a0e99841-438c-4a64-b679-ae501e7d6091", validator=texts)
    language: str | None = attrs.field(default="en", validator=optional(texts))
    locale: str | None = attrs.field(default=None, validator=optional(texts))
    speed: float | None = attrs.field(default=None, validator=optional(number(0.6, 1.5)))
    volume: float | None = attrs.field(default=None, validator=optional(number(0.5, 2)))
    emotion: str | None = attrs.field(default=None, validator=optional(texts))
    normalization: str | None = attrs.field(default=None, validator=optional(texts))
    pronunciation_dict_id: str | None = attrs.field(default=None, validator=optional(texts))
    max_buffer_delay_ms: int = attrs.field(default=0, validator=between(0, 5000))
    add_timestamps: bool = attrs.field(default=True, validator=flag)
    cartesia_version: str = attrs.field(default="2026-08-14", validator=texts)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if (self.language is None) == (self.locale is None):
            raise PatterConfigError(
                "either language= or locale= is needed", hint="pass language=None with a locale"
            )

    def open_voice(self, audio: AudioFormat, call: CallInfo) -> AbstractAsyncContextManager[Voice]:
        """A voice for one call, connected."""
        name, sound = self.format_for(audio)
        request = self.request_fields(name.rpartition("_")[0], sound.sample_rate)
        headers = {"X-API-Key": self.key, "Cartesia-Version": self.cartesia_version}
        place = Place(self.url, headers, self.key, lambda: CartesiaWire(sound, request))
        return open_socket_voice(place, sound, self.patience)

    def request_fields(self, encoding: str, sample_rate: int) -> dict[str, Any]:
        """What stands in every message of a context."""
        fields: dict[str, Any] = {
            "model_id": self.model,
            "voice": {"mode": "id", "id": self.voice},
            "output_format": {"container": "raw", "encoding": encoding, "sample_rate": sample_rate},
            "add_timestamps": self.add_timestamps,
            "max_buffer_delay_ms": self.max_buffer_delay_ms,
            **given(self, "language", "locale", "normalization", "pronunciation_dict_id"),
        }
        generation = given(self, *_GENERATION)
        if generation:
            fields["generation_config"] = generation
        return fields


TTS = CartesiaTTS
