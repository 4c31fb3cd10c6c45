"""TwiML: the XML that answers a call's webhook, written by us and read by a simulated carrier.

Facts are from Twilio's TwiML reference: a stream URL is ``wss://``, absolute and without a query (errors
31922 and 31920), name and value of a parameter together stay below 500 characters, ``<Reject>`` comes first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring, tostring

import attrs

from ..errors import PatterConfigError, RemoteProtocolError

__all__ = [
    "THIS_MACHINE",
    "Answer",
    "DialAnswer",
    "HangUp",
    "Refusal",
    "SayAnswer",
    "StreamAnswer",
    "connect_stream",
    "dial",
    "parse_answer",
    "reject",
    "say_and_hangup",
]

_PARAMETER_LIMIT = 500
# Ours: many times what a voice webhook answers.
_LONGEST_DOCUMENT = 1 << 16
_REASONS = ("busy", "rejected")
# What XML 1.0 cannot hold, not even escaped.
# A document that is sent inside a request; Twilio's own limit.
_LONGEST_INLINE = 4000
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SIP = re.compile(r"sip:[A-Za-z0-9\-_.!~*'()%&=+$,;?/]+@[A-Za-z0-9.\-]+(:[0-9]{1,5})?([;?][!-~]*)?")
_LONGEST_SIP = 254
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_RING_SECONDS = range(5, 601)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A carrier is not here and cannot reach these: only a simulated one is meant, and it needs no certificate.
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@attrs.frozen
class StreamAnswer:
    """Open a two-way media stream at ``url``; ``parameters`` come back in its ``start``."""

    url: str
    parameters: Mapping[str, str] = attrs.field(factory=dict[str, str])
    status_callback: str | None = None


@attrs.frozen
class Refusal:
    """Do not answer the call; the caller hears busy, or that the number is not in service."""

    reason: str = "rejected"


@attrs.frozen
class SayAnswer:
    """Answer, say ``text`` in the carrier's own voice, and hang up."""

    text: str


@attrs.frozen
class HangUp:
    """Answer and hang up at once."""


@attrs.frozen
class DialAnswer:
    """Connect the call to ``number``; when that is over, or never comes about, say ``afterwards`` and end."""

    number: str
    afterwards: str = ""
    caller_id: str = ""
    language: str = ""
    ring_seconds: int = 30


Answer = StreamAnswer | Refusal | SayAnswer | HangUp | DialAnswer


# --- what we write ------------------------------------------------------------------------------------------


def connect_stream(url: str, parameters: Mapping[str, str], *, status_callback: str | None = None) -> str:
    """The document that opens a two-way stream and ends the call after it.

    Raises:
        PatterConfigError: the URL or a parameter is one that the carrier would refuse; ``ws://`` is taken for
            this machine itself.
    """
    fault = _stream_fault(url, parameters)
    if fault is not None:
        raise PatterConfigError(fault, hint="call data goes into the path or into parameters")
    response = Element("Response")
    stream = SubElement(SubElement(response, "Connect"), "Stream", {"url": url})
    if status_callback is not None:
        stream.attrib |= {"statusCallback": status_callback, "statusCallbackMethod": "POST"}
    for name, value in parameters.items():
        SubElement(stream, "Parameter", {"name": name, "value": value})
    return _document(response)


def reject(reason: str = "busy") -> str:
    """The document that declines a call before it is answered, which costs nothing.

    Raises:
        PatterConfigError: ``reason`` is neither ``"busy"`` nor ``"rejected"``.
    """
    if reason not in _REASONS:
        raise PatterConfigError(f"a call cannot be declined as {reason!r}", hint="busy or rejected")
    response = Element("Response")
    SubElement(response, "Reject", {"reason": reason})
    return _document(response)


def say_and_hangup(text: str) -> str:
    """The document that says ``text`` in the carrier's own voice and ends the call.

    Raises:
        PatterConfigError: ``text`` is empty or holds characters that XML cannot.
    """
    if not text.strip():
        raise PatterConfigError("there is nothing to say")
    response = Element("Response")
    SubElement(response, "Say").text = text
    SubElement(response, "Hangup")
    return _document(response)


def dial(
    number: str, *, afterwards: str, caller_id: str = "", language: str = "en-US", ring_seconds: int = 20
) -> str:
    """The document that connects a call to another number and never leaves the caller in silence.

    Without an ``action`` Twilio goes on behind ``<Dial>`` in every case where the caller is still there: the
    number is busy, rejects, does not answer, cannot be reached, or was spoken to and hung up first. So
    ``afterwards`` must be true in all of them. ``answerOnBridge`` would change nothing: the call is answered.

    Args:
        number: E.164, or a ``sip:`` address.
        afterwards: what the caller hears before the call ends.
        caller_id: the number that is shown; the caller's own where it is left out.
        language: in which ``afterwards`` is read out.
        ring_seconds: how long the number may ring.

    Raises:
        PatterConfigError: a value that the carrier would refuse, which it would tell nobody but its debugger.
    """
    fault = _dial_fault(number, caller_id, language, ring_seconds)
    if fault is not None:
        what, hint = fault
        raise PatterConfigError(what, hint=hint)
    response = Element("Response")
    call = SubElement(response, "Dial", {"timeout": str(ring_seconds)})
    if caller_id:
        call.set("callerId", caller_id)
    SubElement(call, "Sip" if number.startswith("sip:") else "Number").text = number
    if not afterwards.strip():
        raise PatterConfigError("there is nothing to say after a transfer")
    SubElement(response, "Say", {"language": language}).text = afterwards
    SubElement(response, "Hangup")
    document = _document(response)
    if len(document) > _LONGEST_INLINE:
        raise PatterConfigError(
            f"the document of a transfer has {len(document)} characters, not {_LONGEST_INLINE}"
        )
    return document


