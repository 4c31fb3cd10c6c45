"""Twilio's media stream as the exchange has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._wire import twilio_far
from ..events import MULAW_8K, AudioFormat
from .conditions import MarksAtClear
from .farwire import FarClear, FarMark, FarMedia, FarSaid, WrongStreamError

__all__ = ["TwilioFarWire"]


class TwilioFarWire:
    """The carrier's side of one stream; messages for another stream are dropped, as Twilio does."""

    audio: AudioFormat = MULAW_8K
    marks_at_clear: MarksAtClear = "returned"

    def __init__(self, stream_sid: str, *, call_sid: str, account_sid: str) -> None:
        self.stream_sid = stream_sid
        self._far = twilio_far.FarStream(stream_sid, call_sid=call_sid, account_sid=account_sid)

    def opening(self, parameters: Mapping[str, str]) -> Sequence[str]:
        """``connected`` and ``start``."""
        return self._far.opening(parameters)

    def media(self, audio: bytes, number: int) -> str:
        """``media``."""
        return self._far.media(audio, number)

    def digit(self, digit: str) -> str:
        """``dtmf``."""
        return self._far.digit(digit)

    def mark_played(self, name: str) -> str:
        """``mark``."""
        return self._far.mark(name)

    def cleared(self) -> None:
        """Nothing: every mark that is out comes back instead."""

    def stop(self) -> str:
        """``stop``."""
        return self._far.stop()

    def decode(self, message: str | bytes) -> FarSaid:
        """Reads ``media``, ``mark`` and ``clear``.

        Raises:
            WrongStreamError: another ``streamSid``.
            RemoteProtocolError: anything else.
        """
        said = twilio_far.decode(message)
        if said.stream_sid != self.stream_sid:
            raise WrongStreamError("streamSid", said.stream_sid)
        if isinstance(said, twilio_far.FarMedia):
            return FarMedia(said.audio)
        if isinstance(said, twilio_far.FarMark):
            return FarMark(said.name)
        return FarClear()
