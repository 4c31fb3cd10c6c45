"""Twilio's media stream, from the carrier's side: what a simulated carrier says and understands."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from ..errors import RemoteProtocolError
from ..events import MULAW_8K, AudioFormat
from .twilio import decode_event

__all__ = ["FarClear", "FarMark", "FarMedia", "FarStream", "decode"]

_FRAME_MS = 20


@attrs.frozen
class FarMedia:
    """The server asks to play ``audio``."""

    stream_sid: str
    audio: bytes


@attrs.frozen
class FarMark:
    """The server asks to be told when all audio before this mark was played."""

    stream_sid: str
    name: str


@attrs.frozen
class FarClear:
    """The server asks to drop what was not played yet."""

    stream_sid: str


class _MediaBody(msgspec.Struct):
    payload: bytes


class _Media(msgspec.Struct, tag_field="event", tag="media", rename="camel"):
    stream_sid: str
    media: _MediaBody


class _MarkBody(msgspec.Struct):
    name: str


class _Mark(msgspec.Struct, tag_field="event", tag="mark", rename="camel"):
    stream_sid: str
    mark: _MarkBody


class _Clear(msgspec.Struct, tag_field="event", tag="clear", rename="camel"):
    stream_sid: str


_Message = _Media | _Mark | _Clear
_EVENTS = frozenset({"media", "mark", "clear"})
_DECODER: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message)


def decode(message: str | bytes) -> FarMedia | FarMark | FarClear:
    """Reads what a server sent. Whether it names the right stream is for the caller to see.

    Raises:
        RemoteProtocolError: the carrier would drop the message with a warning (31950 for binary or unreadable
            ones, 31951 for invalid ones).
    """
    said = decode_event(_DECODER, _EVENTS, message)
    if said is None:
        raise RemoteProtocolError("an event that the carrier does not know")
    if isinstance(said, _Media):
        return FarMedia(said.stream_sid, said.media.payload)
    if isinstance(said, _Mark):
        return FarMark(said.stream_sid, said.mark.name)
    return FarClear(said.stream_sid)


class FarStream:
    """Writes the carrier's messages of one stream, with the numbers that the reference asks for.

    ``sequenceNumber`` counts the messages from ``start`` on, and numbers are written as strings.
    """

    def __init__(
        self, stream_sid: str, *, call_sid: str, account_sid: str, audio: AudioFormat = MULAW_8K
    ) -> None:
        self._stream_sid = stream_sid
        self._call_sid = call_sid
        self._account_sid = account_sid
        self._audio = audio
        self._sequence = 0

    def opening(self, parameters: Mapping[str, str]) -> tuple[str, str]:
        """``connected`` and ``start``; ``parameters`` are those of the answer that opened the stream."""
        start = {
            "accountSid": self._account_sid,
            "streamSid": self._stream_sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {
                "encoding": f"audio/x-{self._audio.encoding}",
                "sampleRate": self._audio.sample_rate,
                "channels": 1,
            },
            "customParameters": dict(parameters),
        }
        connected = _json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        return connected, self._message("start", start)

    def media(self, audio: bytes, number: int) -> str:
        """A frame of the caller's sound.

        Args:
            audio: 20 ms in the stream's format.
            number: the frame's place in the caller's sound, from 0; a number left out is a frame lost, which
                shows as a gap in ``chunk`` and ``timestamp``.
        """
        payload = b2a_base64(audio, newline=False).decode("ascii")
        timestamp = str(number * _FRAME_MS)
        body = {"track": "inbound", "chunk": str(number + 1), "timestamp": timestamp, "payload": payload}
        return self._message("media", body)

    def digit(self, digit: str) -> str:
        """The caller pressed a key."""
        return self._message("dtmf", {"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> str:
        """All audio before this mark was played, or cleared."""
        return self._message("mark", {"name": name})

    def stop(self) -> str:
        """The stream is over; the socket closes after it."""
        return self._message("stop", {"accountSid": self._account_sid, "callSid": self._call_sid})

    def _message(self, event: str, body: Mapping[str, Any]) -> str:
        self._sequence += 1
        return _json(
            {
                "event": event,
                "sequenceNumber": str(self._sequence),
                event: body,
                "streamSid": self._stream_sid,
            }
        )


def _json(message: Mapping[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
