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
    "Answer",
    "HangUp",
    "Refusal",
    "SayAnswer",
    "StreamAnswer",
    "connect_stream",
    "parse_answer",
    "reject",
    "say_and_hangup",
]

_PARAMETER_LIMIT = 500
# Ours: many times what a voice webhook answers.
_LONGEST_DOCUMENT = 1 << 16
_REASONS = ("busy", "rejected")
# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A carrier cannot reach these, so only a simulated one is ever given them, and it needs no certificate.
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


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


Answer = StreamAnswer | Refusal | SayAnswer | HangUp


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
    if parts.scheme != "wss" and not (parts.scheme == "ws" and parts.hostname in _THIS_MACHINE):
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
