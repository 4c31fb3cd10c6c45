"""ElevenLabs: a WebSocket where sound comes while sentences still go in, or a request for each sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar
from urllib.parse import quote

import attrs

from .._wire.elevenlabs_rest import ElevenLabsReader, read_refusal
from .._wire.elevenlabs_voice import ElevenLabsWire
from ..abc import Voice
from ..errors import PatterConfigError
from ..events import AudioFormat, CallInfo
from ..llm._checks import flag, mapping_or, number, optional, texts, whole
from ..stt._checks import between, one_of
from ..stt._settings import query
from ._http import Post, open_http_voice
from ._settings import NetworkTTS, given
from ._socket import Place, open_socket_voice

__all__ = ["TTS", "ElevenLabsRestTTS", "ElevenLabsTTS"]

# Voices of every account that people know by name.
_NAMED = {"rachel": "21m00Tcm4TlvDq8ikWAM", "sarah": "EXAVITQu4vr4xnSDxMaL"}

_SETTINGS = ("stability", "similarity_boost", "style", "use_speaker_boost", "speed")


def _schedule(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise PatterConfigError(f"{attribute.name}={value!r} must be a list of numbers")
    for size in value:
        between(5, 500)(None, attribute, size)


@attrs.frozen(kw_only=True)
class _ElevenLabs(NetworkTTS):
    """What both ways to ElevenLabs share."""

    provider_name: ClassVar[str] = "elevenlabs"
    key_names: ClassVar[tuple[str, ...]] = ("ELEVENLABS_API_KEY",)
    formats: ClassVar[Mapping[str, AudioFormat]] = {
        "pcm_24000": AudioFormat("linear16", 24000),
        "ulaw_8000": AudioFormat("mulaw", 8000),
        "alaw_8000": AudioFormat("alaw", 8000),
        "pcm_8000": AudioFormat("linear16", 8000),
        "pcm_16000": AudioFormat("linear16", 16000),
        "pcm_48000": AudioFormat("linear16", 48000),
    }

    voice: str = attrs.field(default="EXAVITQu4vr4xnSDxMaL", validator=texts)
    model_id: str = attrs.field(default="eleven_flash_v2_5", validator=texts)
    language_code: str | None = attrs.field(default=None, validator=optional(texts))
    voice_settings: Mapping[str, Any] | None = attrs.field(default=None, validator=optional(mapping_or()))
    stability: float | None = attrs.field(default=None, validator=optional(number(0, 1)))
    similarity_boost: float | None = attrs.field(default=None, validator=optional(number(0, 1)))
    style: float | None = attrs.field(default=None, validator=optional(number(0, 1)))
    use_speaker_boost: bool | None = attrs.field(default=None, validator=optional(flag))
    speed: float | None = attrs.field(default=None, validator=optional(number(0.7, 1.2)))
    apply_text_normalization: str | None = attrs.field(
        default=None, validator=optional(one_of("auto", "on", "off"))
    )
    seed: int | None = attrs.field(default=None, validator=optional(whole(0)))
    enable_logging: bool | None = attrs.field(default=None, validator=optional(flag))

    @property
    def voice_id(self) -> str:
        """The voice's id, also where a name was given."""
        return _NAMED.get(self.voice.lower(), self.voice)

    @property
    def all_voice_settings(self) -> dict[str, Any]:
        """``voice_settings`` with those that were given one by one."""
        return {**(self.voice_settings or {}), **given(self, *_SETTINGS)}

    @property
    def headers(self) -> dict[str, str]:
        """The key in the vendor's own header."""
        return {"xi-api-key": self.key}


