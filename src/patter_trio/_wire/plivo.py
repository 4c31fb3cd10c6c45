"""Plivo's media stream, from the server's side: text messages to events, and back.

Facts are from Plivo's audio streaming reference: ``start`` comes first, ``streamId`` stands in every message
after it, one JSON object per text message. Its sources disagree about ``media.timestamp`` (Unix time, or
since the start), the name of ``playedStream`` and whether ``stop`` exists: each reading is taken.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections import deque
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from ..errors import PatterConfigError, RemoteProtocolError
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
from .plivo_ids import UUID
from .twilio import decode_event

__all__ = ["ENCODINGS", "PlivoWire", "read_extra_headers"]

ENCODINGS: Mapping[str, Encoding] = {"audio/x-mulaw": "mulaw", "audio/x-l16": "linear16"}
"""What Plivo calls the encodings of a stream; L16 is little-endian."""

# As with the other carriers: a message has 20 ms, a second is far more.
_LONGEST_AUDIO_SECONDS = 1.0
# A clear that is never confirmed must not be remembered for ever.
_CLEARS = 16
_DIGITS = re.compile(r"[0-9*#A-D]+")
_WORDS_LIMIT = 200
_PAIR = re.compile(r"""\s*["']?([^=:"']+?)["']?\s*[=:]\s*["']?(.*?)["']?\s*""", re.DOTALL)

_Id = Annotated[str, msgspec.Meta(pattern=UUID)]


class _MediaFormat(msgspec.Struct, rename="camel"):
    encoding: str
    sample_rate: Annotated[int, msgspec.Meta(ge=8000, le=48000)]


class _StartBody(msgspec.Struct, rename="camel"):
    call_id: _Id
    stream_id: _Id
    media_format: _MediaFormat


class _Start(msgspec.Struct, tag_field="event", tag="start"):
    start: _StartBody
    extra_headers: Any = ""


class _MediaBody(msgspec.Struct):
    payload: bytes
    # Unix time in ms has 41 bits; up to here it is exact as a float of seconds.
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=1 << 44)]
    track: str = "inbound"


class _OfStream(msgspec.Struct, rename="camel"):
    stream_id: str | None = None


class _Media(_OfStream, tag_field="event", tag="media", kw_only=True):
    media: _MediaBody


class _DtmfBody(msgspec.Struct):
    digit: Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-D*#]\Z")]
    track: str = "inbound"


class _Dtmf(_OfStream, tag_field="event", tag="dtmf", kw_only=True):
    dtmf: _DtmfBody


class _PlayedStream(_OfStream, tag_field="event", tag="playedStream", kw_only=True):
    name: str


class _Played(_OfStream, tag_field="event", tag="played", kw_only=True):
    name: str


class _ClearedAudio(_OfStream, tag_field="event", tag="clearedAudio"):
    pass


class _Stop(_OfStream, tag_field="event", tag="stop"):
    pass


class _Error(_OfStream, tag_field="event", tag="error"):
    message: Any = ""
    error: Any = ""
    reason: Any = ""


class _PlayFailed(_OfStream, tag_field="event", tag="playFailed"):
    reason: Any = ""


_Message = _Media | _Dtmf | _PlayedStream | _Played | _ClearedAudio | _Start | _Stop | _Error | _PlayFailed
_EVENTS = frozenset(
    {"media", "dtmf", "playedStream", "played", "clearedAudio", "start", "stop", "error", "playFailed"}
)
# Not strict: "5" is the number 5.
_DECODER: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message, strict=False)


def read_extra_headers(said: Any) -> dict[str, str]:
    """The parameters of a stream, from every form in which they have been seen to come back.

    Pairs with ``=`` or ``:`` between ``,`` or ``;``, in braces or not, or a JSON object; what is none of
    these is left out.
    """
    if isinstance(said, str):
        try:
            said = msgspec.json.decode(said)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            text = said.strip().removeprefix("{").removesuffix("}")
            pairs = (_PAIR.fullmatch(part) for part in re.split("[,;]", text))
            return {pair[1]: pair[2] for pair in pairs if pair is not None}
    if not isinstance(said, dict):
        return {}
    return {str(name): value if isinstance(value, str) else str(value) for name, value in said.items()}


