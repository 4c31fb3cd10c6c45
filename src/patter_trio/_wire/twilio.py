"""Twilio's media stream, from the server's side: text messages to events, and back.

Facts are from Twilio's media streams message reference: one JSON object per text message, numbers written as
strings (both readings are taken), ``streamSid`` in every message after ``connected``, times in milliseconds
since the stream started.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Set as AbstractSet
from typing import Annotated, TypeVar

import msgspec

from ..errors import RemoteProtocolError
from ..events import (
    MULAW_8K,
    AudioFormat,
    AudioReceived,
    CarrierEvent,
    DigitPressed,
    Encoding,
    MarkPlayed,
    StreamStarted,
    StreamStopped,
)

__all__ = ["CALL_SID", "STREAM_SID", "TwilioWire", "decode_event"]

CALL_SID = r"\ACA[0-9a-f]{32}\Z"
STREAM_SID = r"\AMZ[0-9a-f]{32}\Z"

# The carrier sends 20 ms (160 bytes) a message; no limit is documented. A second is far more than it sends
# and far less than hurts; the text limit leaves room for that second at 48 kHz, and for 99 long parameters.
_LONGEST_AUDIO_SECONDS = 1.0
_LONGEST_MESSAGE = 1 << 17

# The only encoding that the reference names. The rate is taken as said, the reference names 8000.
_ENCODINGS: dict[str, Encoding] = {"audio/x-mulaw": "mulaw"}
# Media says "inbound", digits say "inbound_track".
_INBOUND = frozenset({"inbound", "inbound_track"})

_Sid = Annotated[str, msgspec.Meta(pattern=STREAM_SID)]
_Event = TypeVar("_Event")


class _Envelope(msgspec.Struct):
    event: str


class _MediaFormat(msgspec.Struct, rename="camel"):
    encoding: str
    sample_rate: Annotated[int, msgspec.Meta(ge=8000, le=48000)]
    channels: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1


class _StartBody(msgspec.Struct, rename="camel"):
    stream_sid: _Sid
    call_sid: Annotated[str, msgspec.Meta(pattern=CALL_SID)]
    media_format: _MediaFormat
    custom_parameters: dict[str, str] = {}


class _Start(msgspec.Struct, tag_field="event", tag="start", rename="camel"):
    stream_sid: str
    start: _StartBody


class _MediaBody(msgspec.Struct):
    payload: bytes
    # 2**40 ms is 34 years: beyond any call, and still exact as a float of seconds.
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
    track: str = "inbound"


class _Media(msgspec.Struct, tag_field="event", tag="media", rename="camel"):
    stream_sid: str
    media: _MediaBody


class _MarkBody(msgspec.Struct):
    name: str


class _Mark(msgspec.Struct, tag_field="event", tag="mark", rename="camel"):
    stream_sid: str
    mark: _MarkBody


class _DtmfBody(msgspec.Struct):
    digit: Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-D*#]\Z")]
    track: str = "inbound_track"


class _Dtmf(msgspec.Struct, tag_field="event", tag="dtmf", rename="camel"):
    stream_sid: str
    dtmf: _DtmfBody


class _Stop(msgspec.Struct, tag_field="event", tag="stop", rename="camel"):
    stream_sid: str


_Message = _Media | _Mark | _Dtmf | _Start | _Stop
_EVENTS = frozenset({"media", "mark", "dtmf", "start", "stop"})
# Not strict: "5" is the number 5.
_DECODER: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message, strict=False)
_ENVELOPE: msgspec.json.Decoder[_Envelope] = msgspec.json.Decoder(_Envelope)


def decode_event(
    decoder: msgspec.json.Decoder[_Event], events: AbstractSet[str], message: str | bytes
) -> _Event | None:
    """Decodes a text message by its ``event`` field; ``None`` when that is none of ``events``.

    Raises:
        RemoteProtocolError: binary, too long, not JSON or of the wrong shape. The reason names the place and
            the fault, never a value.
    """
    if not isinstance(message, str):
        raise RemoteProtocolError("a binary message on a stream of text messages")
    if len(message) > _LONGEST_MESSAGE:
        raise RemoteProtocolError(f"a message of {len(message)} characters")
    try:
        try:
            return decoder.decode(message)
        except msgspec.ValidationError:
            # The decoder's own complaint about an unknown event would quote it.
            if _ENVELOPE.decode(message).event in events:
                raise
            return None
    except msgspec.DecodeError as error:
        reason = str(error)
    except UnicodeEncodeError:
        reason = "a lone surrogate in the text"
    except RecursionError:
        reason = "nested too deeply"
    raise RemoteProtocolError(f"a malformed message: {reason}")


class TwilioWire:
    """One media stream: stays closed to everything until ``start`` has named the stream and its format."""

    def __init__(self) -> None:
        self._audio = MULAW_8K
        self._stream_sid: str | None = None

    @property
    def audio(self) -> AudioFormat:
        """The format that ``start`` named, both ways; 8 kHz µ-law until then."""
        return self._audio

    def decode(self, message: str | bytes) -> CarrierEvent | None:
        """Reads a message; ``None`` for ``connected``, other tracks and events that we do not know.

        Raises:
            RemoteProtocolError: it is malformed, comes before ``start``, or is for another stream.
        """
        said = decode_event(_DECODER, _EVENTS, message)
        if isinstance(said, _Media):
            self._check_stream(said.stream_sid)
            return self._read_media(said.media)
        if said is None:
            return None
        if isinstance(said, _Start):
            return self._start(said)
        self._check_stream(said.stream_sid)
        if isinstance(said, _Mark):
            return MarkPlayed(said.mark.name)
        if isinstance(said, _Dtmf):
            return DigitPressed(said.dtmf.digit) if said.dtmf.track in _INBOUND else None
        return StreamStopped()

    def encode_audio(self, audio: bytes) -> str:
        """The message that plays ``audio``; any size is taken, it is played in order.

        Raises:
            RuntimeError: the stream has not started, as for the other messages.
        """
        payload = b2a_base64(audio, newline=False).decode("ascii")
        return f'{{"event":"media","streamSid":"{self._stream()}","media":{{"payload":"{payload}"}}}}'

    def encode_mark(self, name: str) -> str:
        """The message that asks for ``name`` back when all audio before it was played, or cleared."""
        quoted = msgspec.json.encode(name).decode()
        return f'{{"event":"mark","streamSid":"{self._stream()}","mark":{{"name":{quoted}}}}}'

    def encode_clear(self) -> str:
        """The message that empties the carrier's buffer; every mark outstanding comes back because of it."""
        return f'{{"event":"clear","streamSid":"{self._stream()}"}}'

    def _stream(self) -> str:
        if self._stream_sid is None:
            raise RuntimeError("nothing can be sent before the stream has started")
        return self._stream_sid

    def _check_stream(self, stream_sid: str) -> None:
        if stream_sid != self._stream_sid:
            raise RemoteProtocolError(
                "a message before start" if self._stream_sid is None else "a message for another stream"
            )

    def _read_media(self, media: _MediaBody) -> AudioReceived | None:
        if self._audio.seconds_in(len(media.payload)) > _LONGEST_AUDIO_SECONDS:
            raise RemoteProtocolError(f"{len(media.payload)} bytes of audio in one message")
        if media.track not in _INBOUND or not media.payload:
            return None
        return AudioReceived(media.payload, media.timestamp / 1000)

    def _start(self, said: _Start) -> StreamStarted:
        body = said.start
        if self._stream_sid is not None:
            raise RemoteProtocolError("a second start on one stream")
        if said.stream_sid != body.stream_sid:
            raise RemoteProtocolError("a start with two stream ids")
        encoding = _ENCODINGS.get(body.media_format.encoding)
        if encoding is None:
            raise RemoteProtocolError("an audio encoding that we do not know")
        self._audio = AudioFormat(encoding, body.media_format.sample_rate)
        self._stream_sid = body.stream_sid
        return StreamStarted(body.stream_sid, body.call_sid, body.custom_parameters, self._audio)