def _dial_fault(number: str, caller_id: str, language: str, ring_seconds: int) -> tuple[str, str] | None:
    """What the carrier would find wrong with a transfer, and what to do about it."""
    if not _E164.fullmatch(number) and not (len(number) <= _LONGEST_SIP and _SIP.fullmatch(number)):
        return (
            f"a call cannot be transferred to {number[:40]!r}",
            "a number like +15550001234, or a sip: address",
        )
    if caller_id and not _E164.fullmatch(caller_id):
        return (
            f"{caller_id[:40]!r} cannot be shown as the caller",
            "a number of the account, like +15550001234",
        )
    if not _LANGUAGE.fullmatch(language):
        return f"{language[:40]!r} is not a language", "like en-US"
    if ring_seconds not in _RING_SECONDS:
        return f"a number cannot ring for {ring_seconds!r} seconds", "5 to 600"
    return None


def _document(response: Element) -> str:
    text = tostring(response, encoding="unicode")
    if _FORBIDDEN.search(text):
        raise PatterConfigError("a control character or half a character in the answer to a call")
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'


def _stream_fault(url: str, parameters: Mapping[str, str]) -> str | None:
    """What the carrier would find wrong with a stream, without the values of parameters: they are secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a stream URL that is not a URL"
    if not parts.hostname:
        return "a stream URL without a host"
    if parts.scheme != "wss" and not (parts.scheme == "ws" and parts.hostname in THIS_MACHINE):
        return "a stream URL must be wss://"
    if "?" in url or "#" in url:
        return "a stream URL must not have a query or a fragment"
    for name, value in parameters.items():
        if not name:
            return "a stream parameter without a name"
        if len(name) + len(value) >= _PARAMETER_LIMIT:
            return f"stream parameter {name[:40]!r} has {_PARAMETER_LIMIT} characters or more with its name"
    return None


# --- what a simulated carrier reads -------------------------------------------------------------------------


def parse_answer(xml: str) -> Answer:
    """Reads the answer to a voice webhook, as far as this package writes such answers.

    Document type declarations are refused, so no entity is ever expanded.

    Raises:
        RemoteProtocolError: the document is not TwiML, asks for something else, or breaks a rule of theirs.
    """
    verbs = _read_verbs(xml)
    if not verbs:
        return HangUp()
    first = verbs[0]
    if first.tag == "Reject":
        reason = first.get("reason", "rejected")
        if reason not in _REASONS:
            raise RemoteProtocolError("a <Reject> for an unknown reason")
        return Refusal(reason)
    if first.tag == "Dial":
        return _read_dial(verbs)
    # What follows a stream runs when it ends; a call that has nothing more to do ends.
    if any(verb.tag != "Hangup" for verb in verbs[1:]):
        raise RemoteProtocolError("more verbs than this simulated carrier follows")
    if first.tag == "Connect":
        return _read_stream(first)
    if first.tag == "Say":
        return SayAnswer("".join(first.itertext()).strip())
    if first.tag == "Hangup":
        return HangUp()
    raise RemoteProtocolError("a verb that this simulated carrier does not know")


def _read_verbs(xml: str) -> list[Element]:
    if len(xml) > _LONGEST_DOCUMENT:
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
    return list(root)


def _read_stream(connect: Element) -> StreamAnswer:
    streams = list(connect)
    if len(streams) != 1 or streams[0].tag != "Stream":
        raise RemoteProtocolError("a <Connect> that does not hold one <Stream>")
    stream = streams[0]
    if stream.get("track", "inbound_track") != "inbound_track":
        raise RemoteProtocolError("a two-way stream of another track than inbound_track")
    url = stream.get("url", "")
    parameters = {
        child.get("name", ""): child.get("value", "") for child in stream if child.tag == "Parameter"
    }
    fault = _stream_fault(url, parameters)
    if fault is not None:
        raise RemoteProtocolError(fault)
    return StreamAnswer(url, parameters, stream.get("statusCallback"))


def _read_dial(verbs: list[Element]) -> DialAnswer:
    call, after = verbs[0], verbs[1:]
    targets = list(call)
    if len(targets) != 1 or targets[0].tag not in ("Number", "Sip") or call.get("action") is not None:
        raise RemoteProtocolError("a <Dial> that this simulated carrier does not follow")
    if after and after[-1].tag == "Hangup":
        after.pop()
    if len(after) > 1 or any(verb.tag != "Say" for verb in after):
        raise RemoteProtocolError("more verbs than this simulated carrier follows")
    number, caller_id = (targets[0].text or "").strip(), call.get("callerId", "")
    seconds = call.get("timeout", "30")
    language = after[0].get("language", "en-US") if after else "en-US"
    fault = _dial_fault(number, caller_id, language, int(seconds) if seconds.isdecimal() else 0)
    if fault is not None:
        raise RemoteProtocolError(fault[0])
    afterwards = "".join(after[0].itertext()).strip() if after else ""
    return DialAnswer(number, afterwards, caller_id, language, int(seconds))
