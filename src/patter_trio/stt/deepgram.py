"""Deepgram's nova models, which say when words are final and when the caller has finished."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs

from .._wire.deepgram import DeepgramWire
from .._wire.recognizer import RecognizerWire
from ..errors import PatterConfigError
from ..events import AudioFormat, CallInfo, Encoding
from ._checks import as_tuple, flag, listed_texts, optional, texts, whole
from ._settings import SocketSTT

__all__ = ["STT", "DeepgramSTT"]

# Sent under their own names when they are not None.
_SENT = (
    *("model", "version", "language", "language_hint", "interim_results", "utterance_end_ms", "vad_events"),
    *(
        "smart_format",
        "punctuate",
        "numerals",
        "profanity_filter",
        "redact",
        "replace",
        "keyterm",
        "keywords",
    ),
    *("diarize", "diarize_model", "dictation", "detect_entities", "search", "tag", "extra", "mip_opt_out"),
    *("callback", "callback_method", "no_delay"),
)


def _endpointing(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not False:
        optional(whole(0))(_, attribute, value)


@attrs.frozen(kw_only=True)
class DeepgramSTT(SocketSTT):
    """Deepgram over a WebSocket, by default nova-3, in the carrier's own µ-law.

    Parameters that are None are not sent. Lists are given as a text or several.

    Args:
        model: the model; nova-2 takes ``keywords`` in place of ``keyterm``.
        version: a version of it.
        language: BCP 47 tag, or ``multi``.
        language_hint: languages to expect, with ``multi``.
        interim_results: words while they may still change.
        endpointing_ms: milliseconds of silence after which the recogniser itself calls an utterance finished;
            False for never.
        utterance_end_ms: milliseconds without words after which it does so in noise; from 1000, and only with
            ``interim_results``.
        vad_events: whether it tells where speech starts.
        smart_format: numbers, dates and addresses as people write them.
        punctuate: punctuation and capitals.
        numerals: numbers as digits.
        profanity_filter: leaves out what is not said in company.
        redact: kinds of information to leave out, such as ``pci``.
        replace: ``word:other`` pairs.
        keyterm: terms to expect.
        keywords: the same for nova-2, ``word:boost``.
        diarize: tells speakers apart.
        diarize_model: what does so.
        dictation: spoken punctuation.
        detect_entities: names of entities.
        search: terms to look for.
        tag: labels of the request for the vendor's usage reports.
        extra: ``key:value`` pairs that come back.
        mip_opt_out: keeps the sound out of the vendor's training.
        callback: where the vendor sends results besides.
        callback_method: ``POST`` or ``PUT``.
        no_delay: results at once, without waiting for formatting.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "deepgram"
    key_names: ClassVar[tuple[str, ...]] = ("DEEPGRAM_API_KEY",)
    encodings: ClassVar[Mapping[str, Encoding]] = {"mulaw": "mulaw", "alaw": "alaw", "linear16": "linear16"}

    base_url: str = "wss://api.deepgram.com/v1/listen"
    model: str = attrs.field(default="nova-3", validator=texts)
    version: str | None = attrs.field(default=None, validator=optional(texts))
    language: str | None = attrs.field(default="en", validator=optional(texts))
    language_hint: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    interim_results: bool = attrs.field(default=True, validator=flag)
    endpointing_ms: int | Literal[False] | None = attrs.field(default=150, validator=_endpointing)
    utterance_end_ms: int | None = attrs.field(default=1000, validator=optional(whole(1000)))
    vad_events: bool | None = attrs.field(default=True, validator=optional(flag))
    smart_format: bool | None = attrs.field(default=False, validator=optional(flag))
    punctuate: bool | None = attrs.field(default=True, validator=optional(flag))
    numerals: bool | None = attrs.field(default=None, validator=optional(flag))
    profanity_filter: bool | None = attrs.field(default=None, validator=optional(flag))
    redact: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    replace: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    keyterm: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    keywords: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    diarize: bool | None = attrs.field(default=None, validator=optional(flag))
    diarize_model: str | None = attrs.field(default=None, validator=optional(texts))
    dictation: bool | None = attrs.field(default=None, validator=optional(flag))
    detect_entities: bool | None = attrs.field(default=None, validator=optional(flag))
    search: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    tag: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    extra: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    mip_opt_out: bool | None = attrs.field(default=None, validator=optional(flag))
    callback: str | None = attrs.field(default=None, validator=optional(texts))
    callback_method: str | None = attrs.field(default=None, validator=optional(texts))
    no_delay: bool | None = attrs.field(default=True, validator=optional(flag))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.utterance_end_ms is not None and not self.interim_results:
            raise PatterConfigError(
                "utterance_end_ms= needs interim_results=True", hint="pass utterance_end_ms=None"
            )
        if self.keyterm and self.model.startswith("nova-2"):
            raise PatterConfigError("keyterm= is not for nova-2", hint="pass keywords= to it")
        if self.keywords and self.model.startswith("nova-3"):
            raise PatterConfigError("keywords= is not for nova-3", hint="pass keyterm= to it")

    def make_wire(self, encoding: str, audio: AudioFormat, call: CallInfo) -> RecognizerWire:
        """A connection of its own."""
        return DeepgramWire()

    def query_fields(self, encoding: str, audio: AudioFormat, call: CallInfo) -> Mapping[str, Any]:
        """All of it stands in the address."""
        return {
            **{name: getattr(self, name) for name in _SENT},
            "endpointing": self.endpointing_ms,
            "encoding": encoding,
            "sample_rate": audio.sample_rate,
            "channels": 1,
        }

    def request_headers(self) -> Mapping[str, str]:
        """The key under the vendor's own scheme."""
        return {"Authorization": f"Token {self.key}"}


STT = DeepgramSTT
