"""What Twilio would find wrong with a document: the rules of its reference, and what breaks them.

A stream URL is ``wss://``, absolute and without a query (errors 31922 and 31920), name and value of a
parameter together stay below 500 characters, a document inside a request has at most 4000 characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, tostring

from ..errors import PatterConfigError

__all__ = [
    "THIS_MACHINE",
    "check_inline",
    "check_language",
    "dial_fault",
    "is_number",
    "is_reachable",
    "stream_fault",
    "written",
]

# A carrier is not here and cannot reach these: only a simulated one is meant, and it needs no certificate.
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")

_PARAMETER_LIMIT = 500
# A document that is sent inside a request; Twilio's own limit.
_LONGEST_INLINE = 4000
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SIP = re.compile(r"sip:[A-Za-z0-9\-_.!~*'()%&=+$,;?/]+@[A-Za-z0-9.\-]+(:[0-9]{1,5})?([;?][!-~]*)?")
_LONGEST_SIP = 254
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_RING_SECONDS = range(5, 601)
# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_number(text: str) -> bool:
    """Whether the text is a number in E.164."""
    return _E164.fullmatch(text) is not None


def is_reachable(text: str) -> bool:
    """Whether the text is somebody who can be called: a number in E.164, or a ``sip:`` address."""
    return is_number(text) or (len(text) <= _LONGEST_SIP and _SIP.fullmatch(text) is not None)


def check_language(language: str) -> None:
    """Refuses what is no language.

    Raises:
        PatterConfigError: it is none.
    """
    if not _LANGUAGE.fullmatch(language):
        raise PatterConfigError(f"{language[:40]!r} is not a language", hint="like en-US")


def check_inline(document: str) -> str:
    """The document, if it fits into a request.

    Raises:
        PatterConfigError: it is too long.
    """
    if len(document) > _LONGEST_INLINE:
        raise PatterConfigError(
            f"the document of a call has {len(document)} characters, not {_LONGEST_INLINE}",
            hint="say less, or with fewer characters that XML has to escape",
        )
    return document


def dial_fault(number: str, caller_id: str, ring_seconds: int) -> tuple[str, str] | None:
    """What the carrier would find wrong with a transfer, and what to do about it."""
    if not is_reachable(number):
        return (
            f"a call cannot be transferred to {number[:40]!r}",
            "a number like +15550001234, or a sip: address",
        )
    if caller_id and not is_number(caller_id):
        return (
            f"{caller_id[:40]!r} cannot be shown as the caller",
            "a number of the account, like +15550001234",
        )
    if ring_seconds not in _RING_SECONDS:
        return f"a number cannot ring for {ring_seconds!r} seconds", "5 to 600"
    return None


def written(response: Element) -> str:
    """The text of a document.

    Raises:
        PatterConfigError: something in it cannot be written as XML.
    """
    text = tostring(response, encoding="unicode")
    if _FORBIDDEN.search(text):
        raise PatterConfigError("a control character or half a character in the answer to a call")
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'


def stream_fault(url: str, parameters: Mapping[str, str]) -> str | None:
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
