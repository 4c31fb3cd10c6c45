"""Telnyx's media stream, from the server's side: text messages to events, and back.

Facts are from Telnyx's page on media streaming: one JSON object per text message, numbers written as strings
(both readings are taken), payloads without RTP headers, and no promise that media come in order. Where that
page is silent both readings work here: the unit of ``timestamp``, the byte order of L16, the name of the
parameters in ``start``.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import Annotated, Literal

import msgspec

from .._audio.convert import Converter
from .._audio.frame import FRAME_SECONDS
from .._audio.swap import swap_bytes
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
from .telnyx_state import read_state
from .telnyx_times import MediaTimes
from .twilio import decode_event

__all__ = ["CALL_CONTROL_ID", "CODECS", "STREAM_ERRORS", "ByteOrder", "TelnyxWire"]

CALL_CONTROL_ID = r"\Av[0-9]{1,2}:[A-Za-z0-9_=+/.:-]{1,250}\Z"
"""A leg's handle; in a path it must be percent-encoded."""

CODECS: dict[str, Encoding] = {"PCMU": "mulaw", "PCMA": "alaw", "L16": "linear16"}
"""Telnyx's names of what is spoken here."""

STREAM_ERRORS = {
    100002: "unknown error",
    100003: "malformed frame",
    100004: "invalid media",
    100005: "rate limit reached",
}
"""What Telnyx complains about on a stream."""

ByteOrder = Literal["little", "big"]

# A frame has 20 ms; a second is far more than is sent and far less than hurts.
_LONGEST_AUDIO_SECONDS = 1.0
_RATES = (8000, 16000)
_INBOUND = frozenset({"inbound", "inbound_track"})

_StreamId = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,128}\Z")]
# Beyond any call, and still exact as a float of seconds.
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class _MediaFormat(msgspec.Struct):
    encoding: str
    sample_rate: Annotated[int, msgspec.Meta(ge=8000, le=48000)]
    channels: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1


class _Parameter(msgspec.Struct):
    name: str
    value: str


class _StartBody(msgspec.Struct):
    call_control_id: Annotated[str, msgspec.Meta(pattern=CALL_CONTROL_ID)]
    media_format: _MediaFormat
    client_state: str | None = None
    custom_parameters: dict[str, str] | list[_Parameter] | None = None


class _Start(msgspec.Struct, tag_field="event", tag="start"):
    start: _StartBody
    stream_id: _StreamId


class _MediaBody(msgspec.Struct):
    payload: bytes
    track: str = "inbound"
    chunk: _Count | None = None
    timestamp: _Count | None = None


class _Media(msgspec.Struct, tag_field="event", tag="media"):
    media: _MediaBody
    stream_id: str = ""


class _MarkBody(msgspec.Struct):
    name: str


class _Mark(msgspec.Struct, tag_field="event", tag="mark"):
    mark: _MarkBody
    stream_id: str = ""


class _DtmfBody(msgspec.Struct):
    digit: Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-D*#]\Z")]


class _Dtmf(msgspec.Struct, tag_field="event", tag="dtmf"):
    dtmf: _DtmfBody
    stream_id: str = ""


class _ErrorBody(msgspec.Struct):
    code: int = 0


class _Error(msgspec.Struct, tag_field="event", tag="error"):
    payload: _ErrorBody
    stream_id: str = ""


class _Stop(msgspec.Struct, tag_field="event", tag="stop"):
    stream_id: str = ""


_Message = _Media | _Mark | _Dtmf | _Start | _Stop | _Error
_EVENTS = frozenset({"media", "mark", "dtmf", "start", "stop", "error"})
# Not strict: "5" is the number 5.
_DECODER: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message, strict=False)


