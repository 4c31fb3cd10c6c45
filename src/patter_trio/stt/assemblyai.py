"""AssemblyAI's universal streaming."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from .._wire.assemblyai import AssemblyAIWire
from .._wire.recognizer import RecognizerWire
from ..errors import PatterConfigError
from ..events import AudioFormat, Encoding
from ._checks import as_tuple, flag, listed_texts, number, one_of, optional, seconds, texts, whole
from ._settings import SocketSTT

__all__ = ["STT", "AssemblyAISTT"]

_SENT = (
    *("format_turns", "mode", "min_turn_silence", "max_turn_silence", "end_of_turn_confidence_threshold"),
    *("language_detection", "prompt", "agent_context", "vad_threshold", "interruption_delay", "voice_focus"),
    *("filter_profanity", "redact_pii", "redact_pii_sub", "speaker_labels", "max_speakers", "domain"),
    *("inactivity_timeout", "include_partial_turns", "session_heartbeat", "acknowledge_silence"),
)
# Sent as lists in JSON.
_LISTS = ("language_codes", "keyterms_prompt", "redact_pii_policies")


@attrs.frozen(kw_only=True)
class AssemblyAISTT(SocketSTT):
    """AssemblyAI over a WebSocket, in the carrier's own µ-law; billed by the time the connection is open.

    Parameters that are None are not sent. Lists are given as a text or several.

    Args:
        model: the model (``speech_model``): ``universal-streaming-english``,
            ``universal-streaming-multilingual``, ``universal-3-6-pro`` and others.
        language: the caller's language: the only one of ``language_codes`` for models that know several.
        language_codes: languages to expect.
        language_detection: finds out the language.
        format_turns: whether ends of turns are told once more with punctuation; None for no with the
            universal-streaming models, and for nothing to be sent to others, which always format.
        mode: ``min_latency``, ``balanced`` or ``max_accuracy``.
        min_turn_silence: milliseconds of silence that end a turn when the model is sure.
        max_turn_silence: milliseconds of silence that end it otherwise.
        end_of_turn_confidence_threshold: how sure it must be, 0 to 1.
        keyterms_prompt: terms to expect.
        prompt: instructions to the model.
        agent_context: what the agent said last.
        vad_threshold: how loud speech must be, 0 to 1.
        interruption_delay: milliseconds before speech counts as an interruption.
        voice_focus: ``near-field`` or ``far-field``.
        filter_profanity: leaves out what is not said in company.
        redact_pii: leaves out what identifies people.
        redact_pii_policies: kinds of it.
        redact_pii_sub: what stands in its place, ``hash`` or ``entity_name``.
        speaker_labels: tells speakers apart.
        max_speakers: how many there may be.
        inactivity_timeout: seconds without sound after which the vendor closes.
        include_partial_turns: turns that did not end are told too.
        session_heartbeat: the vendor shows that it is there.
        acknowledge_silence: it says that it hears silence.
        domain: ``medical-v1``.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "assemblyai"
    key_names: ClassVar[tuple[str, ...]] = ("ASSEMBLYAI_API_KEY",)
    encodings: ClassVar[Mapping[str, Encoding]] = {"pcm_mulaw": "mulaw", "pcm_s16le": "linear16"}

    base_url: str = "wss://streaming.assemblyai.com/v3/ws"
    close_timeout: float = attrs.field(default=0.5, validator=seconds)
    model: str = attrs.field(default="universal-streaming-english", validator=texts)
    language: str | None = attrs.field(default="en", validator=optional(texts))
    language_codes: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    language_detection: bool | None = attrs.field(default=None, validator=optional(flag))
    format_turns: bool | None = attrs.field(default=None, validator=optional(flag))
    mode: str | None = attrs.field(
        default=None, validator=optional(one_of("min_latency", "balanced", "max_accuracy"))
    )
    min_turn_silence: int | None = attrs.field(default=None, validator=optional(whole(0)))
    max_turn_silence: int | None = attrs.field(default=None, validator=optional(whole(0)))
    end_of_turn_confidence_threshold: float | None = attrs.field(
        default=None, validator=optional(number(0.0, 1.0))
    )
    keyterms_prompt: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    prompt: str | None = attrs.field(default=None, validator=optional(texts))
    agent_context: str | None = attrs.field(default=None, validator=optional(texts))
    vad_threshold: float | None = attrs.field(default=None, validator=optional(number(0.0, 1.0)))
    interruption_delay: int | None = attrs.field(default=None, validator=optional(whole(0)))
    voice_focus: str | None = attrs.field(default=None, validator=optional(one_of("near-field", "far-field")))
    filter_profanity: bool | None = attrs.field(default=None, validator=optional(flag))
    redact_pii: bool | None = attrs.field(default=None, validator=optional(flag))
    redact_pii_policies: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    redact_pii_sub: str | None = attrs.field(default=None, validator=optional(one_of("hash", "entity_name")))
    speaker_labels: bool | None = attrs.field(default=None, validator=optional(flag))
    max_speakers: int | None = attrs.field(default=None, validator=optional(whole(1)))
    inactivity_timeout: int | None = attrs.field(default=None, validator=optional(whole(1)))
    include_partial_turns: bool | None = attrs.field(default=None, validator=optional(flag))
    session_heartbeat: bool | None = attrs.field(default=None, validator=optional(flag))
    acknowledge_silence: bool | None = attrs.field(default=None, validator=optional(flag))
    domain: str | None = attrs.field(default=None, validator=optional(texts))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        spoken = {(tag or "en").partition("-")[0].lower() for tag in (self.language, *self.language_codes)}
        if self.model == "universal-streaming-english" and spoken != {"en"}:
            raise PatterConfigError(
                f"{self.model} knows no other language than English",
                hint="pass model='universal-streaming-multilingual'",
            )

    def make_wire(self, encoding: str, audio: AudioFormat) -> RecognizerWire:
        """A connection of its own."""
        return AssemblyAIWire()

    def query_fields(self, encoding: str, audio: AudioFormat) -> Mapping[str, Any]:
        """All of it stands in the address."""
        fields: dict[str, Any] = {
            "sample_rate": audio.sample_rate,
            "encoding": encoding,
            "speech_model": self.model,
            **{name: getattr(self, name) for name in _SENT},
        }
        lists = {name: getattr(self, name) for name in _LISTS}
        if self.model.startswith("universal-streaming"):
            fields["format_turns"] = bool(self.format_turns)
        if self.language and self.model != "universal-streaming-english" and not self.language_detection:
            lists["language_codes"] = lists["language_codes"] or (self.language,)
        return {**fields, **{name: json.dumps(listed) for name, listed in lists.items() if listed}}

    def request_headers(self) -> Mapping[str, str]:
        """The bare key, and the version of the protocol."""
        return {"Authorization": self.key, "AssemblyAI-Version": "2025-05-12"}


STT = AssemblyAISTT
