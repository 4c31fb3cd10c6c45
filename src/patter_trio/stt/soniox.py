"""Soniox real-time: many languages in one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from .._wire.recognizer import RecognizerWire
from .._wire.soniox import SonioxWire
from ..errors import PatterConfigError
from ..events import AudioFormat, Encoding
from ._checks import as_tuple, between, flag, listed_texts, mapping_or, number, optional, texts
from ._settings import SocketSTT

__all__ = ["STT", "SonioxSTT"]

_SENT = (
    *("model", "language_hints_strict", "enable_endpoint_detection", "max_endpoint_delay_ms"),
    *("endpoint_sensitivity", "endpoint_latency_adjustment_level", "enable_language_identification"),
    *("enable_speaker_diarization", "context", "client_reference_id"),
)


@attrs.frozen(kw_only=True)
class SonioxSTT(SocketSTT):
    """Soniox over a WebSocket, in the carrier's own µ-law; billed by the time the connection is open.

    Parameters that are None are not sent.

    Args:
        model: the model.
        language_hints: languages to expect, as a text or several.
        language_hints_strict: whether there are hardly any others.
        enable_endpoint_detection: whether the recogniser itself says when the caller has finished.
        max_endpoint_delay_ms: milliseconds after the end of speech in which it does so, 500 to 3000.
        endpoint_sensitivity: how ready it is to do so, -1 to 1.
        endpoint_latency_adjustment_level: 0 to 3, from exact to quick.
        enable_language_identification: finds out the language of each token.
        enable_speaker_diarization: tells speakers apart.
        context: what the call is about, such as ``{"terms": ["Lin Dental"]}``.
        client_reference_id: a name of yours for the vendor's records.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "soniox"
    key_names: ClassVar[tuple[str, ...]] = ("SONIOX_API_KEY",)
    encodings: ClassVar[Mapping[str, Encoding]] = {"mulaw": "mulaw", "alaw": "alaw", "pcm_s16le": "linear16"}

    base_url: str = "wss://stt-rt.soniox.com/transcribe-websocket"
    model: str = attrs.field(default="stt-rt-v5", validator=texts)
    language_hints: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    language_hints_strict: bool = attrs.field(default=False, validator=flag)
    enable_endpoint_detection: bool = attrs.field(default=True, validator=flag)
    max_endpoint_delay_ms: int | None = attrs.field(default=500, validator=optional(between(500, 3000)))
    endpoint_sensitivity: float | None = attrs.field(default=None, validator=optional(number(-1.0, 1.0)))
    endpoint_latency_adjustment_level: int | None = attrs.field(
        default=None, validator=optional(between(0, 3))
    )
    enable_language_identification: bool = attrs.field(default=True, validator=flag)
    enable_speaker_diarization: bool = attrs.field(default=False, validator=flag)
    context: Mapping[str, Any] | None = attrs.field(default=None, validator=optional(mapping_or()))
    client_reference_id: str | None = attrs.field(default=None, validator=optional(texts))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.language_hints_strict and not self.language_hints:
            raise PatterConfigError("language_hints_strict= needs language_hints=")

    def make_wire(self, encoding: str, audio: AudioFormat) -> RecognizerWire:
        """A connection that begins with the settings."""
        config = {name: getattr(self, name) for name in _SENT if getattr(self, name) is not None}
        if self.language_hints:
            config["language_hints"] = list(self.language_hints)
        return SonioxWire(
            {**config, "audio_format": encoding, "sample_rate": audio.sample_rate, "num_channels": 1}
        )


STT = SonioxSTT
