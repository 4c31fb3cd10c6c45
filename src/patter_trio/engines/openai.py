"""OpenAI's Realtime API: speech to speech over one WebSocket."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import attrs

from ..abc import EngineSession
from ..errors import PatterConfigError
from ..events import AudioFormat, CallInfo, Message
from ._realtime import Connection, Learned, open_realtime

__all__ = ["OpenAIRealtime", "OpenAIRealtime2", "Realtime", "Realtime2", "ReasoningEffort"]

ReasoningEffort = Literal["minimal", "low", "medium", "high", "xhigh"]

# whisper-1, which this was for years, is switched off on 2027-02-26.
_TRANSCRIPTION = "gpt-transcribe"
_URL = "wss://api.openai.com/v1"


def _one_of(*allowed: str | None) -> Any:
    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in allowed:
            names = ", ".join(str(name) for name in allowed)
            raise PatterConfigError(f"{attribute.name}={value!r} must be one of {names}")

    return check


def _word(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value or not value.isprintable() or " " in value:
        raise PatterConfigError(f"{attribute.name}={value!r} is no name")


def _word_or_none(settings: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        _word(settings, attribute, value)


def _address(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise PatterConfigError(f"{attribute.name}={value!r} is no address", hint=f"like {_URL}")


def _seconds(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise PatterConfigError(f"{attribute.name}={value!r} must be seconds above 0")


def _tokens(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise PatterConfigError(f"{attribute.name}={value!r} must be a number of tokens, or None")


def _speed(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.25 <= value <= 1.5:
        raise PatterConfigError(f"{attribute.name}={value!r} must be a number from 0.25 to 1.5")


@attrs.frozen(kw_only=True)
class OpenAIRealtime:
    """OpenAI's speech-to-speech models.

    Who speaks when is the call's affair, as with any agent: the session's own turn detection is off. Sound
    goes both ways as the telephone has it (G.711), and as 24 kHz PCM where the far end will not have that.

    Args:
        api_key: from ``OPENAI_API_KEY`` when left out.
        voice: ``alloy``, ``ash``, ``ballad``, ``coral``, ``echo``, ``sage``, ``shimmer``, ``verse``,
            ``marin``, ``cedar`` …
        model: a model of the Realtime API.
        reasoning_effort: how long a model that reasons may do so; ``low`` suits a telephone. ``None`` leaves
            it to the model.
        input_audio_transcription_model: what writes down the caller's words, beside the model, for history
            and events; ``None`` for ``gpt-transcribe``.
        transcription_language: an ISO 639-1 hint for that.
        noise_reduction: what the caller's sound is cleaned of before the model hears it.
        speed: how fast the voice speaks, 0.25 to 1.5.
        max_output_tokens: the longest answer; ``None`` for no limit but the model's.
        base_url: another address of the API.
        connect_timeout: seconds for a session to open.

    Raises:
        PatterConfigError: there is no key, or a setting cannot be right.
    """

    api_key: str = attrs.field(default="", repr=False)
    voice: str = attrs.field(default="alloy", validator=_word)
    model: str = attrs.field(default="gpt-realtime-mini", validator=_word)
    reasoning_effort: ReasoningEffort | None = attrs.field(
        default=None, validator=_one_of(None, "minimal", "low", "medium", "high", "xhigh")
    )
    input_audio_transcription_model: str | None = attrs.field(default=None, validator=_word_or_none)
    transcription_language: str | None = attrs.field(default=None, validator=_word_or_none)
    noise_reduction: Literal["near_field", "far_field"] | None = attrs.field(
        default=None, validator=_one_of(None, "near_field", "far_field")
    )
    speed: float = attrs.field(default=1.0, validator=_speed)
    max_output_tokens: int | None = attrs.field(default=None, validator=_tokens)
    base_url: str = attrs.field(default=_URL, validator=_address)
    connect_timeout: float = attrs.field(default=4.0, validator=_seconds)
    _learned: Learned = attrs.field(factory=Learned, init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        key = self.api_key.strip() or os.environ.get("OPENAI_API_KEY", "").strip()
        if not key:
            raise PatterConfigError("there is no key for OpenAI", hint="pass api_key= or set OPENAI_API_KEY")
        if not (key.isascii() and key.isprintable()):
            raise PatterConfigError("api_key= holds characters that a header cannot carry")
        object.__setattr__(self, "api_key", key)

    @property
    def name(self) -> str:
        """The provider, for metrics and logs."""
        return "openai_realtime"

    def open_session(
        self, audio: AudioFormat, call: CallInfo, memory: Sequence[Message] = ()
    ) -> AbstractAsyncContextManager[EngineSession]:
        """Connects for one call."""
        base = self.base_url.rstrip("/").replace("http", "ws", 1) if self.base_url.startswith("http") else ""
        url = f"{base or self.base_url.rstrip('/')}/realtime?model={quote(self.model, safe='')}"
        connection = Connection(url, self.api_key, self.connect_timeout, self._session, self._learned)
        return open_realtime(connection, audio, memory)

    def _session(self, format: str) -> dict[str, Any]:
        """The session's settings, with sound in this format."""
        sound: dict[str, Any] = {"type": format}
        if format == "audio/pcm":
            sound["rate"] = 24000
        transcription = {"model": self.input_audio_transcription_model or _TRANSCRIPTION}
        if self.transcription_language:
            transcription["language"] = self.transcription_language
        reduction = None if self.noise_reduction is None else {"type": self.noise_reduction}
        session: dict[str, Any] = {
            "output_modalities": ["audio"],
            "max_output_tokens": self.max_output_tokens or "inf",
            "audio": {
                "input": {
                    "format": sound,
                    "noise_reduction": reduction,
                    "transcription": transcription,
                    "turn_detection": None,
                },
                "output": {"format": sound, "voice": self.voice, "speed": self.speed},
            },
        }
        if self.reasoning_effort is not None:
            session["reasoning"] = {"effort": self.reasoning_effort}
        return session


@attrs.frozen(kw_only=True)
class OpenAIRealtime2(OpenAIRealtime):
    """The same with the ``gpt-realtime-2`` model: stronger, with a reasoning effort of your choice."""

    model: str = attrs.field(default="gpt-realtime-2", validator=_word)


Realtime = OpenAIRealtime
Realtime2 = OpenAIRealtime2
