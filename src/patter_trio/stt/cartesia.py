"""Cartesia's ink models: asked for their final words, or hearing turns themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from .._wire.cartesia import CartesiaTurnsWire, CartesiaWire
from .._wire.recognizer import RecognizerWire
from ..errors import PatterConfigError
from ..events import AudioFormat, Encoding
from ._checks import as_tuple, listed_texts, number, optional, seconds, texts, whole
from ._settings import SocketSTT

__all__ = ["STT", "CartesiaSTT", "CartesiaTurnsSTT"]

_MOST_TERMS = 100
_MOST_LETTERS = 1200


def _terms(settings: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    listed_texts(settings, attribute, value)
    if len(value) > _MOST_TERMS or sum(map(len, value)) > _MOST_LETTERS:
        raise PatterConfigError(
            f"keyterm= has {len(value)} terms of {sum(map(len, value))} letters",
            hint=f"at most {_MOST_TERMS} terms, {_MOST_LETTERS} letters together",
        )


@attrs.frozen(kw_only=True)
class _CartesiaSTT(SocketSTT):
    """What both ways share.

    Args:
        version: the dated version of the protocol.
        keyterm: terms to expect, as a text or several; at most 100, 1200 letters together.
    """

    key_names: ClassVar[tuple[str, ...]] = ("CARTESIA_API_KEY",)
    encodings: ClassVar[Mapping[str, Encoding]] = {
        "pcm_mulaw": "mulaw",
        "pcm_alaw": "alaw",
        "pcm_s16le": "linear16",
    }

    version: str = attrs.field(default="2026-08-14", validator=texts)
    keyterm: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=_terms)

    def request_headers(self) -> Mapping[str, str]:
        """The key, and the version of the protocol."""
        return {"Authorization": f"Bearer {self.key}", "Cartesia-Version": self.version}


@attrs.frozen(kw_only=True)
class CartesiaSTT(_CartesiaSTT):
    """Cartesia over a WebSocket, asked for its final words at the end of speech, in the carrier's own µ-law.

    Parameters that are None are not sent.

    Args:
        model: the model.
        language: the caller's language.
        min_volume: how loud speech must be, 0 to 1; ink-whisper only.
        max_silence_duration_secs: seconds of silence that end a part; ink-whisper only.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "cartesia"

    base_url: str = "wss://api.cartesia.ai/stt/websocket"
    model: str = attrs.field(default="ink-whisper", validator=texts)
    language: str | None = attrs.field(default="en", validator=optional(texts))
    min_volume: float | None = attrs.field(default=None, validator=optional(number(0.0, 1.0)))
    max_silence_duration_secs: float | None = attrs.field(default=None, validator=optional(seconds))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        for name in ("min_volume", "max_silence_duration_secs"):
            if getattr(self, name) is not None and not self.model.startswith("ink-whisper"):
                raise PatterConfigError(
                    f"{name}= is for ink-whisper only", hint=f"leave it out for {self.model}"
                )

    def make_wire(self, encoding: str, audio: AudioFormat) -> RecognizerWire:
        """A connection of its own."""
        return CartesiaWire()

    def query_fields(self, encoding: str, audio: AudioFormat) -> Mapping[str, Any]:
        """All of it stands in the address."""
        names = ("model", "language", "min_volume", "max_silence_duration_secs", "keyterm")
        sent = {name: getattr(self, name) for name in names}
        return {**sent, "encoding": encoding, "sample_rate": audio.sample_rate}


@attrs.frozen(kw_only=True)
class CartesiaTurnsSTT(_CartesiaSTT):
    """Cartesia over a WebSocket, judging itself when the caller has finished, in the carrier's own µ-law.

    Parameters that are None are not sent.

    Args:
        model: the model.
        turn_start_threshold: how sure it must be that a turn began, 0.5 to 0.9.
        turn_eager_end_threshold: how sure that it goes on, below which its end is told speculatively;
            0.3 to 0.6.
        turn_end_threshold: the same for its end, 0.05 to 0.5.
        turn_end_timeout_ms: milliseconds of silence that end a turn however sure it is.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "cartesia_turns"

    base_url: str = "wss://api.cartesia.ai/stt/turns/websocket"
    model: str = attrs.field(default="ink-2", validator=texts)
    # Two sources differ about what the vendor takes when they are left out, so they are sent.
    turn_start_threshold: float | None = attrs.field(default=0.8, validator=optional(number(0.5, 0.9)))
    turn_eager_end_threshold: float | None = attrs.field(default=0.4, validator=optional(number(0.3, 0.6)))
    turn_end_threshold: float | None = attrs.field(default=0.2, validator=optional(number(0.05, 0.5)))
    turn_end_timeout_ms: int | None = attrs.field(default=5600, validator=optional(whole(1)))

    def make_wire(self, encoding: str, audio: AudioFormat) -> RecognizerWire:
        """A connection of its own."""
        return CartesiaTurnsWire()

    def query_fields(self, encoding: str, audio: AudioFormat) -> Mapping[str, Any]:
        """All of it stands in the address."""
        return {
            "model": self.model,
            "encoding": encoding,
            "sample_rate": audio.sample_rate,
            "turn_start_threshold": self.turn_start_threshold,
            "turn_eager_end_threshold": self.turn_eager_end_threshold,
            "turn_end_threshold": self.turn_end_threshold,
            "turn_end_timeout_ms": self.turn_end_timeout_ms,
            "keyterm": self.keyterm,
        }


STT = CartesiaSTT
