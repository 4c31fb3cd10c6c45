"""LMNT's voices, over a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import attrs

from .._wire.lmnt_voice import LMNTWire
from ..abc import Voice
from ..events import AudioFormat, CallInfo
from ..llm._checks import flag, optional, texts
from ._settings import NetworkTTS, given
from ._socket import Place, open_socket_voice

__all__ = ["LMNTTTS", "TTS"]


@attrs.frozen(kw_only=True)
class LMNTTTS(NetworkTTS):
    """LMNT over a WebSocket: one for a call, on which one turn is spoken at a time.

    Args:
        voice: the voice's id.
        language: a language, or ``auto``; None for the voice's own.
        return_timestamps: the times of words.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "lmnt"
    key_names: ClassVar[tuple[str, ...]] = ("LMNT_API_KEY",)
    formats: ClassVar[Mapping[str, AudioFormat]] = {
        "pcm_s16le_24000": AudioFormat("linear16", 24000),
        "ulaw_8000": AudioFormat("mulaw", 8000),
        "pcm_s16le_8000": AudioFormat("linear16", 8000),
        "pcm_s16le_16000": AudioFormat("linear16", 16000),
    }

    base_url: str = "wss://api.lmnt.com/v1/ai/speech/stream"
    voice: str = attrs.field(default="leah", validator=texts)
    language: str | None = attrs.field(default=None, validator=optional(texts))
    return_timestamps: bool = attrs.field(default=True, validator=flag)

    def open_voice(self, audio: AudioFormat, call: CallInfo) -> AbstractAsyncContextManager[Voice]:
        """A voice for one call, connected."""
        name, sound = self.format_for(audio)
        init = {"X-API-Key": self.key, **self.init_fields(name.rpartition("_")[0], sound.sample_rate)}
        place = Place(self.url, {}, self.key, lambda: LMNTWire(sound, init))
        return open_socket_voice(place, sound, self.patience)

    def init_fields(self, encoding: str, sample_rate: int) -> dict[str, Any]:
        """What stands in the first message beside the key."""
        return {
            "lmnt-version": "1.2",
            "voice": self.voice,
            "format": encoding,
            "sample_rate": sample_rate,
            "return_timestamps": self.return_timestamps,
            **given(self, "language"),
        }


TTS = LMNTTTS
