"""Deepgram's Aura socket: text is spoken when it is flushed, and ``Flushed`` says where its sound ends.

The vendor takes 20 flushes in 60 s, so one is out at a time: what comes meanwhile is flushed together
when that is answered, and with few left the middle of a turn waits for its end. Sound has no name of what it
belongs to; between ``Clear`` and ``Cleared`` it belongs to what was stopped.
"""

from __future__ import annotations

import textwrap
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import msgspec

from ..errors import PatterError, RateLimitError, VoiceError
from ..events import AudioFormat
from .placing import Marked
from .recognizer import Message, encode, read
from .voice import Failed, Reply, Said, Spoken, VoiceWire

__all__ = ["DeepgramVoiceWire"]

_FLUSHES = 20
_WINDOW_SECONDS = 60.0
# So many are kept for the beginnings and ends of turns.
_RESERVED = 6
_LONGEST_TEXT = 2000


class _Message(msgspec.Struct):
    type: str = ""
    code: str | None = None
    description: str | None = None
    err_code: str | None = None
    err_msg: str | None = None


_message = msgspec.json.Decoder(_Message)


class DeepgramVoiceWire(VoiceWire):
    """One connection.

    Args:
        audio: what the sound is.
        now: a clock in seconds, by which flushes are counted.
    """

    name: ClassVar[str] = "deepgram"
    shares: ClassVar[bool] = False
    # How often it is looked whether text that had to wait may be flushed.
    keep_alive_every: ClassVar[float] = 1.0

    def __init__(self, audio: AudioFormat, now: Callable[[], float]) -> None:
        self._audio = audio
        self._now = now
        self._turn: str | None = None
        self._place = Marked(audio)
        self._waiting: list[str] = []
        self._is_out = False
        self._began = False
        self._finished = False
        self._clearing = 0
        self._flushes: deque[float] = deque()

    def begin(self, turn: str) -> Sequence[Message]:
        """Nothing is sent before the first text."""
        self._turn, self._place, self._waiting = turn, Marked(self._audio), []
        self._is_out = self._began = self._finished = False
        return ()

    def say(self, turn: str, text: str) -> Sequence[Message]:
        """Text is sent at once, or when the one before it has been made."""
        self._waiting.append(text.strip())
        return self._next()

    def finish(self, turn: str) -> Sequence[Message]:
        """What waits is sent as soon as it can be."""
        self._finished = True
        return self._next()

    def is_done(self, turn: str) -> bool:
        """Whether nothing is out and nothing waits."""
        return self._finished and not self._is_out and not self._waiting

    def cancel(self, turn: str) -> Sequence[Message]:
        """Empties the vendor's buffer; sound is not listened to until it says that it has."""
        self._turn, self._waiting = None, []
        self._clearing += 1
        return (encode({"type": "Clear"}),)

    def keep_alive(self) -> Sequence[Message]:
        """Text that waited for a flush."""
        return self._next()

    def goodbye(self) -> Sequence[Message]:
        """Closes the connection."""
        return (encode({"type": "Close"}),)

    def _next(self) -> Sequence[Message]:
        if self._turn is None or self._is_out or not self._waiting or not self._may_flush():
            return ()
        text, self._waiting = " ".join(self._waiting), []
        self._place.add(text)
        self._is_out = self._began = True
        self._flushes.append(self._now())
        spoken = [encode({"type": "Speak", "text": part}) for part in textwrap.wrap(text, _LONGEST_TEXT)]
        return (*spoken, encode({"type": "Flush"}))

    def _may_flush(self) -> bool:
        while self._flushes and self._flushes[0] <= self._now() - _WINDOW_SECONDS:
            self._flushes.popleft()
        at_an_end = self._finished or not self._began
        return len(self._flushes) < (_FLUSHES if at_an_end else _FLUSHES - _RESERVED)

    def receive(self, message: Message) -> Iterator[Said]:
        """Sound, the ends of texts, and errors."""
        if isinstance(message, bytes):
            if self._turn is not None and not self._clearing:
                pieces = tuple(self._place.sound(message))
                if pieces:
                    yield Spoken(self._turn, pieces)
            return
        received = read(_message, message, self.name)
        if received.type == "Cleared":
            self._clearing = max(0, self._clearing - 1)
        elif received.type == "Flushed":
            if self._turn is not None and self._is_out and not self._clearing:
                yield from self._flushed(self._turn)
        elif received.type == "Warning" and "FLUSH" in (received.code or "").upper():
            if self._turn is not None and self._is_out:
                yield Failed(self._turn, RateLimitError(f"deepgram: {_said(received)}", retry_after=60.0))
        elif received.type == "Error" or received.err_code is not None:
            yield Failed(None, _refused(received))

    def _flushed(self, turn: str) -> Iterator[Said]:
        self._is_out = False
        pieces = tuple(self._place.mark())
        more = tuple(self._next())
        if more:
            yield Reply(more)
        if pieces or self.is_done(turn):
            yield Spoken(turn, pieces, ended=self.is_done(turn))


def _said(received: _Message) -> str:
    said = received.description or received.err_msg or "no reason given"
    return f"{said} ({received.code or received.err_code})"


def _refused(received: _Message) -> PatterError:
    return VoiceError(f"deepgram: {_said(received)}")
