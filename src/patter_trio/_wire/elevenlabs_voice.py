"""ElevenLabs' multi-context socket: one connection for a call, one context for a turn.

Every message of sound carries the characters it speaks and their times. A context that was closed in the
middle goes on until its ``isFinal``; five may be open at once, those that are being closed among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ..errors import AuthenticationError, PatterError, RateLimitError, VoiceError
from ..events import AudioFormat, SpokenAudio
from .placing import Spelt, Symbol, from_base64
from .recognizer import Message, encode, read
from .voice import Failed, Said, Spoken, VoiceWire

__all__ = ["MAX_CONTEXTS", "ElevenLabsWire", "refused", "symbols"]

MAX_CONTEXTS = 5

# Seconds of a piece of sound beyond which a time cannot be right.
_LONGEST = 600.0


class _Alignment(msgspec.Struct, rename="camel"):
    chars: list[str] = []
    char_start_times_ms: list[float] = []
    char_durations_ms: list[float] = []


class _Message(msgspec.Struct, rename="camel"):
    audio: str | None = None
    context_id: str | None = None
    is_final: bool | None = None
    alignment: _Alignment | None = None
    error: str | None = None
    message: str | None = None
    code: int | None = None


_message = msgspec.json.Decoder(_Message)

_KINDS: Mapping[str, type[PatterError]] = {
    "invalid_api_key": AuthenticationError,
    "missing_permissions": AuthenticationError,
    "needs_authorization": AuthenticationError,
    "payment_required": AuthenticationError,
    "quota_exceeded": AuthenticationError,
    "max_active_conversations": RateLimitError,
    "too_many_concurrent_requests": RateLimitError,
    "concurrent_limit_exceeded": RateLimitError,
    "rate_limit_exceeded": RateLimitError,
    "system_busy": RateLimitError,
}


def refused(kind: str, said: str) -> PatterError:
    """What the vendor means by a status of its errors."""
    error = _KINDS.get(kind, VoiceError)
    return error(f"elevenlabs: {said or 'no reason given'} ({kind})")


def symbols(chars: Sequence[str], starts: Sequence[float], ends: Sequence[float]) -> Iterator[Symbol]:
    """Characters with their times, as far as they have any, each of them a single sign."""
    for char, start, end in zip(chars, starts, ends, strict=False):
        for sign in char:
            yield sign, min(max(0.0, start), _LONGEST), min(max(0.0, start, end), _LONGEST)


class ElevenLabsWire(VoiceWire):
    """One connection.

    Args:
        audio: what the sound is.
        opening: fields of a context's first message, such as ``voice_settings``.
    """

    name: ClassVar[str] = "elevenlabs"
    # A context is dropped after the inactivity timeout, which is 5 s or more.
    keep_alive_every: ClassVar[float] = 4.0

    def __init__(self, audio: AudioFormat, opening: Mapping[str, Any]) -> None:
        self._audio = audio
        self._opening = opening
        self._turns: dict[str, Spelt] = {}
        self._closing: set[str] = set()
        self._finished: set[str] = set()

    @property
    def is_full(self) -> bool:
        """Whether another context would be one too many."""
        return len(self._turns) + len(self._closing) >= MAX_CONTEXTS

    def begin(self, turn: str) -> Sequence[Message]:
        """A context, with the voice's settings."""
        self._turns[turn] = Spelt(self._audio)
        return (encode({"text": " ", "context_id": turn, **self._opening}),)

    def say(self, turn: str, text: str) -> Sequence[Message]:
        """A sentence ends with a space, which is what the vendor tells words apart by."""
        self._turns[turn].add(text)
        return (encode({"text": f"{text.strip()} ", "context_id": turn}),)

    def finish(self, turn: str) -> Sequence[Message]:
        """All of it is made, and then the context is closed."""
        self._finished.add(turn)
        flush = encode({"context_id": turn, "flush": True})
        return (flush, encode({"context_id": turn, "close_context": True}))

    def cancel(self, turn: str) -> Sequence[Message]:
        """Closes the context; what still comes of it is not listened to."""
        if self._turns.pop(turn, None) is None:
            return ()
        self._closing.add(turn)
        if turn in self._finished:
            return ()  # it is being closed already, and cannot be made to end sooner
        return (encode({"context_id": turn, "close_context": True}),)

    def keep_alive(self) -> Sequence[Message]:
        """An empty text for each context."""
        return tuple(encode({"text": "", "context_id": turn}) for turn in self._turns)

    def goodbye(self) -> Sequence[Message]:
        """Closes the socket."""
        return (encode({"close_socket": True}),)

    def receive(self, message: Message) -> Iterator[Said]:
        """Sound with its characters, ends of contexts, and errors."""
        received = read(_message, message, self.name)
        if received.error is not None:
            yield Failed(received.context_id, refused(received.error, received.message or ""))
            return
        name = received.context_id or ""
        turn = self._turns.get(name)
        if received.is_final:
            self._closing.discard(name)
            self._finished.discard(name)
            self._turns.pop(name, None)
        if turn is None:
            return
        pieces: list[SpokenAudio] = []
        if received.audio:
            said = received.alignment or _Alignment()
            starts = [start / 1000 for start in said.char_start_times_ms]
            ends = [
                start + length / 1000 for start, length in zip(starts, said.char_durations_ms, strict=False)
            ]
            data = from_base64(received.audio, self.name)
            pieces += turn.sound(data, list(symbols(said.chars, starts, ends)))
        if received.is_final:
            pieces += turn.end()
        if pieces or received.is_final:
            yield Spoken(name, tuple(pieces), ended=bool(received.is_final))
