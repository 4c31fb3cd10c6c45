"""Telnyx's media stream, from the carrier's side: what a simulated carrier says and understands."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from ..errors import RemoteProtocolError
from ..events import AudioFormat
from .telnyx import CODECS
from .twilio import decode_event

__all__ = ["FarClear", "FarMark", "FarMedia", "FarStream", "decode"]

_NAMES = {encoding: name for name, encoding in CODECS.items()}


@attrs.frozen
class FarMedia:
    """The server asks to play ``audio``."""

    audio: bytes


@attrs.frozen
class FarMark:
    """The server asks to be told when all audio before this mark was played."""

    name: str


@attrs.frozen
class FarClear:
    """The server asks to drop what was not played yet."""


class _MediaBody(msgspec.Struct):
    payload: bytes


class _Media(msgspec.Struct, tag_field="event", tag="media"):
    media: _MediaBody


class _MarkBody(msgspec.Struct):
    name: str


class _Mark(msgspec.Struct, tag_field="event", tag="mark"):
    mark: _MarkBody


class _Clear(msgspec.Struct, tag_field="event", tag="clear"):
    pass


_Message = _Media | _Mark | _Clear
_EVENTS = frozenset({"media", "mark", "clear"})
_DECODER: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message)


def decode(message: str | bytes) -> FarMedia | FarMark | FarClear:
    """Reads what a server sent.

    Raises:
        RemoteProtocolError: the carrier would complain of the message (100003, 100004).
    """
    said = decode_event(_DECODER, _EVENTS, message)
    if said is None:
        raise RemoteProtocolError("an event that the carrier does not know")
    if isinstance(said, _Media):
        return FarMedia(said.media.payload)
    if isinstance(said, _Mark):
        return FarMark(said.mark.name)
    return FarClear()


class FarStream:
    """Writes the carrier's messages of one stream; ``stamp`` is the step of ``timestamp`` for each frame."""

    def __init__(
        self, stream_id: str, start: Mapping[str, Any], audio: AudioFormat, *, stamp: int = 20
    ) -> None:
        self._stream_id = stream_id
        self._start = start
        self._audio = audio
        self._stamp = stamp
        self._sequence = 0

    def opening(self) -> tuple[str, str]:
        """``connected`` and ``start``."""
        media_format = {
            "encoding": _NAMES[self._audio.encoding],
            "sample_rate": self._audio.sample_rate,
            "channels": 1,
        }
        connected = _json({"event": "connected", "version": "1.0.0"})
        return connected, self._message("start", {**self._start, "media_format": media_format})

    def media(self, audio: bytes, number: int) -> str:
        """A frame of the caller's sound; ``number`` is its place from 0."""
        payload = b2a_base64(audio, newline=False).decode("ascii")
        body = {"track": "inbound", "chunk": str(number + 1), "timestamp": str(number * self._stamp)}
        return self._message("media", {**body, "payload": payload})

    def digit(self, digit: str) -> str:
        """The caller pressed a key."""
        return self._message("dtmf", {"digit": digit})

    def mark(self, name: str) -> str:
        """All audio before this mark was played, or cleared."""
        return self._message("mark", {"name": name})

    def stop(self) -> str:
        """The stream is over; the socket closes after it."""
        said = {key: self._start[key] for key in ("user_id", "call_control_id") if key in self._start}
        return self._message("stop", said)

    def _message(self, event: str, body: Mapping[str, Any]) -> str:
        self._sequence += 1
        said = {"event": event, "sequence_number": str(self._sequence), event: body}
        return _json({**said, "stream_id": self._stream_id})


def _json(message: Mapping[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
