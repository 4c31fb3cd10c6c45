"""TwiML: the XML that answers a call's webhook, written by us and read by a simulated carrier.

Facts are from Twilio's TwiML reference; :mod:`.twiml_rules` has what it would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring

import attrs

from ..errors import PatterConfigError, RemoteProtocolError
from .twiml_rules import THIS_MACHINE, check_inline, check_language, dial_fault, stream_fault, written

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

# Ours: many times what a voice webhook answers.
_LONGEST_DOCUMENT = 1 << 16
_REASONS = ("busy", "rejected")


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
    """Connect the call to ``number``; when that is over, or never comes about, ask ``action``.

    Where there is no ``action`` (in a document that is not ours) ``afterwards`` is said and the call ends.
    """

    number: str
    afterwards: str = ""
    caller_id: str = ""
    language: str = ""
    ring_seconds: int = 30
    action: str = ""


Answer = StreamAnswer | Refusal | SayAnswer | HangUp | DialAnswer


# --- what we write ------------------------------------------------------------------------------------------


def connect_stream(url: str, parameters: Mapping[str, str], *, status_callback: str | None = None) -> str:
    """The document that opens a two-way stream and ends the call after it.

    Raises:
        PatterConfigError: the URL or a parameter is one that the carrier would refuse; ``ws://`` is taken for
            this machine itself.
    """
    fault = stream_fault(url, parameters)
    if fault is not None:
        raise PatterConfigError(fault, hint="call data goes into the path or into parameters")
    response = Element("Response")
    stream = SubElement(SubElement(response, "Connect"), "Stream", {"url": url})
    if status_callback is not None:
        stream.attrib |= {"statusCallback": status_callback, "statusCallbackMethod": "POST"}
    for name, value in parameters.items():
        SubElement(stream, "Parameter", {"name": name, "value": value})
    return written(response)


def reject(reason: str = "busy") -> str:
    """The document that declines a call before it is answered, which costs nothing.

    Raises:
        PatterConfigError: ``reason`` is neither ``"busy"`` nor ``"rejected"``.
    """
    if reason not in _REASONS:
        raise PatterConfigError(f"a call cannot be declined as {reason!r}", hint="busy or rejected")
    response = Element("Response")
    SubElement(response, "Reject", {"reason": reason})
    return written(response)


def say_and_hangup(text: str, *, language: str = "") -> str:
    """The document that says ``text`` in the carrier's own voice and ends the call.

    Raises:
        PatterConfigError: ``text`` is empty or holds characters that XML cannot, or ``language`` is none.
    """
    if not text.strip():
        raise PatterConfigError("there is nothing to say")
    response = Element("Response")
    say = SubElement(response, "Say")
    say.text = text
    if language:
        check_language(language)
        say.set("language", language)
    SubElement(response, "Hangup")
    return written(response)


def dial(number: str, *, action: str, caller_id: str = "", ring_seconds: int = 20) -> str:
    """The document that connects a call to another number and asks us what comes after that.

    Twilio asks ``action`` whenever it is over: the number is busy, rejects, does not answer, cannot be
    reached, or was spoken to and hung up first. The caller waits for the document that we answer, so nobody
    is left in silence.

    Args:
        number: E.164, or a ``sip:`` address.
        action: where Twilio asks.
        caller_id: the number that is shown; the caller's own where it is left out.
        ring_seconds: how long the number may ring.

    Raises:
        PatterConfigError: a value that the carrier would refuse, which it would tell nobody but its debugger.
    """
    fault = dial_fault(number, caller_id, ring_seconds)
    if fault is not None:
        what, hint = fault
        raise PatterConfigError(what, hint=hint)
    response = Element("Response")
    call = SubElement(response, "Dial", {"timeout": str(ring_seconds), "answerOnBridge": "true"})
    call.attrib |= {"action": action, "method": "POST"}
    if caller_id:
        call.set("callerId", caller_id)
    SubElement(call, "Sip" if number.startswith("sip:") else "Number").text = number
    return check_inline(written(response))


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
    fault = stream_fault(url, parameters)
    if fault is not None:
        raise RemoteProtocolError(fault)
    return StreamAnswer(url, parameters, stream.get("statusCallback"))


def _read_dial(verbs: list[Element]) -> DialAnswer:
    call, after = verbs[0], verbs[1:]
    targets = list(call)
    if len(targets) != 1 or targets[0].tag not in ("Number", "Sip"):
        raise RemoteProtocolError("a <Dial> that this simulated carrier does not follow")
    if after and after[-1].tag == "Hangup":
        after.pop()
    if len(after) > 1 or any(verb.tag != "Say" for verb in after):
        raise RemoteProtocolError("more verbs than this simulated carrier follows")
    number, caller_id = (targets[0].text or "").strip(), call.get("callerId", "")
    seconds = call.get("timeout", "30")
    language = after[0].get("language", "en-US") if after else "en-US"
    fault = dial_fault(number, caller_id, int(seconds) if seconds.isdecimal() else 0)
    if fault is not None:
        raise RemoteProtocolError(fault[0])
    afterwards = "".join(after[0].itertext()).strip() if after else ""
    return DialAnswer(number, afterwards, caller_id, language, int(seconds), call.get("action", ""))