@attrs.frozen(kw_only=True)
class ElevenLabsTTS(_ElevenLabs):
    """ElevenLabs over a WebSocket: one for a call, on which each turn has a context of its own.

    Sound comes with the times of its characters, so that what the caller has heard is known to the word.

    Args:
        voice: the voice's id, or ``rachel`` or ``sarah``.
        model_id: the model; ``eleven_v3`` cannot be had this way.
        language_code: the language, for models that have to be told.
        voice_settings: the vendor's settings of the voice, as a mapping; those below stand over it.
        stability: 0 to 1: how even the voice is.
        similarity_boost: 0 to 1: how close it is to its model.
        style: 0 to 1: how much it plays.
        use_speaker_boost: brings out the speaker, for some time.
        speed: pace, 0.7 to 1.2.
        apply_text_normalization: ``auto``, ``on`` or ``off``: whether numbers are written out first.
        seed: the same for the same sound.
        enable_logging: False keeps nothing at the vendor, for accounts that may ask for that.
        auto_mode: each sentence is spoken at once; False for ``chunk_length_schedule``.
        chunk_length_schedule: characters that are waited for before each piece, 5 to 500; without
            ``auto_mode`` only.
        inactivity_timeout: seconds after which the vendor drops a context that is not used, 5 to 180.
        enable_ssml_parsing: takes markup in sentences for what it is.
        pronunciation_dictionary_locators: dictionaries, each a mapping with
            ``pronunciation_dictionary_id`` and ``version_id``.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    base_url: str = "wss://api.elevenlabs.io/v1/text-to-speech"
    auto_mode: bool = attrs.field(default=True, validator=flag)
    chunk_length_schedule: Sequence[int] | None = attrs.field(default=None, validator=optional(_schedule))
    inactivity_timeout: int = attrs.field(default=60, validator=between(5, 180))
    enable_ssml_parsing: bool | None = attrs.field(default=None, validator=optional(flag))
    pronunciation_dictionary_locators: Sequence[Mapping[str, str]] = ()

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.model_id == "eleven_v3":
            raise PatterConfigError(
                "eleven_v3 does not speak on a WebSocket", hint="use ElevenLabsRestTTS, or another model"
            )
        if self.auto_mode and self.chunk_length_schedule is not None:
            raise PatterConfigError(
                "chunk_length_schedule= has no effect with auto_mode=True", hint="pass auto_mode=False too"
            )

    def open_voice(self, audio: AudioFormat, call: CallInfo) -> AbstractAsyncContextManager[Voice]:
        """A voice for one call; it connects at once."""
        return self._open_voice(audio)

    @asynccontextmanager
    async def _open_voice(self, audio: AudioFormat) -> AsyncIterator[Voice]:
        name, sound = self.format_for(audio)
        opening = self.context_fields()
        place = Place(
            f"{self.url}/{quote(self.voice_id, safe='')}/multi-stream-input?{query(self.query_fields(name))}",
            self.headers,
            self.key,
            lambda: ElevenLabsWire(sound, opening),
        )
        async with open_socket_voice(place, sound, self.patience) as voice:
            yield voice

    def query_fields(self, output_format: str) -> dict[str, Any]:
        """What stands in the address."""
        return {
            "model_id": self.model_id,
            "output_format": output_format,
            "auto_mode": self.auto_mode,
            "inactivity_timeout": self.inactivity_timeout,
            "sync_alignment": True,
            "language_code": self.language_code,
            "apply_text_normalization": self.apply_text_normalization,
            "seed": self.seed,
            "enable_logging": self.enable_logging,
            "enable_ssml_parsing": self.enable_ssml_parsing,
        }

    def context_fields(self) -> dict[str, Any]:
        """What stands in a context's first message."""
        fields: dict[str, Any] = {}
        if self.all_voice_settings:
            fields["voice_settings"] = self.all_voice_settings
        if self.chunk_length_schedule is not None:
            fields["generation_config"] = {"chunk_length_schedule": list(self.chunk_length_schedule)}
        if self.pronunciation_dictionary_locators:
            fields["pronunciation_dictionary_locators"] = list(self.pronunciation_dictionary_locators)
        return fields


@attrs.frozen(kw_only=True)
class ElevenLabsRestTTS(_ElevenLabs):
    """ElevenLabs over HTTP: a request for each sentence, for models or networks without a WebSocket.

    The sentences before are told with each request, so that the voice goes on as it was.

    Args:
        voice: the voice's id, or ``rachel`` or ``sarah``.
        model_id: the model.
        language_code: the language, for models that have to be told.
        voice_settings: the vendor's settings of the voice, as a mapping; those below stand over it.
        stability: 0 to 1: how even the voice is.
        similarity_boost: 0 to 1: how close it is to its model.
        style: 0 to 1: how much it plays.
        use_speaker_boost: brings out the speaker, for some time.
        speed: pace, 0.7 to 1.2.
        apply_text_normalization: ``auto``, ``on`` or ``off``: whether numbers are written out first.
        seed: the same for the same sound.
        enable_logging: False keeps nothing at the vendor, for accounts that may ask for that.
        with_timestamps: asks for the times of characters too.
        with_previous_text: tells the sentences of the turn that came before; some models refuse that.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    schemes: ClassVar[tuple[str, ...]] = ("http", "https")

    base_url: str = "https://api.elevenlabs.io/v1/text-to-speech"
    with_timestamps: bool = attrs.field(default=True, validator=flag)
    with_previous_text: bool = attrs.field(default=True, validator=flag)

    def open_voice(self, audio: AudioFormat, call: CallInfo) -> AbstractAsyncContextManager[Voice]:
        """A voice for one call."""
        name, sound = self.format_for(audio)
        fields = query({"output_format": name, "enable_logging": self.enable_logging})
        path = "stream/with-timestamps" if self.with_timestamps else "stream"
        post = Post(
            url=f"{self.url}/{quote(self.voice_id, safe='')}/{path}?{fields}",
            headers=self.headers,
            secret=self.key,
            who=f"elevenlabs ({self.model_id})",
            body=self.body,
            reader=lambda text: ElevenLabsReader(sound, text, timed=self.with_timestamps),
            refusal=read_refusal,
        )
        return open_http_voice(post, sound, self.patience)

    def body(self, text: str, before: str) -> dict[str, Any]:
        """The request for a sentence; ``before`` is what the turn has said."""
        fields = {
            "text": text,
            "model_id": self.model_id,
            **given(self, "language_code", "seed", "apply_text_normalization"),
        }
        if self.all_voice_settings:
            fields["voice_settings"] = self.all_voice_settings
        if before and self.with_previous_text:
            fields["previous_text"] = before
        return fields


TTS = ElevenLabsTTS
