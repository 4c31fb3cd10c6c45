"""ElevenLabs' Scribe realtime: everything is JSON, sound in base64; a commit ends an utterance.

Where times are asked for a commit is told twice, without them and with them. Some commits have been seen
without the second: the first one's words are then given when the next message comes.
"""

from __future__ import annotations

import base64
import math
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

__all__ = ["ScribeWire"]


class _Word(msgspec.Struct):
    text: str = ""
    start: float | None = None
    end: float | None = None
    type: str = "word"
    logprob: float | None = None


class _Message(msgspec.Struct):
    message_type: str
    text: str = ""
    words: list[_Word] | None = None
    error: str | None = None


_message = msgspec.json.Decoder(_Message)

_ERRORS: Mapping[str, type[PatterError]] = {
    "auth_error": AuthenticationError,
    "unaccepted_terms": AuthenticationError,
    "quota_exceeded": RateLimitError,
    "rate_limited": RateLimitError,
    "queue_overflow": RateLimitError,
    "resource_exhausted": RateLimitError,
    "input_error": PatterConfigError,
    "invalid_request": PatterConfigError,
    "chunk_size_exceeded": PatterConfigError,
    "session_time_limit_exceeded": PatterConnectionError,
    "insufficient_audio_activity": PatterConnectionError,
    "transcriber_error": RecognizerError,
    "error": RecognizerError,
}


class ScribeWire(RecognizerWire):
    """One connection.

    Args:
        sample_rate: of the sound, which stands in each message.
        with_times: whether commits are told with the times of their words.
        previous_text: what was said before, for the first message.
    """

    name: ClassVar[str] = "elevenlabs"
    greets: ClassVar[bool] = True
    says_goodbye: ClassVar[bool] = False
    smallest: ClassVar[float] = 0.08
    keep_alive_every: ClassVar[float] = 5.0

    def __init__(self, sample_rate: int, *, with_times: bool, previous_text: str | None = None) -> None:
        self._sample_rate = sample_rate
        self._with_times = with_times
        self._previous_text = previous_text
        self._untimed: Transcript | None = None

    def sound(self, audio: bytes) -> Message:
        """A piece of sound in base64."""
        return self._chunk(audio, commit=False)

    def finalise(self) -> Sequence[Message]:
        """A commit without sound."""
        return (self._chunk(b"", commit=True),)

    def finish(self) -> Sequence[Message]:
        """A last commit; there is no goodbye."""
        return self.finalise()

    def _chunk(self, audio: bytes, *, commit: bool) -> Message:
        fields: dict[str, Any] = {
            "message_type": "input_audio_chunk",
            "audio_base_64": base64.b64encode(audio).decode(),
            "commit": commit,
            "sample_rate": self._sample_rate,
        }
        if self._previous_text is not None:
            fields["previous_text"], self._previous_text = self._previous_text, None
        return encode(fields)

    def receive(self, message: Message) -> Iterator[Said]:
        """Words as far as they are known, and commits."""
        received = read(_message, message, self.name)
        untimed, self._untimed = self._untimed, None
        if received.message_type == "committed_transcript_with_timestamps":
            if self._with_times:
                yield _timed(received)
            return
        if untimed is not None:
            yield untimed
        if received.message_type == "session_started":
            yield Cue.READY
        elif received.message_type == "partial_transcript":
            yield Transcript(received.text)
        elif received.message_type == "committed_transcript":
            committed = Transcript(received.text, is_final=True, speech_final=True)
            if self._with_times:
                self._untimed = committed
                yield Transcript(received.text)
            else:
                yield committed
        elif received.message_type in _ERRORS:
            said = received.error or "no reason given"
            raise _ERRORS[received.message_type](f"elevenlabs: {said} ({received.message_type})")


def _timed(received: _Message) -> Transcript:
    words = tuple(
        spoken_word(word.text.strip(), word.start, word.end, _probability(word.logprob))
        for word in received.words or ()
        if word.type == "word" and word.start is not None and word.end is not None
    )
    known = [word.confidence for word in words if word.confidence is not None]
    return Transcript(
        received.text,
        is_final=True,
        confidence=sum(known) / len(known) if known else None,
        speech_final=True,
        words=words,
    )


def _probability(logprob: float | None) -> float | None:
    return None if logprob is None else math.exp(min(0.0, logprob))
