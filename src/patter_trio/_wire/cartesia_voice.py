"""Cartesia's socket: one connection for a call, one context for a turn.

Each sentence is flushed: the answer to that, ``flush_done``, says where its sound ends. Words come beside the
sound, with times from the start of the context. A context that was cancelled may still say something; there
is no answer to a cancellation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ..errors import AuthenticationError, PatterError, RateLimitError, VoiceError
from ..events import AudioFormat, SpokenAudio
from .placing import Marked, from_base64
from .recognizer import Message, encode, read, spoken_word
from .voice import Failed, Said, Spoken, VoiceWire

__all__ = ["CartesiaWire"]


class _Words(msgspec.Struct):
    words: list[str] = []
    start: list[float] = []
    end: list[float] = []


class _Message(msgspec.Struct):
    type: str = ""
    context_id: str | None = None
    data: str | None = None
    word_timestamps: _Words | None = None
    title: str | None = None
    message: str | None = None
    error: str | None = None
    status_code: int | None = None


_message = msgspec.json.Decoder(_Message)

_KINDS: Mapping[int | None, type[PatterError]] = {
    401: AuthenticationError,
    402: AuthenticationError,
    403: AuthenticationError,
    429: RateLimitError,
}


class CartesiaWire(VoiceWire):
    """One connection.

    Args:
        audio: what the sound is.
        request: fields of every message: model, voice, format.
    """

    name: ClassVar[str] = "cartesia"

    def __init__(self, audio: AudioFormat, request: Mapping[str, Any]) -> None:
        self._audio = audio
        self._request = request
        self._turns: dict[str, Marked] = {}

    def begin(self, turn: str) -> Sequence[Message]:
        """The first sentence opens the context."""
        self._turns[turn] = Marked(self._audio)
        return ()

    def say(self, turn: str, text: str) -> Sequence[Message]:
        """Transcripts are joined as they are: a sentence ends with a space."""
        self._turns[turn].add(text)
        return (self._speak(turn, f"{text.strip()} ", {"continue": True, "flush": True}),)

    def finish(self, turn: str) -> Sequence[Message]:
        """An empty transcript ends the context."""
        return (self._speak(turn, "", {"continue": False}),)

    def cancel(self, turn: str) -> Sequence[Message]:
        """Stops what is queued; what still comes is not listened to."""
        if self._turns.pop(turn, None) is None:
            return ()
        return (encode({"context_id": turn, "cancel": True}),)

    def _speak(self, turn: str, text: str, flags: Mapping[str, bool]) -> Message:
        return encode({"context_id": turn, "transcript": text, **self._request, **flags})

    def receive(self, message: Message) -> Iterator[Said]:
        """Sound, words, ends of sentences and contexts, and errors."""
        received = read(_message, message, self.name)
        name = received.context_id or ""
        if received.type == "error":
            if received.context_id is None:
                yield Failed(None, _refused(received))
            elif self._turns.pop(name, None) is not None:
                yield Failed(name, _refused(received))
            return
        turn = self._turns.get(name)
        if turn is None:
            return
        pieces: list[SpokenAudio] = []
        if received.type == "chunk":
            pieces += turn.sound(from_base64(received.data or "", self.name))
        elif received.type == "timestamps" and received.word_timestamps is not None:
            said, before = received.word_timestamps, turn.began
            pieces += turn.words(
                spoken_word(word.strip(), max(0.0, start - before), max(0.0, end - before))
                for word, start, end in zip(said.words, said.start, said.end, strict=False)
            )
        elif received.type == "flush_done":
            pieces += turn.mark()
        elif received.type == "done":
            pieces += turn.end()
            del self._turns[name]
        if pieces or received.type == "done":
            yield Spoken(name, tuple(pieces), ended=received.type == "done")


def _refused(received: _Message) -> PatterError:
    said = ": ".join(filter(None, (received.title, received.message or received.error)))
    error = _KINDS.get(received.status_code, VoiceError)
    return error(f"cartesia: {said or 'no reason given'} ({received.status_code})")
