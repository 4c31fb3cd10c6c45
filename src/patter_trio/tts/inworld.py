"""Inworld's voices, over a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import attrs

from .._wire.inworld_voice import InworldWire
from ..abc import Voice
from ..events import AudioFormat, CallInfo
from ..llm._checks import number, optional, texts
from ..stt._checks import between, one_of
from ._settings import NetworkTTS
from ._socket import Place, open_socket_voice

__all__ = ["TTS", "InworldTTS"]


@attrs.frozen(kw_only=True)
class InworldTTS(NetworkTTS):
    """Inworld over a WebSocket: one for a call, on which each turn has a context of its own.

    Args:
        voice: the voice's id.
        model: the model.
        language: the language; None for the voice's own.
        speaking_rate: pace, 0.5 to 1.5.
        temperature: 0 to 2: how much it varies.
        delivery_mode: how it speaks, in the vendor's words, such as ``BALANCED``.
        timestamp_type: ``WORD`` for the times of words, or ``TIMESTAMP_TYPE_UNSPECIFIED`` for none.
        max_buffer_delay_ms: milliseconds that the vendor may wait for more text.
        buffer_char_threshold: characters after which it does not wait.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "inworld"
    key_names: ClassVar[tuple[str, ...]] = ("INWORLD_API_KEY",)
    # The vendor's LINEAR16 puts a header before every piece; PCM is the same without.
    formats: ClassVar[Mapping[str, AudioFormat]] = {
        "PCM_24000": AudioFormat("linear16", 24000),
        "PCM_8000": AudioFormat("linear16", 8000),
        "PCM_16000": AudioFormat("linear16", 16000),
    }

    base_url: str = "wss://api.inworld.ai/tts/v1/voice:streamBidirectional"
    voice: str = attrs.field(default="Ashley", validator=texts)
    model: str = attrs.field(default="inworld-tts-2", validator=texts)
    language: str | None = attrs.field(default=None, validator=optional(texts))
    speaking_rate: float | None = attrs.field(default=None, validator=optional(number(0.5, 1.5)))
    temperature: float | None = attrs.field(default=None, validator=optional(number(0, 2)))
    delivery_mode: str | None = attrs.field(default=None, validator=optional(texts))
    timestamp_type: str = attrs.field(default="WORD", validator=one_of("WORD", "TIMESTAMP_TYPE_UNSPECIFIED"))
    max_buffer_delay_ms: int | None = attrs.field(default=None, validator=optional(between(0, 60_000)))
    buffer_char_threshold: int | None = attrs.field(default=None, validator=optional(between(1, 1000)))

    def open_voice(self, audio: AudioFormat, call: CallInfo) -> AbstractAsyncContextManager[Voice]:
        """A voice for one call, connected."""
        name, sound = self.format_for(audio)
        create = self.create_fields(name.rpartition("_")[0], sound.sample_rate)
        headers = {"Authorization": f"Basic {self.key}"}
        place = Place(self.url, headers, self.key, lambda: InworldWire(sound, create))
        return open_socket_voice(place, sound, self.patience)

    def create_fields(self, encoding: str, sample_rate: int) -> dict[str, Any]:
        """What a context is opened with; what is None is left out."""
        audio = {
            "audioEncoding": encoding,
            "sampleRateHertz": sample_rate,
            "speakingRate": self.speaking_rate,
        }
        fields = {
            "voiceId": self.voice,
            "modelId": self.model,
            "audioConfig": {name: value for name, value in audio.items() if value is not None},
            "timestampType": self.timestamp_type,
            "autoMode": True,
            "language": self.language,
            "temperature": self.temperature,
            "deliveryMode": self.delivery_mode,
            "maxBufferDelayMs": self.max_buffer_delay_ms,
            "bufferCharThreshold": self.buffer_char_threshold,
        }
        return {name: value for name, value in fields.items() if value is not None}


TTS = InworldTTS
