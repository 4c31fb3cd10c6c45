"""TwiML of a warm transfer: a room where the caller waits, and the human who joins it with a word before.

A conference begins when somebody comes in with ``startConferenceOnEnter``: that is the human. It ends for
both when either leaves. The caller's ``<Dial>`` has an ``action``: what comes after the room is asked of us.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from ..errors import PatterConfigError
from .twiml_rules import check_inline, check_language, written

__all__ = ["join_room", "wait_in_room"]


def wait_in_room(room: str, *, action: str) -> str:
    """The caller's document: wait, with the carrier's own music, until somebody joins.

    Args:
        room: the conference's name; whoever knows it can listen, so it must not be guessable.
        action: where Twilio asks what comes after it.
    """
    response = Element("Response")
    dial = SubElement(response, "Dial", {"action": action, "method": "POST"})
    _conference(dial, room, starts="false")
    return check_inline(written(response))


def join_room(room: str, summary: str = "", *, language: str = "en-US") -> str:
    """The human's document: hear what it is about, then join.

    Raises:
        PatterConfigError: ``language`` is none, or ``summary`` is too long or cannot be written.
    """
    check_language(language)
    response = Element("Response")
    if summary.strip():
        SubElement(response, "Say", {"language": language}).text = summary
    _conference(SubElement(response, "Dial"), room, starts="true")
    return check_inline(written(response))


def _conference(dial: Element, room: str, *, starts: str) -> None:
    if not room:
        raise PatterConfigError("a room without a name")
    rules = {"startConferenceOnEnter": starts, "endConferenceOnExit": "true", "beep": "false"}
    SubElement(dial, "Conference", rules | {"maxParticipants": "2"}).text = room
