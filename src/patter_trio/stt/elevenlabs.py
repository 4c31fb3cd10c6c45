"""ElevenLabs Scribe realtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from .._wire.recognizer import RecognizerWire
from .._wire.scribe import ScribeWire
from ..errors import PatterConfigError
from ..events import AudioFormat, Encoding
from ._checks import as_tuple, between, flag, listed_texts, number, one_of, optional, texts
from ._settings import SocketSTT

__all__ = ["STT", "ElevenLabsSTT"]

_SENT = (
    *("commit_strategy", "vad_silence_threshold_secs", "vad_threshold", "min_speech_duration_ms"),
    *("min_silence_duration_ms", "language_code", "secondary_languages", "include_timestamps", "keyterms"),
    *("no_verbatim", "enable_logging"),
)
_RATES: Mapping[str, tuple[int, ...]] = {
    "ulaw": (8000,),
    "pcm": (16000, 8000, 22050, 24000, 44100, 48000),
}


def _terms(settings: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    listed_texts(settings, attribute, value)
    if len(value) > 50 or any(len(term) > 20 for term in value):
        raise PatterConfigError("keyterms= holds too much", hint="at most 50 terms of 20 letters each")


@attrs.frozen(kw_only=True)
class ElevenLabsSTT(SocketSTT):
    """Scribe realtime over a WebSocket, in the carrier's own µ-law.

    Parameters that are None are not sent.

    Args:
        model: the model (``model_id``).
        language_code: the caller's language; None to find it out.
        commit_strategy: who ends an utterance: ``manual`` is the call's own detector, ``vad`` that and the
            vendor's.
        vad_silence_threshold_secs: seconds of silence of the vendor's detector, 0.3 to 3.
        vad_threshold: how sure it must be of a voice, 0.1 to 0.9.
        min_speech_duration_ms: milliseconds of voice that count as speech, 50 to 2000.
        min_silence_duration_ms: milliseconds of silence that count as such, 50 to 2000.
        secondary_languages: other languages to expect, as a text or several.
        keyterms: terms to expect, as a text or several; at most 50 of 20 letters each.
        no_verbatim: leaves out "um" and false starts.
        enable_logging: whether the vendor may keep anything.
        include_timestamps: the times and confidence of words.
        previous_text: what was said before the call's first words.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "elevenlabs"
    key_names: ClassVar[tuple[str, ...]] = ("ELEVENLABS_API_KEY",)
    encodings: ClassVar[Mapping[str, Encoding]] = {"ulaw": "mulaw", "pcm": "linear16"}

    base_url: str = "wss://api.elevenlabs.io/v1/speech-to-text/realtime"
    model: str = attrs.field(default="scribe_v2_realtime", validator=texts)
    language_code: str | None = attrs.field(default="en", validator=optional(texts))
    commit_strategy: str = attrs.field(default="vad", validator=one_of("vad", "manual"))
    vad_silence_threshold_secs: float | None = attrs.field(default=0.6, validator=optional(number(0.3, 3.0)))
    vad_threshold: float | None = attrs.field(default=None, validator=optional(number(0.1, 0.9)))
    min_speech_duration_ms: int | None = attrs.field(default=None, validator=optional(between(50, 2000)))
    min_silence_duration_ms: int | None = attrs.field(default=None, validator=optional(between(50, 2000)))
    include_timestamps: bool = attrs.field(default=True, validator=flag)
    secondary_languages: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    keyterms: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=_terms)
    no_verbatim: bool | None = attrs.field(default=None, validator=optional(flag))
    enable_logging: bool | None = attrs.field(default=None, validator=optional(flag))
    previous_text: str | None = attrs.field(default=None, validator=optional(texts))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        rates = _RATES[self.encoding] if self.encoding else {*_RATES["ulaw"], *_RATES["pcm"]}
        if self.sample_rate is not None and self.sample_rate not in rates:
            raise PatterConfigError(
                f"sample_rate={self.sample_rate} is not taken",
                hint=f"one of {', '.join(map(str, sorted(rates)))}",
            )

    def _sent_format(self, audio: AudioFormat) -> tuple[str, AudioFormat]:
        encoding, target = super()._sent_format(audio)
        if target.sample_rate in _RATES[encoding]:
            return encoding, target
        return encoding, AudioFormat(target.encoding, _RATES[encoding][0])

    def make_wire(self, encoding: str, audio: AudioFormat) -> RecognizerWire:
        """A connection of its own."""
        return ScribeWire(
            audio.sample_rate, with_times=self.include_timestamps, previous_text=self.previous_text
        )

    def query_fields(self, encoding: str, audio: AudioFormat) -> Mapping[str, Any]:
        """All of it stands in the address."""
        sent = {name: getattr(self, name) for name in _SENT}
        return {"model_id": self.model, "audio_format": f"{encoding}_{audio.sample_rate}", **sent}

    def request_headers(self) -> Mapping[str, str]:
        """The key in the vendor's own header."""
        return {"xi-api-key": self.key}


STT = ElevenLabsSTT
