"""AssemblyAI's streaming v3: turns, each told cumulatively, its latest words only in ``words``.

Where turns are formatted their end is told twice, plainly first: that one is taken, it comes earlier. Sound
must come in pieces of 50 to 1000 ms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec

from ..errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    RateLimitError,
)
from ..events import Transcript
from .recognizer import Cue, Message, RecognizerWire, Said, encode, read, spoken_word

__all__ = ["AssemblyAIWire"]


class _Word(msgspec.Struct):
    text: str = ""
    start: float = 0
    end: float = 0
    confidence: float | None = None


class _Message(msgspec.Struct):
    type: str = ""
    turn_order: int = 0
    end_of_turn: bool = False
    transcript: str = ""
    words: list[_Word] = []
    error_code: int | None = None
    error: str | None = None


_message = msgspec.json.Decoder(_Message)

_FORCE_END = encode({"type": "ForceEndpoint"})
_KEEP_ALIVE = encode({"type": "KeepAlive"})
_TERMINATE = encode({"type": "Terminate"})

# Codes of errors and of closing; 4xxx are those of the older service, which still come.
_REFUSED_KEY = (1008, 4001, 4002, 4003)
_WRONG_INPUT = (3006, 3007, 4000, 4032, 4033, 4034, 4100, 4101)
_TOO_MANY = (3009, 4029, 4102)


class AssemblyAIWire(RecognizerWire):
    """One connection to ``/v3/ws``."""

    name: ClassVar[str] = "assemblyai"
    greets: ClassVar[bool] = True
    smallest: ClassVar[float] = 0.05
    keep_alive_every: ClassVar[float] = 5.0

    def __init__(self) -> None:
        self._ended = -1

    def finalise(self) -> Sequence[Message]:
        """``ForceEndpoint``, which has no answer where nothing was said."""
        return (_FORCE_END,)

    def keep_alive(self) -> Sequence[Message]:
        """``KeepAlive``."""
        return (_KEEP_ALIVE,)

    def finish(self) -> Sequence[Message]:
        """``Terminate``: without it the session is billed until it times out."""
        return (_TERMINATE,)

    def receive(self, message: Message) -> Iterator[Said]:
        """Turns as far as they have come, and their ends."""
        received = read(_message, message, self.name)
        if received.type == "Begin":
            yield Cue.READY
        elif received.type == "Turn":
            yield from self._turn(received)
        elif received.type == "Termination":
            yield Cue.CLOSED
        elif received.error is not None:
            raise _error(received.error_code, received.error)

    def _turn(self, received: _Message) -> Iterator[Said]:
        if received.turn_order <= self._ended:
            return
        if received.end_of_turn:
            self._ended = received.turn_order
        text = received.transcript
        if not received.end_of_turn and received.words:
            text = " ".join(word.text for word in received.words)
        known = [word.confidence for word in received.words if word.confidence is not None]
        yield Transcript(
            text,
            is_final=received.end_of_turn,
            confidence=sum(known) / len(known) if known else None,
            speech_final=received.end_of_turn,
            words=tuple(
                spoken_word(word.text, word.start / 1000, word.end / 1000, word.confidence)
                for word in received.words
            ),
        )

    def closed(self, code: int | None, reason: str) -> PatterError | None:
        """What the codes above 3000, and 1008, stand for."""
        if code == 1008 or (code is not None and code >= 3000):
            return _error(code, reason or "no reason given")
        return None


def _error(code: int | None, said: str) -> PatterError:
    message = f"assemblyai: {said} ({code})"
    if code in _REFUSED_KEY:
        return AuthenticationError(message)
    if code in _WRONG_INPUT:
        return PatterConfigError(message)
    if code in _TOO_MANY:
        return RateLimitError(message)
    return PatterConnectionError(message)
