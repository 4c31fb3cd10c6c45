"""Speechmatics real-time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from .._wire.recognizer import RecognizerWire
from .._wire.speechmatics import SpeechmaticsWire
from ..errors import PatterConfigError
from ..events import AudioFormat, Encoding
from ._checks import as_tuple, flag, number, one_of, optional, texts
from ._settings import SocketSTT

__all__ = ["STT", "SpeechmaticsSTT"]

_SENT = ("language", "model", "max_delay", "max_delay_mode", "enable_entities", "domain", "output_locale")


def _vocabulary(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    for term in value if isinstance(value, tuple) else (None,):
        written = term.get("content") if isinstance(term, Mapping) else term
        if not isinstance(written, str) or not written:
            raise PatterConfigError(
                f"{attribute.name}= holds {term!r}", hint="a word, or {'content': …, 'sounds_like': [...]}"
            )


@attrs.frozen(kw_only=True)
class SpeechmaticsSTT(SocketSTT):
    """Speechmatics over a WebSocket, in the carrier's own µ-law.

    Parameters that are None are not sent.

    Args:
        language: the caller's language.
        model: ``enhanced``, ``standard`` or ``melia-1``.
        turn_detection_mode: who says that an utterance is over: ``external`` is the call's own detector,
            ``fixed`` the vendor's measure of silence, ``adaptive`` whichever is first.
        end_of_utterance_silence_trigger: seconds of silence of that measure, above 0 to 2.
        include_partials: words while they may still change.
        max_delay: seconds after which words are final, 0.7 to 4.
        max_delay_mode: ``flexible`` lets numbers and dates take longer, ``fixed`` does not.
        enable_entities: numbers and dates as people write them.
        enable_diarization: tells speakers apart.
        additional_vocab: words to expect, each a text or ``{"content": …, "sounds_like": […]}``.
        domain: a field with words of its own, such as ``medical``.
        output_locale: how words are spelt, such as ``en-GB``.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "speechmatics"
    key_names: ClassVar[tuple[str, ...]] = ("SPEECHMATICS_API_KEY",)
    encodings: ClassVar[Mapping[str, Encoding]] = {"mulaw": "mulaw", "pcm_s16le": "linear16"}

    base_url: str = "wss://eu2.rt.speechmatics.com/v2"
    language: str = attrs.field(default="en", validator=texts)
    model: str = attrs.field(default="enhanced", validator=texts)
    turn_detection_mode: str = attrs.field(
        default="adaptive", validator=one_of("external", "fixed", "adaptive")
    )
    end_of_utterance_silence_trigger: float = attrs.field(default=0.5, validator=number(0.0, 2.0))
    include_partials: bool = attrs.field(default=True, validator=flag)
    max_delay: float | None = attrs.field(default=0.7, validator=optional(number(0.7, 4.0)))
    max_delay_mode: str | None = attrs.field(
        default="flexible", validator=optional(one_of("flexible", "fixed"))
    )
    enable_entities: bool | None = attrs.field(default=None, validator=optional(flag))
    enable_diarization: bool = attrs.field(default=False, validator=flag)
    additional_vocab: tuple[str | Mapping[str, Any], ...] = attrs.field(
        default=(), converter=as_tuple, validator=_vocabulary
    )
    domain: str | None = attrs.field(default=None, validator=optional(texts))
    output_locale: str | None = attrs.field(default=None, validator=optional(texts))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.turn_detection_mode != "external" and not self.end_of_utterance_silence_trigger:
            raise PatterConfigError(
                f"turn_detection_mode={self.turn_detection_mode!r} needs a silence",
                hint="pass end_of_utterance_silence_trigger=0.5, or turn_detection_mode='external'",
            )

    def make_wire(self, encoding: str, audio: AudioFormat) -> RecognizerWire:
        """A connection that begins with the settings."""
        external = self.turn_detection_mode == "external"
        config: dict[str, Any] = {
            **{name: getattr(self, name) for name in _SENT if getattr(self, name) is not None},
            "enable_partials": self.include_partials,
            "conversation_config": {
                "end_of_utterance_silence_trigger": 0 if external else self.end_of_utterance_silence_trigger
            },
        }
        if self.enable_diarization:
            config["diarization"] = "speaker"
        if self.additional_vocab:
            config["additional_vocab"] = [
                {"content": term} if isinstance(term, str) else dict(term) for term in self.additional_vocab
            ]
        sound = {"type": "raw", "encoding": encoding, "sample_rate": audio.sample_rate}
        return SpeechmaticsWire(
            {"audio_format": sound, "transcription_config": config},
            forces_ends=self.turn_detection_mode != "fixed",
        )


STT = SpeechmaticsSTT
