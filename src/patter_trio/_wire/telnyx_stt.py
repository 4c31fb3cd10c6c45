"""Telnyx' gateway to recognisers: transcripts, and no request for final ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import msgspec

from ..errors import RecognizerError
from ..events import Transcript
from .recognizer import Message, RecognizerWire, Said, read

__all__ = ["TelnyxSTTWire"]


class _Message(msgspec.Struct):
    # Older captures have none.
    type: str = "transcript"
    transcript: str | None = None
    is_final: bool = False
    confidence: float | None = None
    error: str | None = None


_message = msgspec.json.Decoder(_Message)


class TelnyxSTTWire(RecognizerWire):
    """One connection; whatever engine is behind it says when words are final."""

    name: ClassVar[str] = "telnyx"
    says_goodbye: ClassVar[bool] = False
    keep_alive_every: ClassVar[float] = 5.0

    def receive(self, message: Message) -> Iterator[Said]:
        """Transcripts."""
        received = read(_message, message, self.name)
        if received.type == "error" or received.error is not None:
            raise RecognizerError(f"telnyx: {received.error or 'no reason given'}")
        if received.type == "transcript" and received.transcript is not None:
            yield Transcript(
                received.transcript,
                is_final=received.is_final,
                confidence=received.confidence,
                speech_final=received.is_final,
            )
