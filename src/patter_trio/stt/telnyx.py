"""Telnyx' speech to text: one address for the engines of several vendors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from .._wire.recognizer import RecognizerWire
from .._wire.telnyx_stt import TelnyxSTTWire
from ..events import AudioFormat, Encoding
from ._checks import as_tuple, flag, listed_texts, optional, texts, whole
from ._settings import SocketSTT

__all__ = ["STT", "TelnyxSTT"]


@attrs.frozen(kw_only=True)
class TelnyxSTT(SocketSTT):
    """Telnyx over a WebSocket; it takes no µ-law, so 16-bit samples are sent.

    Parameters that are None are not sent; which of them an engine knows is the vendor's matter. There is no
    request for final words: where the engine gives none in time, the latest interim ones are taken.

    Args:
        transcription_engine: ``Telnyx``, ``Deepgram``, ``Google``, ``Azure`` and others.
        model: the engine's model, such as ``nova-3``.
        language: the caller's language.
        interim_results: words while they may still change.
        endpointing: milliseconds of silence after which the engine calls words final.
        keyterm: terms to expect, as a text or several.
        redact: kinds of information to leave out, as a text or several.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "telnyx"
    key_names: ClassVar[tuple[str, ...]] = ("TELNYX_API_KEY",)
    encodings: ClassVar[Mapping[str, Encoding]] = {"linear16": "linear16"}

    base_url: str = "wss://api.telnyx.com/v2/speech-to-text/transcription"
    sample_rate: int | None = attrs.field(default=16000, validator=optional(whole(8000)))
    transcription_engine: str = attrs.field(default="Telnyx", validator=texts)
    model: str | None = attrs.field(default=None, validator=optional(texts))
    language: str | None = attrs.field(default="en", validator=optional(texts))
    interim_results: bool = attrs.field(default=True, validator=flag)
    endpointing: int | None = attrs.field(default=None, validator=optional(whole(0)))
    keyterm: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    redact: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)

    def make_wire(self, encoding: str, audio: AudioFormat) -> RecognizerWire:
        """A connection of its own."""
        return TelnyxSTTWire()

    def query_fields(self, encoding: str, audio: AudioFormat) -> Mapping[str, Any]:
        """All of it stands in the address."""
        names = (
            "transcription_engine",
            "model",
            "language",
            "interim_results",
            "endpointing",
            "keyterm",
            "redact",
        )
        sent = {name: getattr(self, name) for name in names}
        return {**sent, "input_format": encoding, "sample_rate": audio.sample_rate}


STT = TelnyxSTT
