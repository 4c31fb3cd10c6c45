"""Cartesia's two ways to recognise: one that is asked for its final words, and one that hears turns.

In the first, commands are bare text, and texts bring their own spaces. The second is never asked; without
sound it does not go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec

from ..errors import PatterError
from ..events import Transcript, Word
from .recognizer import Cue, Message, RecognizerWire, Said, encode, read, spoken_word, status_error

__all__ = ["CartesiaTurnsWire", "CartesiaWire"]


class _Word(msgspec.Struct):
    word: str = ""
    start: float = 0.0
    end: float = 0.0


class _Words(msgspec.Struct):
    """The same as three lists, as the vendor's types have it."""

    words: list[str] = []
    start: list[float] = []
    end: list[float] = []


class _Message(msgspec.Struct):
    type: str
    text: str = ""
    transcript: str = ""
    is_final: bool = False
    words: list[_Word] | _Words | None = None
    title: str | None = None
    message: str | None = None
    status_code: int | None = None
    error_code: str | None = None


_message = msgspec.json.Decoder(_Message)

_CLOSE_TURNS = encode({"type": "close"})


class CartesiaWire(RecognizerWire):
    """One connection to ``/stt/websocket``."""

    name: ClassVar[str] = "cartesia"
    joint: ClassVar[str] = ""
    smallest: ClassVar[float] = 0.08
    keep_alive_every: ClassVar[float] = 5.0

    def finalise(self) -> Sequence[Message]:
        """``finalize``, answered by the words and ``flush_done``."""
        return ("finalize",)

    def finish(self) -> Sequence[Message]:
        """``close``, answered by the words and ``done``."""
        return ("close",)

    def receive(self, message: Message) -> Iterator[Said]:
        """Parts of the utterance."""
        received = read(_message, message, self.name)
        if received.type == "transcript":
            yield Transcript(received.text, is_final=received.is_final, words=tuple(_words(received.words)))
        elif received.type == "flush_done":
            yield Cue.FINALISED
        elif received.type == "done":
            yield Cue.CLOSED
        elif received.type == "error":
            raise _error(received)


class CartesiaTurnsWire(RecognizerWire):
    """One connection to ``/stt/turns/websocket``."""

    name: ClassVar[str] = "cartesia turns"
    greets: ClassVar[bool] = True
    smallest: ClassVar[float] = 0.08
    keep_alive_every: ClassVar[float] = 1.0

    def finish(self) -> Sequence[Message]:
        """``close``."""
        return (_CLOSE_TURNS,)

    def receive(self, message: Message) -> Iterator[Said]:
        """Turns as far as they have come, and their ends."""
        received = read(_message, message, self.name)
        if received.type == "connected":
            yield Cue.READY
        elif received.type in ("turn.update", "turn.eager_end"):
            yield Transcript(received.transcript)
        elif received.type == "turn.end":
            yield Transcript(received.transcript, is_final=True, speech_final=True)
        elif received.type == "error":
            raise _error(received)


def _words(told: list[_Word] | _Words | None) -> Iterator[Word]:
    if isinstance(told, _Words):
        for text, start, end in zip(told.words, told.start, told.end, strict=False):
            yield spoken_word(text, start, end)
    else:
        for word in told or ():
            yield spoken_word(word.word.strip(), word.start, word.end)


def _error(received: _Message) -> PatterError:
    said = ": ".join(filter(None, [received.title, received.message])) or "no message"
    kind = received.error_code or received.status_code
    return status_error(received.status_code, f"cartesia: {said} ({kind})")
