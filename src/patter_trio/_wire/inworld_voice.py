"""Inworld's bidirectional socket: one connection for a call, one context for a turn.

Each sentence is flushed: the answer to that says where its sound ends, and times of words begin anew there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ..errors import AuthenticationError, PatterError, RateLimitError, VoiceError
from ..events import AudioFormat, SpokenAudio
from .placing import Marked, from_base64
from .recognizer import Message, encode, read, spoken_word
from .voice import Failed, Said, Spoken, VoiceWire

__all__ = ["InworldWire"]

_LONGEST_TEXT = 1000
_MAX_CONTEXTS = 5


class _Alignment(msgspec.Struct, rename="camel"):
    words: list[str] = []
    word_start_time_seconds: list[float] = []
    word_end_time_seconds: list[float] = []


class _Timestamps(msgspec.Struct, rename="camel"):
    word_alignment: _Alignment | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    audio_content: str | None = None
    timestamp_info: _Timestamps | None = None


class _Status(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Result(msgspec.Struct, rename="camel"):
    context_id: str | None = None
    audio_chunk: _Chunk | None = None
    flush_completed: dict[str, Any] | None = None
    context_closed: dict[str, Any] | None = None
    status: _Status | None = None


class _Message(msgspec.Struct):
    result: _Result | None = None
    error: _Status | None = None


_message = msgspec.json.Decoder(_Message)

# The codes of gRPC.
_KINDS: Mapping[int, type[PatterError]] = {
    7: AuthenticationError,
    8: RateLimitError,
    16: AuthenticationError,
}


class InworldWire(VoiceWire):
    """One connection.

    Args:
        audio: what the sound is.
        create: what a context is opened with.
    """

    name: ClassVar[str] = "inworld"

    def __init__(self, audio: AudioFormat, create: Mapping[str, Any]) -> None:
        self._audio = audio
        self._create = create
        self._turns: dict[str, Marked] = {}
        self._closing: set[str] = set()

    @property
    def is_full(self) -> bool:
        """Whether another context would be one too many."""
        return len(self._turns) + len(self._closing) >= _MAX_CONTEXTS

    def begin(self, turn: str) -> Sequence[Message]:
        """A context, with all settings."""
        self._turns[turn] = Marked(self._audio)
        return (encode({"contextId": turn, "create": self._create}),)

    def say(self, turn: str, text: str) -> Sequence[Message]:
        """A sentence, in as many parts as it needs, made at once."""
        self._turns[turn].add(text)
        parts = [
            encode({"contextId": turn, "send_text": {"text": f"{part} "}})
            for part in textwrap.wrap(text, _LONGEST_TEXT - 1)
        ]
        return (*parts, encode({"contextId": turn, "flush_context": {}}))

    def finish(self, turn: str) -> Sequence[Message]:
        """Closes the context behind what was flushed."""
        return (encode({"contextId": turn, "close_context": {}}),)

    def cancel(self, turn: str) -> Sequence[Message]:
        """Stops the context; what still comes of it is not listened to."""
        if self._turns.pop(turn, None) is None:
            return ()
        self._closing.add(turn)
        return (encode({"contextId": turn, "cancel_context": {}}),)

    def receive(self, message: Message) -> Iterator[Said]:
        """Sound with its words, the ends of sentences and contexts, and errors."""
        received = read(_message, message, self.name)
        if received.error is not None:
            yield Failed(None, _refused(received.error))
        result = received.result
        if result is None:
            return
        name = result.context_id or ""
        turn = self._turns.get(name)
        over = result.context_closed is not None
        failed = result.status is not None and result.status.code != 0
        if over or failed:
            self._turns.pop(name, None)
            self._closing.discard(name)
        if result.status is not None and failed and (turn is not None or not name):
            yield Failed(name or None, _refused(result.status))
            return
        if turn is None:
            return
        pieces: list[SpokenAudio] = []
        if result.audio_chunk is not None:
            pieces += _spoken(turn, result.audio_chunk)
        if result.flush_completed is not None:
            pieces += turn.mark()
        if over:
            pieces += turn.end()
        if pieces or over:
            yield Spoken(name, tuple(pieces), ended=over)


def _spoken(turn: Marked, chunk: _Chunk) -> Iterator[SpokenAudio]:
    yield from turn.sound(from_base64(chunk.audio_content or "", InworldWire.name))
    said = chunk.timestamp_info.word_alignment if chunk.timestamp_info is not None else None
    if said is not None:
        times = zip(said.words, said.word_start_time_seconds, said.word_end_time_seconds, strict=False)
        yield from turn.words(
            [spoken_word(word.strip(), max(0.0, start), max(0.0, end)) for word, start, end in times]
        )


def _refused(status: _Status) -> PatterError:
    error = _KINDS.get(status.code, VoiceError)
    return error(f"inworld: {status.message or 'no reason given'} ({status.code})")
