"""TwiML as the simulated Twilio follows it: a document is a tuple of verbs.

What the real carrier would only warn of in its debugger (an attribute that it does not know, a value that it
cannot read) is an error here: nobody looks into the debugger of a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError, fromstring

import attrs

from .._wire.twiml import THIS_MACHINE
from ..errors import RemoteProtocolError
from . import elements
from .instructions import HangUp, Pause, PlayDigits, PlaySound, Reject, Speak
from .wordsound import noise

__all__ = ["ConferenceVerb", "DialVerb", "RedirectVerb", "StreamVerb", "Verb", "read_twiml"]

_LONGEST = 1 << 16
_PARAMETER_LIMIT = 500
_KEYS = frozenset("0123456789*#ABCDwW")
_EVENTS = ("initiated", "ringing", "answered", "completed")
_ROOM_EVENTS = ("start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement")


@attrs.frozen
class StreamVerb:
    """``<Connect><Stream>``."""

    url: str
    parameters: Mapping[str, str]
    name: str = ""
    status_callback: str = ""


@attrs.frozen
class DialVerb:
    """``<Dial>`` of one number or SIP address."""

    number: str
    caller_id: str = ""
    ring_seconds: int = 30
    time_limit: int | None = None
    action: str = ""
    answers_late: bool = False
    send_digits: str = ""
    whisper_url: str = ""
    status_callback: str = ""
    status_events: frozenset[str] = frozenset({"completed"})


@attrs.frozen
class ConferenceVerb:
    """``<Dial><Conference>``."""

    name: str
    starts: bool = True
    ends: bool = False
    muted: bool = False
    action: str = ""
    status_callback: str = ""
    status_events: frozenset[str] = frozenset()


@attrs.frozen
class RedirectVerb:
    """``<Redirect>``: the rest of the document is got from there."""

    url: str


Verb = (
    Speak
    | PlayDigits
    | PlaySound
    | Pause
    | HangUp
    | Reject
    | StreamVerb
    | DialVerb
    | ConferenceVerb
    | RedirectVerb
)


def read_twiml(xml: str) -> tuple[Verb, ...]:
    """Reads a document; document type declarations are refused, so no entity is ever expanded.

    Raises:
        RemoteProtocolError: it is no TwiML, or breaks a rule, or has what this simulated carrier cannot do.
    """
    if len(xml) > _LONGEST:
        raise RemoteProtocolError(f"a document of {len(xml)} characters")
    if "<!DOCTYPE" in xml:
        raise RemoteProtocolError("a document with a document type declaration")
    try:
        # Without a document type there are no entities but XML's own five.
        root = fromstring(xml.strip())  # noqa: S314
    except (ParseError, ValueError) as error:
        raise RemoteProtocolError("a document that is not XML") from error
    if root.tag != "Response":
        raise RemoteProtocolError("a document whose root is not <Response>")
    verbs = tuple(_read_verb(element) for element in root)
    if any(isinstance(verb, Reject) for verb in verbs[1:]):
        raise RemoteProtocolError("a <Reject> that is not the first verb")
    return verbs


def _read_verb(element: Element) -> Verb:
    match element.tag:
        case "Say":
            elements.known(element, "voice", "language", "loop")
            text = elements.text(element)
            if not text:
                raise RemoteProtocolError("a <Say> without a text")
            return Speak(text, element.get("language", ""))
        case "Play":
            return _read_play(element)
        case "Pause":
            elements.known(element, "length")
            return Pause(_number(element, "length", 1, range(3601)))
        case "Hangup":
            elements.known(element)
            return HangUp()
        case "Reject":
            elements.known(element, "reason")
            reason = elements.choice(element, "reason", "rejected", ("rejected", "busy"))
            return Reject("busy" if reason == "busy" else "declined")
        case "Redirect":
            elements.known(element, "method")
            return RedirectVerb(_address(element, elements.text(element)))
        case "Connect":
            return _read_stream(element)
        case "Dial":
            return _read_dial(element)
    raise RemoteProtocolError(f"a <{element.tag}>, which this simulated carrier does not know")


def _read_play(element: Element) -> Verb:
    elements.known(element, "digits", "loop")
    digits = element.get("digits")
    if digits is None:
        _address(element, elements.text(element))
        return PlaySound(noise(1.0))
    return PlayDigits(_digits(element, "digits"))


def _read_stream(connect: Element) -> StreamVerb:
    elements.known(connect)
    if [child.tag for child in connect] != ["Stream"]:
        raise RemoteProtocolError("a <Connect> that does not hold one <Stream>")
    stream = connect[0]
    elements.known(stream, "url", "name", "track", "statusCallback", "statusCallbackMethod")
    elements.choice(stream, "track", "inbound_track", ("inbound_track",))
    url, parameters = stream.get("url", ""), dict[str, str]()
    parts = urlsplit(url)
    if not parts.hostname or not (
        parts.scheme == "wss" or (parts.scheme == "ws" and parts.hostname in THIS_MACHINE)
    ):
        raise RemoteProtocolError("a stream URL must be wss:// (31922)")
    if "?" in url or "#" in url:
        raise RemoteProtocolError("a stream URL must not have a query or a fragment (31920)")
    for child in stream:
        name, value = child.get("name", ""), child.get("value", "")
        if child.tag != "Parameter" or not name or len(name) + len(value) >= _PARAMETER_LIMIT:
            raise RemoteProtocolError(f"a stream parameter {name[:40]!r} that the carrier refuses")
        parameters[name] = value
    return StreamVerb(url, parameters, stream.get("name", ""), _callback(stream))


def _read_dial(element: Element) -> Verb:
    elements.known(element, "callerId", "timeout", "timeLimit", "action", "method", "answerOnBridge")
    action = _address(element, element.get("action", ""))
    if len(element) == 0:
        number, digits, whisper, callback, events = (
            elements.text(element),
            "",
            "",
            "",
            frozenset({"completed"}),
        )
    elif len(element) > 1:
        raise RemoteProtocolError("a <Dial> of more than one number")
    elif element[0].tag == "Conference":
        return _read_conference(element[0], action)
    elif element[0].tag in ("Number", "Sip"):
        noun = element[0]
        callbacks = ("statusCallback", "statusCallbackEvent", "statusCallbackMethod")
        elements.known(noun, "sendDigits", "url", "method", *callbacks)
        number, digits = elements.text(noun), _digits(noun, "sendDigits")
        whisper, callback = _address(noun, noun.get("url", "")), _callback(noun)
        events = _events(noun, _EVENTS) or frozenset({"completed"})
    else:
        raise RemoteProtocolError(f"a <Dial> of a <{element[0].tag}>")
    if not number:
        raise RemoteProtocolError("a <Dial> of nobody")
    limit = element.get("timeLimit")
    return DialVerb(
        *(number, element.get("callerId", "")),
        ring_seconds=_number(element, "timeout", 30, range(5, 601)),
        time_limit=None if limit is None else _number(element, "timeLimit", 0, range(1, 86401)),
        action=action,
        answers_late=elements.flag(element, "answerOnBridge", default=False),
        send_digits=digits,
        whisper_url=whisper,
        status_callback=callback,
        status_events=events,
    )


def _read_conference(noun: Element, action: str) -> ConferenceVerb:
    callbacks = ("statusCallback", "statusCallbackEvent", "statusCallbackMethod")
    flags = ("startConferenceOnEnter", "endConferenceOnExit", "muted", "beep", "waitUrl", "waitMethod")
    elements.known(noun, *flags, *callbacks, "maxParticipants", "participantLabel")
    elements.choice(noun, "beep", "true", ("true", "false", "onEnter", "onExit"))
    if not elements.text(noun):
        raise RemoteProtocolError("a <Conference> without a name")
    return ConferenceVerb(
        elements.text(noun),
        elements.flag(noun, "startConferenceOnEnter", default=True),
        elements.flag(noun, "endConferenceOnExit", default=False),
        elements.flag(noun, "muted", default=False),
        action,
        _callback(noun),
        _events(noun, _ROOM_EVENTS),
    )


def _number(element: Element, name: str, default: int, allowed: range) -> int:
    value = element.get(name, str(default))
    if not value.isdecimal() or int(value) not in allowed:
        raise RemoteProtocolError(f"<{element.tag} {name}={value!r}>: {allowed[0]} to {allowed[-1]}")
    return int(value)


def _digits(element: Element, name: str) -> str:
    value = element.get(name, "")
    if set(value) - _KEYS:
        raise RemoteProtocolError(f"<{element.tag} {name}={value!r}>: no keys of a phone")
    return value


def _events(element: Element, choices: tuple[str, ...]) -> frozenset[str]:
    events = frozenset(element.get("statusCallbackEvent", "").split())
    if events - set(choices):
        raise RemoteProtocolError(f"<{element.tag}> has no such events: {sorted(events - set(choices))}")
    return events


def _callback(element: Element) -> str:
    return _address(element, element.get("statusCallback", ""))


def _address(element: Element, url: str) -> str:
    """An address of a webhook, absolute, or none."""
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise RemoteProtocolError(f"<{element.tag}> with an address that is not absolute: {url[:60]!r}")
    return url
