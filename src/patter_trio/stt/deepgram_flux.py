"""Deepgram's Flux models, which hear turns: when the caller begins, and when they have finished."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from .._wire.deepgram_flux import DeepgramFluxWire
from .._wire.recognizer import RecognizerWire
from ..errors import PatterConfigError
from ..events import AudioFormat, Encoding
from ._checks import as_tuple, between, flag, listed_texts, number, optional, texts
from ._settings import SocketSTT

__all__ = ["STT", "DeepgramFluxSTT"]

_SENT = (
    *("model", "eot_threshold", "eager_eot_threshold", "eot_timeout_ms", "keyterm", "language_hint"),
    *("numerals", "profanity_filter", "redact", "tag", "mip_opt_out"),
)


@attrs.frozen(kw_only=True)
class DeepgramFluxSTT(SocketSTT):
    """Deepgram's turn-native models over a WebSocket, in the carrier's own µ-law.

    Parameters that are None are not sent. Lists are given as a text or several.

    Args:
        model: ``flux-general-en`` or ``flux-general-multi``.
        eot_threshold: how sure the model must be that a turn is over, 0.5 to 1.0, which is never.
        eager_eot_threshold: how sure it must be to say so speculatively, 0.3 to 0.9, at most
            ``eot_threshold``.
        eot_timeout_ms: milliseconds of silence that end a turn however sure it is, 500 to 60000.
        keyterm: terms to expect.
        language_hint: languages to expect, with the multilingual model.
        numerals: numbers as digits.
        profanity_filter: leaves out what is not said in company.
        redact: kinds of information to leave out, such as ``pci``.
        tag: labels of the request for the vendor's usage reports.
        mip_opt_out: keeps the sound out of the vendor's training.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "deepgram_flux"
    key_names: ClassVar[tuple[str, ...]] = ("DEEPGRAM_API_KEY",)
    encodings: ClassVar[Mapping[str, Encoding]] = {"mulaw": "mulaw", "alaw": "alaw", "linear16": "linear16"}

    base_url: str = "wss://api.deepgram.com/v2/listen"
    model: str = attrs.field(default="flux-general-en", validator=texts)
    eot_threshold: float | None = attrs.field(default=0.7, validator=optional(number(0.5, 1.0)))
    eager_eot_threshold: float | None = attrs.field(default=None, validator=optional(number(0.3, 0.9)))
    eot_timeout_ms: int | None = attrs.field(default=5000, validator=optional(between(500, 60000)))
    keyterm: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    language_hint: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    numerals: bool | None = attrs.field(default=None, validator=optional(flag))
    profanity_filter: bool | None = attrs.field(default=None, validator=optional(flag))
    redact: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    tag: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    mip_opt_out: bool | None = attrs.field(default=None, validator=optional(flag))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.language_hint and not self.model.endswith("multi"):
            raise PatterConfigError(
                "language_hint= needs a multilingual model", hint="model='flux-general-multi'"
            )
        if (self.eager_eot_threshold or 0.0) > (self.eot_threshold or 0.7):
            raise PatterConfigError("eager_eot_threshold= is above eot_threshold=")

    def make_wire(self, encoding: str, audio: AudioFormat) -> RecognizerWire:
        """A connection of its own."""
        return DeepgramFluxWire()

    def query_fields(self, encoding: str, audio: AudioFormat) -> Mapping[str, Any]:
        """All of it stands in the address."""
        sent = {name: getattr(self, name) for name in _SENT}
        return {**sent, "encoding": encoding, "sample_rate": audio.sample_rate}

    def request_headers(self) -> Mapping[str, str]:
        """The key under the vendor's own scheme."""
        return {"Authorization": f"Token {self.key}"}


STT = DeepgramFluxSTT
