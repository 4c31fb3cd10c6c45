"""Deepgram's ``/v2/listen`` (Flux): turns, each told cumulatively until it ends.

A speculative end (``EagerEndOfTurn``) and its withdrawal (``TurnResumed``) say nothing new about the words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec

from ..errors import PatterError, RecognizerError
from ..events import Transcript
from .deepgram import closed_by_deepgram
from .recognizer import Cue, Message, RecognizerWire, Said, encode, read, spoken_word

__all__ = ["DeepgramFluxWire"]


class _Word(msgspec.Struct):
    word: str = ""
    start: float | None = None
    end: float | None = None
    confidence: float | None = None


class _Message(msgspec.Struct):
    type: str
    event: str = ""
    transcript: str = ""
    words: list[_Word] = []
    trigger: str | None = None
    code: str | None = None
    description: str | None = None


_message = msgspec.json.Decoder(_Message)

_FORCE_END = encode({"type": "ForceEndTurn"})
_CLOSE = encode({"type": "CloseStream"})


class DeepgramFluxWire(RecognizerWire):
    """One connection to ``/v2/listen``."""

    name: ClassVar[str] = "deepgram flux"
    greets: ClassVar[bool] = True
    smallest: ClassVar[float] = 0.08
    largest: ClassVar[float] = 0.25
    # There is no message for it: turns only go on with sound.
    keep_alive_every: ClassVar[float] = 1.0

    def finalise(self) -> Sequence[Message]:
        """``ForceEndTurn``, which has no answer where no turn runs."""
        return (_FORCE_END,)

    def finish(self) -> Sequence[Message]:
        """``CloseStream``; that it ends a running turn is not said anywhere, so that is asked for first."""
        return (_FORCE_END, _CLOSE)

    def receive(self, message: Message) -> Iterator[Said]:
        """Turns as far as they have come, and their ends."""
        received = read(_message, message, self.name)
        if received.type == "Connected":
            yield Cue.READY
        elif received.type == "TurnInfo":
            yield _turn(received)
        elif received.type == "Error":
            raise RecognizerError(
                f"{self.name}: {received.description or 'no description'} ({received.code})"
            )

    def closed(self, code: int | None, reason: str) -> PatterError | None:
        """As with ``/v1/listen``."""
        return closed_by_deepgram(self.name, code, reason)


def _turn(received: _Message) -> Transcript:
    ended = received.event == "EndOfTurn"
    known = [word.confidence for word in received.words if word.confidence is not None]
    return Transcript(
        received.transcript,
        is_final=ended,
        confidence=sum(known) / len(known) if known else None,
        speech_final=ended,
        from_finalize=ended and received.trigger == "manual",
        words=tuple(
            spoken_word(word.word, word.start, word.end, word.confidence)
            for word in received.words
            if word.start is not None and word.end is not None
        ),
    )
