"""Speechmatics' real-time v2: finals in pieces, partials for what follows them, ends of utterances.

Whether pieces bring their own spaces is not said alike everywhere; they are put together by what they hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ..errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    RateLimitError,
    RecognizerError,
)
from ..events import Transcript
from .recognizer import Cue, Message, RecognizerWire, Said, encode, read, spoken_word

__all__ = ["SpeechmaticsWire"]


class _Alternative(msgspec.Struct):
    content: str = ""
    confidence: float | None = None


class _Result(msgspec.Struct):
    type: str = ""
    start_time: float = 0.0
    end_time: float = 0.0
    attaches_to: str | None = None
    alternatives: list[_Alternative] = []


class _Metadata(msgspec.Struct):
    transcript: str = ""


class _Message(msgspec.Struct):
    message: str
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    results: list[_Result] = []
    type: str | None = None
    reason: str | None = None


_message = msgspec.json.Decoder(_Message)

_FORCE_END = encode({"message": "ForceEndOfUtterance"})

_ERRORS: Mapping[str, type[PatterError]] = {
    "not_authorised": AuthenticationError,
    "not_allowed": AuthenticationError,
    "quota_exceeded": RateLimitError,
    "invalid_message": PatterConfigError,
    "invalid_model": PatterConfigError,
    "invalid_language": PatterConfigError,
    "invalid_config": PatterConfigError,
    "invalid_audio_type": PatterConfigError,
    "invalid_output_format": PatterConfigError,
    "timelimit_exceeded": PatterConnectionError,
    "idle_timeout": PatterConnectionError,
    "session_timeout": PatterConnectionError,
}


class SpeechmaticsWire(RecognizerWire):
    """One connection, which begins with its settings; each piece of sound counts for the goodbye.

    Args:
        start: the fields of ``StartRecognition``.
        forces_ends: whether the end of an utterance is asked for, or left to the far end's own measure.
    """

    name: ClassVar[str] = "speechmatics"
    greets: ClassVar[bool] = True
    joint: ClassVar[str] = ""
    keep_alive_every: ClassVar[float] = 30.0

    def __init__(self, start: Mapping[str, Any], *, forces_ends: bool = True) -> None:
        self._start = start
        self._forces_ends = forces_ends
        self._pieces = 0

    def opening(self) -> Sequence[Message]:
        """The settings."""
        return (encode({"message": "StartRecognition", **self._start}),)

    def sound(self, audio: bytes) -> Message:
        """The sound as it is, counted."""
        self._pieces += 1
        return audio

    def finalise(self) -> Sequence[Message]:
        """``ForceEndOfUtterance``."""
        return (_FORCE_END,) if self._forces_ends else ()

    def finish(self) -> Sequence[Message]:
        """``EndOfStream``, with the number of the last piece; answered by ``EndOfTranscript``."""
        return (encode({"message": "EndOfStream", "last_seq_no": self._pieces}),)

    def receive(self, message: Message) -> Iterator[Said]:
        """Pieces of utterances, and their ends."""
        received = read(_message, message, self.name)
        if received.message == "RecognitionStarted":
            yield Cue.READY
        elif received.message in ("AddTranscript", "AddPartialTranscript"):
            yield _transcript(received, is_final=received.message == "AddTranscript")
        elif received.message == "EndOfUtterance":
            yield Cue.FINALISED
        elif received.message == "EndOfTranscript":
            yield Cue.CLOSED
        elif received.message == "Error":
            kind = _ERRORS.get(received.type or "", RecognizerError)
            raise kind(f"speechmatics: {received.reason or 'no reason given'} ({received.type})")


def _transcript(received: _Message, *, is_final: bool) -> Transcript:
    words = [result for result in received.results if result.type != "punctuation" and result.alternatives]
    known = [
        result.alternatives[0].confidence for result in words if result.alternatives[0].confidence is not None
    ]
    text = received.metadata.transcript.strip()
    attached = bool(received.results) and received.results[0].attaches_to == "previous"
    return Transcript(
        text if attached or not text else f" {text}",
        is_final=is_final,
        confidence=sum(known) / len(known) if known else None,
        words=tuple(
            spoken_word(
                result.alternatives[0].content,
                result.start_time,
                result.end_time,
                result.alternatives[0].confidence,
            )
            for result in words
        ),
    )
