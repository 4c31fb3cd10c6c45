"""What the recognisers' protocols have in common: messages in, transcripts and cues out; no sockets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar, TypeVar

import msgspec

from ..errors import AuthenticationError, PatterError, RateLimitError, RecognizerError, RemoteProtocolError
from ..events import Transcript, Word

__all__ = ["Cue", "Message", "RecognizerWire", "Said", "encode", "read", "spoken_word", "status_error"]

Message = str | bytes
"""One WebSocket message."""

Kind = TypeVar("Kind")


class Cue(Enum):
    """What the far end says besides words.

    ``READY``: it takes sound from now on. ``UTTERANCE_ENDED``: it heard the caller finish. ``FINALISED``: all
    that it had heard when it was asked for its final words has been given. ``CLOSED``: nothing more comes.
    """

    READY = "ready"
    UTTERANCE_ENDED = "utterance ended"
    FINALISED = "finalised"
    CLOSED = "closed"


Said = Transcript | Cue


class RecognizerWire:
    """One connection's protocol; a subclass speaks that of a vendor.

    A final transcript of :meth:`receive` is a part of an utterance: it ends where ``speech_final`` or
    ``from_finalize`` is set, or at a cue. An interim one is what follows the last part.

    Attributes:
        greets: whether the far end says ``READY`` before it takes sound.
        says_goodbye: whether it answers :meth:`finish`, with ``CLOSED`` or by closing.
        joint: what stands between two parts of an utterance; nothing where they bring their own spaces.
        smallest: seconds of sound that a message must have.
        largest: seconds of sound that it may have.
        keep_alive_every: seconds without a message after which :meth:`keep_alive` is due.
    """

    name: ClassVar[str]
    greets: ClassVar[bool] = False
    says_goodbye: ClassVar[bool] = True
    joint: ClassVar[str] = " "
    smallest: ClassVar[float] = 0.0
    largest: ClassVar[float] = 1.0
    keep_alive_every: ClassVar[float] = float("inf")

    def opening(self) -> Sequence[Message]:
        """What is sent first."""
        return ()

    def sound(self, audio: bytes) -> Message:
        """The message that carries a piece of sound, which is never empty."""
        return audio

    def finalise(self) -> Sequence[Message]:
        """Asks for the final words of what was sent; nothing where the protocol has no such request."""
        return ()

    def keep_alive(self) -> Sequence[Message]:
        """Shows that the call goes on though no sound comes."""
        return ()

    def finish(self) -> Sequence[Message]:
        """Says that no more sound comes."""
        return ()

    def receive(self, message: Message) -> Iterator[Said]:
        """Reads a message of the far end; what is not known is passed over.

        Raises:
            RemoteProtocolError: it is not what the protocol allows.
            PatterError: the far end says that it cannot go on, as the error that it means.
        """
        raise NotImplementedError

    def closed(self, code: int | None, reason: str) -> PatterError | None:
        """What the far end means by closing with this code, where its protocol gives it a meaning."""
        return None


def read(decoder: msgspec.json.Decoder[Kind], message: Message, who: str) -> Kind:
    """A JSON message of ``who``, read; fields that the decoder's type does not name are passed over.

    Raises:
        RemoteProtocolError: it is no JSON, or not of that shape.
    """
    try:
        return decoder.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RemoteProtocolError(f"{who} sent a message that cannot be read: {error}") from error


def encode(fields: Mapping[str, Any]) -> str:
    """A JSON message as text: some vendors take binary messages for sound."""
    return msgspec.json.encode(fields).decode()


def spoken_word(text: str, start: float, end: float, confidence: float | None = None) -> Word:
    """A word of the far end, which may be told to end before it starts."""
    return Word(text, start, max(start, end), confidence)


def status_error(status: int | None, message: str) -> PatterError:
    """What a vendor means by an error with an HTTP status."""
    if status in (401, 403):
        return AuthenticationError(message)
    if status == 429:
        return RateLimitError(message)
    return RecognizerError(message)
