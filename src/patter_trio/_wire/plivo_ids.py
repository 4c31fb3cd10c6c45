"""Plivo's ids, and its way to write numbers.

An id that is none must never get into a path: ``DELETE …/Call/`` without one hangs up every call of the
account.
"""

from __future__ import annotations

import re

from ..errors import PatterConfigError

__all__ = ["UUID", "check_id", "is_id", "named", "with_plus", "without_plus"]

UUID = r"\A[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\Z"

_UUID = re.compile(UUID)
_BARE_NUMBER = re.compile(r"[1-9][0-9]{6,14}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SIP = re.compile(r"sip:[A-Za-z0-9\-_.!~*'()%&=+$,;?/]+@[A-Za-z0-9.\-]+(:[0-9]{1,5})?([;?][!-~]*)?")
_LONGEST_SIP = 254


def is_id(text: str) -> bool:
    """Whether the text is an id of a call or of a request."""
    return _UUID.match(text) is not None


def check_id(text: str, what: str = "call") -> str:
    """The id, if it is one.

    Raises:
        PatterConfigError: it is none.
    """
    if not is_id(text):
        raise PatterConfigError(f"{text[:40]!r} is not a {what} of Plivo's", hint="its ids are UUIDs")
    return text


def with_plus(number: str) -> str:
    """A number as we write it, in E.164; a SIP address or ``anonymous`` as it is."""
    return f"+{number}" if _BARE_NUMBER.fullmatch(number) else number


def without_plus(number: str) -> str:
    """A number of ours as Plivo writes it.

    Raises:
        PatterConfigError: it is none.
    """
    if not _E164.fullmatch(number):
        raise PatterConfigError(
            f"{number[:40]!r} is not a number", hint="with its country, like +15550001234"
        )
    return number[1:]


def named(target: str) -> str:
    """Somebody who can be called, as Plivo writes them: a number without its plus, or a ``sip:`` address.

    Raises:
        PatterConfigError: it is neither.
    """
    if len(target) <= _LONGEST_SIP and _SIP.fullmatch(target):
        return target
    if not _E164.fullmatch(target):
        raise PatterConfigError(
            f"{target[:40]!r} cannot be called", hint="a number like +15550001234, or a sip: address"
        )
    return target[1:]
