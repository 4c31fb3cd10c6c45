"""Plivo's XML: the documents that a call follows, as far as we write them.

Facts are from Plivo's XML reference: a stream's URL is the text of its element, ``keepCallAlive`` has what
stands behind it wait until the stream is over, a recording of the session stands before the stream,
``extraHeaders`` has at most 512 bytes, a document at most 100 kB.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

from ..errors import PatterConfigError
from ..events import AudioFormat
from .plivo import ENCODINGS
from .plivo_ids import named, without_plus
from .twiml import THIS_MACHINE

__all__ = ["dial", "hang_up", "join_room", "open_stream", "say_and_hang_up", "wait_in_room"]

_LONGEST_DOCUMENT = 100_000
_LONGEST_URL = 2048
_LONGEST_PARAMETERS = 512
# Its page prints letters and digits and breaks that in its own example; these separate nothing in any form
# in which they come back.
_PARAMETER = re.compile(r"[A-Za-z0-9_.+/@-]*")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_RING_SECONDS = range(5, 601)
_CONTENT_TYPES = {encoding: name for name, encoding in ENCODINGS.items()}
# Seconds; the default of a minute would cut a recording short, and a call has four hours.
_LONGEST_RECORDING = 14_400


def open_stream(
    url: str,
    parameters: Mapping[str, str],
    audio: AudioFormat,
    *,
    status_url: str,
    recording_url: str = "",
) -> str:
    """The document that opens a two-way stream, and ends the call after it.

    Args:
        url: ``wss://``; ``ws://`` on this machine itself.
        parameters: what comes back in the stream's start.
        audio: the stream's format, both ways.
        status_url: where Plivo tells of it.
        recording_url: where Plivo tells of a recording of the whole call; none is made without it.

    Raises:
        PatterConfigError: the URL or a parameter is one that the carrier would refuse.
    """
    _check_url(url)
    attributes = {
        "bidirectional": "true",
        "audioTrack": "inbound",
        "contentType": f"{_CONTENT_TYPES[audio.encoding]};rate={audio.sample_rate}",
        "keepCallAlive": "true",
        "statusCallbackUrl": status_url,
        "statusCallbackMethod": "POST",
    }
    if parameters:
        attributes["extraHeaders"] = _joined(parameters)
    response = Element("Response")
    if recording_url:
        recording = {
            "recordSession": "true",
            "redirect": "false",
            "maxLength": str(_LONGEST_RECORDING),
            "fileFormat": "wav",
            "recordChannelType": "stereo",
            "callbackUrl": recording_url,
            "callbackMethod": "POST",
        }
        SubElement(response, "Record", recording)
    SubElement(response, "Stream", attributes).text = url
    return _written(response)


def hang_up(reason: str = "busy") -> str:
    """The document that declines a call before it is answered.

    Raises:
        PatterConfigError: ``reason`` is neither ``"busy"`` nor ``"rejected"``.
    """
    if reason not in ("busy", "rejected"):
        raise PatterConfigError(f"a call cannot be declined as {reason!r}", hint="busy or rejected")
    response = Element("Response")
    SubElement(response, "Hangup", {"reason": reason})
    return _written(response)


def say_and_hang_up(text: str, *, language: str = "en-US") -> str:
    """The document that says ``text`` in the carrier's own voice and ends the call.

    Raises:
        PatterConfigError: ``text`` is empty or holds characters that XML cannot.
    """
    response = Element("Response")
    _speak(response, text, language)
    SubElement(response, "Hangup")
    return _written(response)


def dial(number: str, *, action: str, caller_id: str = "", ring_seconds: int = 20) -> str:
    """The document that connects a call to another number, and asks ``action`` what comes after it.

    Raises:
        PatterConfigError: a value that the carrier would refuse.
    """
    if ring_seconds not in _RING_SECONDS:
        raise PatterConfigError(f"a number cannot ring for {ring_seconds!r} seconds", hint="5 to 600")
    attributes = {"action": action, "method": "POST", "redirect": "true", "timeout": str(ring_seconds)}
    if caller_id:
        attributes["callerId"] = without_plus(caller_id)
    target = named(number)
    response = Element("Response")
    call = SubElement(response, "Dial", attributes)
    SubElement(call, "User" if target.startswith("sip:") else "Number").text = target
    return _written(response)


def wait_in_room(room: str, *, action: str) -> str:
    """The caller's document of a warm transfer: wait, with the carrier's music, until somebody joins.

    Args:
        room: its name; whoever knows it can listen, so it must not be guessable.
        action: where Plivo asks what comes after it.
    """
    response = Element("Response")
    rules = {"startMpcOnEnter": "false", "stayAlone": "true"}
    _room(response, room, "customer", rules | {"onExitActionUrl": action, "onExitActionMethod": "POST"})
    return _written(response)


def join_room(room: str, summary: str = "", *, language: str = "en-US") -> str:
    """The human's document: hear what it is about, then join; the room ends when they leave."""
    response = Element("Response")
    if summary.strip():
        _speak(response, summary, language)
    _room(response, room, "agent", {"startMpcOnEnter": "true", "stayAlone": "true"})
    return _written(response)


def _room(response: Element, room: str, role: str, rules: Mapping[str, str]) -> None:
    common = {"role": role, "maxParticipants": "2", "endMpcOnExit": "true"}
    silent = {"enterSound": "none", "exitSound": "none"}
    SubElement(response, "MultiPartyCall", {**common, **rules, **silent}).text = room


def _speak(response: Element, text: str, language: str) -> None:
    if not text.strip():
        raise PatterConfigError("there is nothing to say")
    if not _LANGUAGE.fullmatch(language):
        raise PatterConfigError(f"{language[:40]!r} is not a language", hint="like en-US")
    SubElement(response, "Speak", {"language": language}).text = text


def _joined(parameters: Mapping[str, str]) -> str:
    for name, value in parameters.items():
        if not name or not _PARAMETER.fullmatch(name) or not _PARAMETER.fullmatch(value):
            # Without the value: it may be a secret.
            raise PatterConfigError(
                f"stream parameter {name[:40]!r} cannot be passed on by Plivo",
                hint="letters, digits and _ . + / @ - in its name and its value",
            )
    joined = ",".join(f"{name}={value}" for name, value in parameters.items())
    if len(joined) > _LONGEST_PARAMETERS:
        raise PatterConfigError(
            f"the stream's parameters have {len(joined)} characters, not {_LONGEST_PARAMETERS}"
        )
    return joined


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise PatterConfigError("a stream URL that is not a URL") from None
    if not parts.hostname:
        raise PatterConfigError("a stream URL without a host")
    if parts.scheme != "wss" and not (parts.scheme == "ws" and parts.hostname in THIS_MACHINE):
        raise PatterConfigError("a stream URL must be wss://")
    if parts.fragment or len(url) > _LONGEST_URL:
        raise PatterConfigError("a stream URL must not have a fragment, nor more than 2048 characters")


def _written(response: Element) -> str:
    text = tostring(response, encoding="unicode")
    if _FORBIDDEN.search(text):
        raise PatterConfigError("a control character or half a character in the answer to a call")
    document = f'<?xml version="1.0" encoding="UTF-8"?>{text}'
    if len(document.encode()) > _LONGEST_DOCUMENT:
        raise PatterConfigError("a document of more than 100 kB", hint="say less")
    return document
