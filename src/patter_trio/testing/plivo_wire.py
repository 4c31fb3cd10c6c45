"""Plivo's media stream as the exchange has it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .._wire.plivo import ENCODINGS
from .._wire.twilio import decode_event
from ..errors import RemoteProtocolError
from ..events import AudioFormat
from .conditions import MarksAtClear
from .farwire import FarClear, FarDigits, FarMark, FarMedia, FarSaid, WrongStreamError

__all__ = ["PlivoFarWire"]

_FRAME_MS = 20
# The moment at which every simulation begins, as Unix time in ms.
_BEGINNING_MS = 1_767_225_600_000
_CONTENT_TYPES = {encoding: name for name, encoding in ENCODINGS.items()}


class _MediaBody(msgspec.Struct, rename="camel"):
    content_type: str
    sample_rate: int
    payload: bytes


class _PlayAudio(msgspec.Struct, tag_field="event", tag="playAudio"):
    media: _MediaBody


class _Checkpoint(msgspec.Struct, tag_field="event", tag="checkpoint", rename="camel"):
    stream_id: str
    name: str


class _ClearAudio(msgspec.Struct, tag_field="event", tag="clearAudio", rename="camel"):
    stream_id: str


class _SendDigits(msgspec.Struct, tag_field="event", tag="sendDTMF"):
    dtmf: str


_Message = _PlayAudio | _Checkpoint | _ClearAudio | _SendDigits
_EVENTS = frozenset({"playAudio", "checkpoint", "clearAudio", "sendDTMF"})
_DECODER: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message)


class PlivoFarWire:
    """The carrier's side of one stream; checkpoints that were cleared are not answered.

    ``says_stop`` is what Plivo's sources disagree about: its reference ends a stream by closing the socket.
    """

    marks_at_clear: MarksAtClear = "forgotten"

    def __init__(
        self, stream_id: str, *, call_id: str, auth_id: str, audio: AudioFormat, says_stop: bool = False
    ) -> None:
        self.stream_id = stream_id
        self._audio = audio
        self._call_id = call_id
        self._auth_id = auth_id
        self._says_stop = says_stop
        self._sequence = 0

    @property
    def audio(self) -> AudioFormat:
        """The format that the document asked for."""
        return self._audio

    def opening(self, parameters: Mapping[str, str]) -> Sequence[str]:
        """``start``; the parameters come as a text beside it."""
        start = {
            "callId": self._call_id,
            "streamId": self.stream_id,
            "accountId": self._auth_id,
            "tracks": ["inbound"],
            "mediaFormat": {
                "encoding": _CONTENT_TYPES[self._audio.encoding],
                "sampleRate": self._audio.sample_rate,
            },
        }
        headers = ";".join(f"{name}={value}" for name, value in parameters.items())
        return (self._message("start", start=start, extra_headers=headers),)

    def media(self, audio: bytes, number: int) -> str:
        """``media``, with Unix time as the reference has it."""
        body = {
            "track": "inbound",
            "timestamp": str(_BEGINNING_MS + number * _FRAME_MS),
            "chunk": number + 1,
            "payload": b64encode(audio).decode("ascii"),
        }
        return self._of_stream("media", media=body, extra_headers="{}")

    def digit(self, digit: str) -> str:
        """``dtmf``."""
        return self._of_stream(
            "dtmf", dtmf={"track": "inbound", "digit": digit, "timestamp": str(_BEGINNING_MS)}
        )

    def mark_played(self, name: str) -> str:
        """``playedStream``."""
        return self._of_stream("playedStream", name=name)

    def cleared(self) -> str:
        """``clearedAudio``."""
        return self._of_stream("clearedAudio")

    def stop(self) -> str | None:
        """``stop``, or nothing: the socket closes."""
        return self._of_stream("stop", reason="call ended") if self._says_stop else None

    def decode(self, message: str | bytes) -> FarSaid:
        """Reads ``playAudio``, ``checkpoint``, ``clearAudio`` and ``sendDTMF``.

        Raises:
            WrongStreamError: another ``streamId``.
            RemoteProtocolError: anything else, and sound in another format than the stream's.
        """
        said = decode_event(_DECODER, _EVENTS, message)
        match said:
            case _PlayAudio(media=media):
                if (media.content_type, media.sample_rate) != (
                    _CONTENT_TYPES[self._audio.encoding],
                    self._audio.sample_rate,
                ):
                    raise RemoteProtocolError("sound in another format than the stream's")
                return FarMedia(media.payload)
            case _SendDigits(dtmf=digits):
                return FarDigits(digits)
            case None:
                raise RemoteProtocolError("an event that the carrier does not know")
        if said.stream_id != self.stream_id:
            raise WrongStreamError("streamId", said.stream_id)
        return FarMark(said.name) if isinstance(said, _Checkpoint) else FarClear()

    def _of_stream(self, event: str, **body: Any) -> str:
        return self._message(event, streamId=self.stream_id, **body)

    def _message(self, event: str, **body: Any) -> str:
        self._sequence += 1
        return msgspec.json.encode({"sequenceNumber": self._sequence, "event": event, **body}).decode()
