"""OpenAI's speech, by a request for each sentence."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import attrs

from .._wire.http_voice import BodyReader, PlainReader
from .._wire.openai_voice import SpeechEvents
from ..abc import Voice
from ..errors import PatterConfigError
from ..events import AudioFormat, CallInfo
from ..llm._checks import mapping_or, number, optional, texts
from ..stt._checks import one_of
from ._http import Post, open_http_voice
from ._settings import NetworkTTS, given

__all__ = ["TTS", "OpenAITTS"]

# Models that take no instructions and stream no events.
_PLAIN_MODELS = ("tts-1", "tts-1-hd")


@attrs.frozen(kw_only=True)
class OpenAITTS(NetworkTTS):
    """OpenAI's voices, and those of servers that speak the same protocol.

    Args:
        model: the model.
        voice: the voice's name, or ``{"id": …}`` of one's own.
        instructions: how to speak, in words; not for ``tts-1`` and ``tts-1-hd``.
        speed: pace, 0.25 to 4.
        stream_format: ``audio``, or ``sse`` for events; not for ``tts-1`` and ``tts-1-hd``.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "openai"
    key_names: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)
    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    formats: ClassVar[Mapping[str, AudioFormat]] = {"pcm": AudioFormat("linear16", 24000)}

    base_url: str = "https://api.openai.com/v1"
    model: str = attrs.field(default="gpt-4o-mini-tts", validator=texts)
    voice: str | Mapping[str, str] = attrs.field(default="alloy", validator=mapping_or(str))
    instructions: str | None = attrs.field(default=None, validator=optional(texts))
    speed: float | None = attrs.field(default=None, validator=optional(number(0.25, 4)))
    stream_format: str = attrs.field(default="audio", validator=one_of("audio", "sse"))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.model in _PLAIN_MODELS and (self.instructions is not None or self.stream_format == "sse"):
            raise PatterConfigError(
                f"{self.model} takes no instructions= and no stream_format='sse'",
                hint="leave them out, or take gpt-4o-mini-tts",
            )

    def open_voice(self, audio: AudioFormat, call: CallInfo) -> AbstractAsyncContextManager[Voice]:
        """A voice for one call."""
        name, sound = self.format_for(audio)

        def body(text: str, before: str) -> dict[str, Any]:
            return self.body(text, name)

        def reader(text: str) -> BodyReader:
            return SpeechEvents(sound, text) if self.stream_format == "sse" else PlainReader(sound, text)

        post = Post(
            url=f"{self.url}/audio/speech",
            headers={"Authorization": f"Bearer {self.key}"},
            secret=self.key,
            who=f"openai ({self.model})",
            body=body,
            reader=reader,
            sound_only=self.stream_format == "audio",
        )
        return open_http_voice(post, sound, self.patience)

    def body(self, text: str, response_format: str) -> dict[str, Any]:
        """The request for a sentence."""
        fields = {
            "model": self.model,
            "voice": self.voice,
            "input": text,
            "response_format": response_format,
            **given(self, "instructions", "speed"),
        }
        if self.model not in _PLAIN_MODELS:
            fields["stream_format"] = self.stream_format
        return fields


TTS = OpenAITTS