class TelnyxWire:
    """One media stream: closed to everything until ``start`` has named the stream and its format.

    Telnyx takes what we send in the codec that was asked for, and sends in the one that ``start`` names: the
    call's own, where it cannot do better. The stream has the latter format here, both ways; where the two
    differ, what goes out is converted.

    Args:
        sends: the format that was asked for, both ways.
        byte_order: that of L16. RFC 3551 says big-endian, calls that were looked at are little-endian.
    """

    def __init__(self, sends: AudioFormat = MULAW_8K, byte_order: ByteOrder = "little") -> None:
        self._sends = sends
        self._is_swapped = byte_order == "big"
        self._audio = sends
        self._times = MediaTimes(sends.sample_rate)
        self._converter = Converter(sends, sends)
        self._stream_id: str | None = None

    @property
    def audio(self) -> AudioFormat:
        """The format that ``start`` named; the one that was asked for until then."""
        return self._audio

    def decode(self, message: str | bytes) -> CarrierEvent | None:
        """Reads a message; ``None`` for ``connected``, other tracks and events that we do not know.

        Raises:
            RemoteProtocolError: it is malformed, comes before ``start``, is for another stream, or says that
                something of ours was.
        """
        said = decode_event(_DECODER, _EVENTS, message)
        if said is None:
            return None
        if isinstance(said, _Start):
            return self._start(said)
        self._check_stream(said.stream_id)
        if isinstance(said, _Media):
            return self._read_media(said.media)
        if isinstance(said, _Mark):
            return MarkPlayed(said.mark.name)
        if isinstance(said, _Dtmf):
            return DigitPressed(said.dtmf.digit)
        if isinstance(said, _Error):
            code = said.payload.code
            raise RemoteProtocolError(f"Telnyx complains: {STREAM_ERRORS.get(code, 'an error')} ({code})")
        return StreamStopped()

    def encode_audio(self, audio: bytes) -> str:
        """The message that plays ``audio``. Less than 20 ms are filled up with silence: the least it takes.

        Raises:
            RuntimeError: the stream has not started, as for the other messages.
        """
        self._check_started()
        sends = self._sends
        if self._audio != sends:
            wanted = sends.bytes_for(self._audio.seconds_in(len(audio)))
            audio = self._converter.feed(audio)
            # A change of rate holds the first 2 ms back.
            audio = sends.silence * ((wanted - len(audio)) // sends.bytes_per_sample) + audio
        least = sends.bytes_for(FRAME_SECONDS)
        if len(audio) < least:
            audio += sends.silence * ((least - len(audio)) // sends.bytes_per_sample)
        payload = b2a_base64(self._as_sent(audio), newline=False).decode("ascii")
        return f'{{"event":"media","media":{{"payload":"{payload}"}}}}'

    def encode_mark(self, name: str) -> str:
        """The message that asks for ``name`` back when all audio before it was played, or cleared."""
        self._check_started()
        return f'{{"event":"mark","mark":{{"name":{msgspec.json.encode(name).decode()}}}}}'

    def encode_clear(self) -> str:
        """The message that empties the carrier's queue; every mark outstanding comes back because of it."""
        self._check_started()
        self._converter = Converter(self._audio, self._sends)
        return '{"event":"clear"}'

    def _as_sent(self, audio: bytes) -> bytes:
        return swap_bytes(audio) if self._is_swapped and self._sends.encoding == "linear16" else audio

    def _check_started(self) -> None:
        if self._stream_id is None:
            raise RuntimeError("nothing can be sent before the stream has started")

    def _check_stream(self, stream_id: str) -> None:
        if self._stream_id is None:
            raise RemoteProtocolError("a message before start")
        if stream_id not in ("", self._stream_id):
            raise RemoteProtocolError("a message for another stream")

    def _read_media(self, media: _MediaBody) -> AudioReceived | None:
        sound = media.payload
        if self._audio.seconds_in(len(sound)) > _LONGEST_AUDIO_SECONDS:
            raise RemoteProtocolError(f"{len(sound)} bytes of audio in one message")
        if media.track not in _INBOUND or not sound:
            return None
        if self._audio.encoding == "linear16":
            if len(sound) % 2:
                raise RemoteProtocolError("half a sample of audio")
            sound = swap_bytes(sound) if self._is_swapped else sound
        at = self._times.read(media.chunk, media.timestamp, self._audio.seconds_in(len(sound)))
        return AudioReceived(sound, at)

    def _start(self, said: _Start) -> StreamStarted:
        if self._stream_id is not None:
            raise RemoteProtocolError("a second start on one stream")
        body = said.start
        self._audio = _read_format(body.media_format)
        self._times = MediaTimes(self._audio.sample_rate)
        self._converter = Converter(self._audio, self._sends)
        self._stream_id = said.stream_id
        return StreamStarted(said.stream_id, body.call_control_id, _parameters(body), self._audio)


def _read_format(said: _MediaFormat) -> AudioFormat:
    encoding = CODECS.get(said.encoding)
    if encoding is None:
        raise RemoteProtocolError(
            "a stream in a codec that is not spoken here", hint="PCMU, PCMA and L16 are"
        )
    if said.sample_rate not in _RATES or (encoding != "linear16" and said.sample_rate != _RATES[0]):
        raise RemoteProtocolError(f"a stream with {said.sample_rate} samples a second in that codec")
    return AudioFormat(encoding, said.sample_rate)


def _parameters(body: _StartBody) -> dict[str, str]:
    """The stream's parameters: as it was told to give them back, and as we have it keep them for us."""
    given = body.custom_parameters or {}
    if isinstance(given, list):
        given = {each.name: each.value for each in given}
    return {**read_state(body.client_state).parameters, **given}
