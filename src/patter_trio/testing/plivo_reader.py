"""Plivo's XML as the simulated carrier reads it: a document is a tuple of elements with their meaning.

What the real carrier would drop a call for, and an attribute that it does not have, is an error here.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError, fromstring

import attrs

from .._wire.plivo import ENCODINGS, read_extra_headers
from .._wire.twiml import THIS_MACHINE
from ..errors import RemoteProtocolError
from ..events import AudioFormat
from . import elements
from .instructions import HangUp, Pause, PlayDigits, Reject, Speak

__all__ = ["DialTag", "RecordTag", "RedirectTag", "RoomTag", "StreamTag", "Tag", "read_plivo_xml"]

_LONGEST = 100_000
_ROLES = ("agent", "supervisor", "customer")
# As in Plivo's reference, where the AI guide says otherwise.
_DEFAULT_CONTENT_TYPE = "audio/x-l16;rate=8000"


@attrs.frozen
class StreamTag:
    """``<Stream>``."""

    url: str
    parameters: Mapping[str, str]
    audio: AudioFormat
    keeps_call: bool = False
    status_url: str = ""


@attrs.frozen
class DialTag:
    """``<Dial>`` of one number or SIP address; ``replaces`` is what it calls ``redirect``."""

    number: str
    caller_id: str = ""
    ring_seconds: int = 120
    action: str = ""
    replaces: bool = True


@attrs.frozen
class RoomTag:
    """``<MultiPartyCall>``."""

    name: str
    starts: bool = True
    ends: bool = False
    action: str = ""


@attrs.frozen
class RecordTag:
    """``<Record recordSession="true">``."""

    callback: str
    channels: int = 1


@attrs.frozen
class RedirectTag:
    """``<Redirect>``: the rest of the document is got from there."""

    url: str


Tag = Speak | PlayDigits | Pause | HangUp | Reject | StreamTag | DialTag | RoomTag | RecordTag | RedirectTag


def read_plivo_xml(xml: str) -> tuple[Tag, ...]:
    """Reads a document; document type declarations are refused, so no entity is ever expanded.

    Raises:
        RemoteProtocolError: it is no Plivo XML, or has what this simulated carrier cannot do.
    """
    if len(xml.encode()) > _LONGEST or "<!DOCTYPE" in xml:
        raise RemoteProtocolError("a document of more than 100 kB, or with a document type declaration")
    try:
        # Without a document type there are no entities but XML's own five.
        root = fromstring(xml.strip())  # noqa: S314
    except (ParseError, ValueError) as error:
        raise RemoteProtocolError("a document that is not XML") from error
    if root.tag != "Response":
        raise RemoteProtocolError("a document whose root is not <Response>")
    return tuple(_read(element) for element in root)


def _read(element: Element) -> Tag:
    match element.tag:
        case "Speak":
            elements.known(element, "voice", "language", "loop")
            if not elements.text(element):
                raise RemoteProtocolError("a <Speak> without a text")
            return Speak(elements.text(element), element.get("language", ""))
        case "Wait":
            elements.known(element, "length")
            return Pause(_number(element, "length", 1))
        case "DTMF":
            elements.known(element, "async")
            return PlayDigits(elements.text(element))
        case "Hangup":
            elements.known(element, "reason")
            reason = elements.choice(element, "reason", "", ("", "busy", "rejected"))
            return HangUp() if not reason else Reject("busy" if reason == "busy" else "declined")
        case "Redirect":
            elements.known(element, "method")
            return RedirectTag(_address(elements.text(element)))
        case "Stream":
            return _read_stream(element)
        case "Dial":
            return _read_dial(element)
        case "MultiPartyCall":
            return _read_room(element)
        case "Record":
            return _read_record(element)
    raise RemoteProtocolError(f"a <{element.tag}>, which this simulated carrier does not know")


def _read_stream(element: Element) -> StreamTag:
    elements.known(
        element,
        *("bidirectional", "audioTrack", "contentType", "keepCallAlive", "streamTimeout"),
        *("statusCallbackUrl", "statusCallbackMethod", "extraHeaders"),
    )
    if not elements.flag(element, "bidirectional", default=False):
        raise RemoteProtocolError("a stream of one direction")
    elements.choice(element, "audioTrack", "inbound", ("inbound",))
    url, parts = elements.text(element), urlsplit(elements.text(element))
    is_safe = parts.scheme == "wss" or (parts.scheme == "ws" and parts.hostname in THIS_MACHINE)
    if not parts.hostname or not is_safe:
        raise RemoteProtocolError("a stream URL must be wss://")
    headers = element.get("extraHeaders", "")
    if len(headers.encode()) > 512:
        raise RemoteProtocolError("extraHeaders of more than 512 bytes")
    encoding, _, rate = element.get("contentType", _DEFAULT_CONTENT_TYPE).partition(";rate=")
    if encoding not in ENCODINGS or rate not in ("8000", "16000"):
        raise RemoteProtocolError("a contentType that the carrier does not have")
    return StreamTag(
        url,
        read_extra_headers(headers),
        AudioFormat(ENCODINGS[encoding], int(rate)),
        elements.flag(element, "keepCallAlive", default=False),
        _address(element.get("statusCallbackUrl", "")),
    )


def _read_dial(element: Element) -> DialTag:
    elements.known(element, "action", "method", "redirect", "timeout", "callerId")
    if len(element) != 1 or element[0].tag not in ("Number", "User"):
        raise RemoteProtocolError("a <Dial> that does not hold one <Number> or <User>")
    number = elements.text(element[0])
    return DialTag(
        number if number.startswith("sip:") else f"+{number.removeprefix('+')}",
        element.get("callerId", ""),
        _number(element, "timeout", 120),
        _address(element.get("action", "")),
        elements.flag(element, "redirect", default=True),
    )


def _read_room(element: Element) -> RoomTag:
    elements.known(
        element,
        *("role", "maxParticipants", "startMpcOnEnter", "endMpcOnExit", "stayAlone"),
        *("enterSound", "exitSound", "onExitActionUrl", "onExitActionMethod"),
    )
    elements.choice(element, "role", "", _ROLES)
    if not 2 <= _number(element, "maxParticipants", 10) <= 10 or not elements.text(element):
        raise RemoteProtocolError("a room without a name, or for fewer than 2 or more than 10")
    return RoomTag(
        elements.text(element),
        elements.flag(element, "startMpcOnEnter", default=True),
        elements.flag(element, "endMpcOnExit", default=False),
        _address(element.get("onExitActionUrl", "")),
    )


def _read_record(element: Element) -> RecordTag:
    elements.known(
        element,
        *("recordSession", "redirect", "maxLength", "fileFormat", "recordChannelType"),
        *("callbackUrl", "callbackMethod"),
    )
    if not elements.flag(element, "recordSession", default=False):
        raise RemoteProtocolError("a <Record> of less than the session")
    channels = elements.choice(element, "recordChannelType", "mono", ("mono", "stereo"))
    return RecordTag(_address(element.get("callbackUrl", "")), 2 if channels == "stereo" else 1)


def _number(element: Element, name: str, default: int) -> int:
    value = element.get(name, str(default))
    if not value.isdecimal():
        raise RemoteProtocolError(f"<{element.tag} {name}={value!r}>: no number")
    return int(value)


def _address(url: str) -> str:
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise RemoteProtocolError(f"an address that is not absolute: {url[:60]!r}")
    return url
