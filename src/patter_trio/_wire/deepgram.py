"""Deepgram's ``/v1/listen`` (nova): windows of results, of which some end an utterance.

``speech_final`` may be missed in noise; ``UtteranceEnd`` then says the same. ``Finalize`` is answered by a
result that says so, unless nothing was buffered. An empty binary message would end the stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec

from ..errors import PatterConfigError, PatterConnectionError, PatterError, RecognizerError
from ..events import Transcript
from .recognizer import Cue, Message, RecognizerWire, Said, encode, read, spoken_word

__all__ = ["DeepgramWire"]


class _Word(msgspec.Struct):
    word: str = ""
    start: float = 0.0
    end: float = 0.0
    confidence: float | None = None
    punctuated_word: str | None = None


class _Alternative(msgspec.Struct):
    transcript: str = ""
    confidence: float | None = None
    words: list[_Word] = []


class _Channel(msgspec.Struct):
    alternatives: list[_Alternative] = []


class _Message(msgspec.Struct):
    type: str
    # Results have an object here, other messages a list of numbers.
    channel: msgspec.Raw = msgspec.Raw(b"{}")
    is_final: bool = False
    speech_final: bool = False
    from_finalize: bool = False
    variant: str | None = None
    description: str | None = None
    code: str | None = None


_message = msgspec.json.Decoder(_Message)
_channel = msgspec.json.Decoder(_Channel)

_KEEP_ALIVE = encode({"type": "KeepAlive"})
_FINALIZE = encode({"type": "Finalize"})
_CLOSE = encode({"type": "CloseStream"})


class DeepgramWire(RecognizerWire):
    """One connection to ``/v1/listen``."""

    name: ClassVar[str] = "deepgram"
    # The far end gives up after 10 s.
    keep_alive_every: ClassVar[float] = 4.0
    largest: ClassVar[float] = 0.25

    def finalise(self) -> Sequence[Message]:
        """``Finalize``."""
        return (_FINALIZE,)

    def keep_alive(self) -> Sequence[Message]:
        """``KeepAlive``, which has no answer; it must be a text message."""
        return (_KEEP_ALIVE,)

    def finish(self) -> Sequence[Message]:
        """``CloseStream``: the rest of the words come, then ``Metadata``, then the end."""
        return (_CLOSE,)

    def receive(self, message: Message) -> Iterator[Said]:
        """Results and ends of utterances."""
        received = read(_message, message, self.name)
        if received.type == "Results":
            yield from self._results(received)
        elif received.type == "UtteranceEnd":
            yield Cue.UTTERANCE_ENDED
        elif received.type == "Error":
            what = received.variant or received.code or "error"
            raise RecognizerError(f"deepgram: {received.description or 'no description'} ({what})")
        elif received.type == "ConfigureFailure":
            raise PatterConfigError(f"deepgram refused a setting: {received.description or received.code}")

    def _results(self, received: _Message) -> Iterator[Said]:
        channel = read(_channel, bytes(received.channel), self.name)
        best = channel.alternatives[0] if channel.alternatives else _Alternative()
        yield Transcript(
            best.transcript,
            is_final=received.is_final,
            confidence=best.confidence if best.transcript else None,
            speech_final=received.is_final and received.speech_final,
            from_finalize=received.is_final and received.from_finalize,
            words=tuple(
                spoken_word(word.punctuated_word or word.word, word.start, word.end, word.confidence)
                for word in best.words
            ),
        )

    def closed(self, code: int | None, reason: str) -> PatterError | None:
        """1008 is sound that cannot be decoded; the others are the network's, or too long a silence."""
        if code == 1008:
            return PatterConfigError(
                f"deepgram cannot read the sound it is sent: {reason or 'no reason given'}"
            )
        if code == 1011:
            return PatterConnectionError(f"deepgram gave up: {reason or 'no reason given'}")
        return None
