"""The forms of requests to Twilio's REST API; a field that may stand several times does."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..errors import PatterConfigError
from ..telephony import CallOrder, Links, TransferOrder
from .twilio_rest import check_call_id
from .twiml import connect_stream
from .twiml_rooms import join_room
from .twiml_rules import THIS_MACHINE, check_inline, dial_fault, is_number, is_reachable

__all__ = ["call_form", "check_number", "leg_form", "recording_form", "route_form"]

Form = list[tuple[str, str]]

_RING_SECONDS = range(5, 601)
_DIGITS = re.compile(r"[0-9A-D#*wW]{0,32}")
# A day; an account may have less.
_LONGEST_CALL = 24 * 60 * 60
_EVENTS = ("initiated", "ringing", "answered", "completed")
_RECORDING_EVENTS = "completed absent"


def call_form(order: CallOrder) -> Form:
    """The form that places a call and opens its stream.

    Raises:
        PatterConfigError: Twilio would refuse it, or not do what it says.
    """
    _check_order(order)
    links = order.stream.links
    document = connect_stream(
        order.stream.url, order.stream.parameters, status_callback=links.webhook("stream")
    )
    form: Form = [
        ("To", order.to),
        ("From", order.caller_id),
        ("Twiml", check_inline(document)),
        ("Timeout", str(order.ring_seconds)),
        *_status_callback(_callback(links, "status"), _EVENTS),
    ]
    if order.max_seconds is not None:
        form.append(("TimeLimit", str(order.max_seconds)))
    if order.send_digits:
        form.append(("SendDigits", order.send_digits))
    if order.machine_detection:
        form += [
            ("MachineDetection", "DetectMessageEnd"),
            # The call goes on at once; without it the person who answered would hear nothing until then.
            ("AsyncAmd", "true"),
            ("AsyncAmdStatusCallback", links.webhook("machine")),
            ("AsyncAmdStatusCallbackMethod", "POST"),
        ]
    if order.record:
        form += [("Record", "true"), *recording_form(links)]
    return form


def leg_form(call_id: str, order: TransferOrder, room: str, caller_id: str) -> Form:
    """The form that calls the human of a warm transfer, who joins the room on answer.

    Raises:
        PatterConfigError: Twilio would refuse it, or ``call_id`` is none of its calls.
    """
    check_call_id(call_id)
    fault = dial_fault(order.number, caller_id, order.ring_seconds)
    if fault is not None:
        what, hint = fault
        raise PatterConfigError(what, hint=hint)
    # The report comes with the id of the human's call; whose transfer it is stands in our address.
    report = f"{_callback(order.links, 'leg')}&of={call_id}"
    return [
        ("To", order.number),
        ("From", caller_id),
        ("Twiml", join_room(room, order.summary, language=order.language)),
        ("Timeout", str(order.ring_seconds)),
        *_status_callback(report, ("completed",)),
    ]


def recording_form(links: Links) -> Form:
    """The fields that record both sides, each on a channel of its own, from the first moment to the last."""
    return [
        ("RecordingChannels", "dual"),
        ("RecordingTrack", "both"),
        ("Trim", "do-not-trim"),
        ("RecordingStatusCallback", _callback(links, "recording")),
        ("RecordingStatusCallbackMethod", "POST"),
        ("RecordingStatusCallbackEvent", _RECORDING_EVENTS),
    ]


def route_form(voice_url: str, status_url: str) -> Form:
    """The form that has a number's calls come to us, whatever took them before.

    Raises:
        PatterConfigError: an address is not one that Twilio can reach.
    """
    form: Form = [
        ("VoiceUrl", _checked_url(voice_url)),
        ("VoiceMethod", "POST"),
        # While one of these is set, VoiceUrl is not asked.
        ("VoiceApplicationSid", ""),
        ("TrunkSid", ""),
    ]
    if status_url:
        form += [("StatusCallback", _checked_url(status_url)), ("StatusCallbackMethod", "POST")]
    return form


def check_number(number: str) -> None:
    """Refuses what is no number.

    Raises:
        PatterConfigError: it is not E.164.
    """
    if not is_number(number):
        raise PatterConfigError(f"{number[:40]!r} is not a phone number", hint="E.164, like +15550001234")


def _check_order(order: CallOrder) -> None:
    if not is_reachable(order.to):
        raise PatterConfigError(
            f"{order.to[:40]!r} cannot be called", hint="a number like +15550001234, or a sip: address"
        )
    if not is_number(order.caller_id):
        raise PatterConfigError(
            f"{order.caller_id[:40]!r} cannot be shown as the caller",
            hint="a number of the account, like +15550001234",
        )
    if order.ring_seconds not in _RING_SECONDS:
        raise PatterConfigError(f"a number cannot ring for {order.ring_seconds!r} seconds", hint="5 to 600")
    if order.max_seconds is not None and not 1 <= order.max_seconds <= _LONGEST_CALL:
        raise PatterConfigError(f"a call cannot last {order.max_seconds!r} seconds", hint="1 to 86400")
    if not _DIGITS.fullmatch(order.send_digits):
        raise PatterConfigError("keys that cannot be pressed", hint="at most 32 of 0-9 A-D # * w W")
    if order.send_digits and order.machine_detection:
        raise PatterConfigError(
            "Twilio does not listen for answering machines where it presses keys",
            hint="leave out send_digits or machine_detection",
        )


def _status_callback(url: str, events: tuple[str, ...]) -> Form:
    return [
        ("StatusCallback", url),
        ("StatusCallbackMethod", "POST"),
        *(("StatusCallbackEvent", event) for event in events),
    ]


def _callback(links: Links, what: str) -> str:
    url = links.webhook(what)
    if "_" in (urlsplit(url).hostname or ""):
        raise PatterConfigError("Twilio reports to no host with _ in its name", hint="give it another name")
    return url


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or "@" in parts.netloc or any(letter.isspace() for letter in url):
        raise PatterConfigError(
            "a number is routed to a web address", hint="https://host/webhooks/twilio/voice"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and host in THIS_MACHINE):
        raise PatterConfigError("a number is routed to https:// only")
    if "_" in host:
        raise PatterConfigError("Twilio reports to no host with _ in its name", hint="give it another name")
    return url