class PlivoWire:
    """One media stream: stays closed to everything until ``start`` has named the stream and its format.

    Plivo answers a checkpoint only when all before it was really played, so a mark behind a clear may never
    come back. The clear itself is confirmed, in order: :class:`MarkPlayed` of the first mark behind a clear
    is made of that. When the checkpoint is answered as well, it comes a second time, which is allowed.
    """

    ends_by_closing = True

    def __init__(self) -> None:
        self._audio = MULAW_8K
        self._content_type = "audio/x-mulaw"
        self._stream_id: str | None = None
        self._began: int | None = None
        # The mark behind each clear that was not confirmed yet; empty while there is none.
        self._clears: deque[str] = deque(maxlen=_CLEARS)

    @property
    def audio(self) -> AudioFormat:
        """The format that ``start`` named, both ways; 8 kHz µ-law until then."""
        return self._audio

    def decode(self, message: str | bytes) -> CarrierEvent | None:
        """Reads a message; ``None`` for other tracks and events that we do not know.

        Raises:
            RemoteProtocolError: it is malformed, comes before ``start``, is for another stream, or Plivo says
                that something went wrong.
        """
        said = decode_event(_DECODER, _EVENTS, message)
        if said is None:
            return None
        if isinstance(said, _Start):
            return self._start(said)
        self._check_stream(said.stream_id)
        match said:
            case _Media(media=media):
                return self._read_media(media)
            case _PlayedStream(name=name) | _Played(name=name):
                return self._mark_played(name)
            case _ClearedAudio():
                return self._cleared()
            case _Dtmf(dtmf=dtmf):
                return DigitPressed(dtmf.digit) if dtmf.track == "inbound" else None
            case _Stop():
                return StreamStopped()
            case _PlayFailed(reason=reason):
                raise RemoteProtocolError(f"Plivo could not play: {_words(reason)}")
            case _Error():
                raise RemoteProtocolError(
                    f"Plivo reports an error: {_words(said.message or said.error or said.reason)}"
                )

    def encode_audio(self, audio: bytes) -> str:
        """The message that plays ``audio``, in order.

        Raises:
            RuntimeError: the stream has not started, as for the other messages.
        """
        self._stream()
        payload = b2a_base64(audio, newline=False).decode("ascii")
        return (
            f'{{"event":"playAudio","media":{{"contentType":"{self._content_type}",'
            f'"sampleRate":{self._audio.sample_rate},"payload":"{payload}"}}}}'
        )

    def encode_mark(self, name: str) -> str:
        """The message that asks for ``name`` back when all audio before it was played."""
        message = _json({"event": "checkpoint", "streamId": self._stream(), "name": name})
        if self._clears and not self._clears[-1]:
            self._clears[-1] = name
        return message

    def encode_clear(self) -> str:
        """The message that empties the carrier's queue; the marks that are out are not answered then."""
        message = _json({"event": "clearAudio", "streamId": self._stream()})
        self._clears.append("")
        return message

    def encode_digits(self, digits: str) -> str:
        """The message that presses ``digits``.

        Raises:
            PatterConfigError: one is not on a telephone.
        """
        self._stream()
        if not _DIGITS.fullmatch(digits):
            raise PatterConfigError(
                f"{digits[:40]!r} cannot be pressed", hint="digits, * and #, A to D; no pauses"
            )
        return _json({"event": "sendDTMF", "dtmf": digits})

    def _stream(self) -> str:
        if self._stream_id is None:
            raise RuntimeError("nothing can be sent before the stream has started")
        return self._stream_id

    def _check_stream(self, stream_id: str | None) -> None:
        if self._stream_id is None:
            raise RemoteProtocolError("a message before start")
        if stream_id is not None and stream_id != self._stream_id:
            raise RemoteProtocolError("a message for another stream")

    def _mark_played(self, name: str) -> MarkPlayed:
        if name in self._clears:
            # The clears before it are done; a confirmation that has not come will not.
            while self._clears.popleft() != name:
                pass
        return MarkPlayed(name)

    def _cleared(self) -> MarkPlayed | None:
        name = self._clears.popleft() if self._clears else ""
        return MarkPlayed(name) if name else None

    def _read_media(self, media: _MediaBody) -> AudioReceived | None:
        if self._audio.seconds_in(len(media.payload)) > _LONGEST_AUDIO_SECONDS:
            raise RemoteProtocolError(f"{len(media.payload)} bytes of audio in one message")
        if len(media.payload) % self._audio.bytes_per_sample:
            raise RemoteProtocolError("half a sample at the end of a message")
        if media.track != "inbound" or not media.payload:
            return None
        if self._began is None:
            self._began = media.timestamp
        return AudioReceived(media.payload, max(0, media.timestamp - self._began) / 1000)

    def _start(self, said: _Start) -> StreamStarted:
        body = said.start
        if self._stream_id is not None:
            raise RemoteProtocolError("a second start on one stream")
        content_type = body.media_format.encoding.partition(";")[0].strip()
        encoding = ENCODINGS.get(content_type)
        if encoding is None:
            raise RemoteProtocolError("an audio encoding that we do not know")
        self._audio = AudioFormat(encoding, body.media_format.sample_rate)
        self._content_type = content_type
        self._stream_id = body.stream_id
        return StreamStarted(
            body.stream_id, body.call_id, read_extra_headers(said.extra_headers), self._audio
        )


def _words(said: Any) -> str:
    return " ".join(str(said).split())[:_WORDS_LIMIT] or "no reason given"


def _json(message: Mapping[str, str]) -> str:
    return msgspec.json.encode(message).decode()
