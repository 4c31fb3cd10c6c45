"""What the simulated Plivo remembers of calls, numbers and applications, and its words for them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import attrs

from .._wire.plivo_signatures import sign_plivo_v3
from .instructions import Document
from .legevents import Cause, DialEnded, LegEnded
from .legs import Leg
from .post import Webhook

__all__ = [
    "CALL_STATUS",
    "CAUSES",
    "Form",
    "PlivoApplication",
    "PlivoCall",
    "about",
    "call_status",
    "dial_form",
    "ending_form",
    "record_of",
    "sign_webhook",
]

Form = tuple[tuple[str, str], ...]

CALL_STATUS: Mapping[Cause, str] = {
    "completed": "completed",
    "busy": "busy",
    "declined": "busy",
    "no_answer": "no-answer",
    "canceled": "cancel",
    "unreachable": "failed",
}
CAUSES: Mapping[Cause, tuple[str, str, int]] = {
    "completed": ("NORMAL_CLEARING", "Normal Hangup", 4000),
    "busy": ("USER_BUSY", "Busy Line", 3010),
    "declined": ("CALL_REJECTED", "Rejected", 3020),
    "no_answer": ("NO_ANSWER", "No Answer", 3000),
    "canceled": ("ORIGINATOR_CANCEL", "Cancelled", 1000),
    "unreachable": ("UNALLOCATED_NUMBER", "Unallocated Number", 3050),
}
_SOURCES = {"party": "Callee", "agent": "API Request", "carrier": "Plivo"}


@attrs.define(eq=False)
class PlivoCall:
    """The carrier's own record of a call.

    ``pending`` is what it follows once its media stream is over: a transfer does not break a stream off.
    """

    request_id: str = ""
    hangup_url: str = ""
    ring_url: str = ""
    machine_url: str = ""
    ends_for_machines: bool = False
    action: str = ""
    is_streaming: bool = False
    pending: Document | None = None


@attrs.define(eq=False)
class PlivoApplication:
    """What a number points to."""

    app_id: str
    fields: dict[str, str]


def record_of(leg: Leg) -> PlivoCall:
    """The carrier's own record of a leg."""
    if not isinstance(leg.details, PlivoCall):
        leg.details = PlivoCall()
    return leg.details


def call_status(leg: Leg) -> str:
    """The carrier's word for how a call stands."""
    if leg.ended is not None:
        return CALL_STATUS[leg.ended.cause]
    return {"in_progress": "in-progress"}.get(leg.status, leg.status)


def about(leg: Leg, event: str, status: str = "") -> Form:
    """What every webhook says about its call; numbers have no plus."""
    request_id = record_of(leg).request_id
    request = (
        (("RequestUUID", request_id), ("ALegRequestUUID", request_id), ("ALegUUID", leg.leg_id))
        if request_id
        else ()
    )
    return (
        ("CallUUID", leg.leg_id),
        ("From", leg.caller.removeprefix("+")),
        ("To", leg.callee.removeprefix("+")),
        ("CallStatus", status or call_status(leg)),
        ("Direction", "inbound" if leg.direction == "inbound" else "outbound"),
        *((("Event", event),) if event else ()),
        *request,
    )


def ending_form(event: LegEnded) -> Form:
    """What is told of the end of a call."""
    cause, name, code = CAUSES[event.cause]
    seconds = round(event.seconds)
    return (
        ("Duration", str(seconds)),
        ("BillDuration", str(-(-seconds // 60) * 60)),
        ("HangupCause", cause),
        ("HangupCauseName", name),
        ("HangupCauseCode", str(code)),
        ("HangupSource", _SOURCES[event.by]),
    )


def dial_form(ended: DialEnded) -> Form:
    """What is told of the end of a dialled number."""
    return (
        ("DialStatus", CALL_STATUS[ended.cause]),
        ("DialHangupCause", CAUSES[ended.cause][0]),
        ("DialBLegUUID", ended.child.leg_id if ended.answered else ""),
    )


def sign_webhook(auth_token: str, url: str, form: Form, nonce: str) -> Webhook:
    """A signed form; its kind is the last part of the address, and the fragment is not sent."""
    address = url.partition("#")[0]
    return Webhook(
        urlsplit(address).path.rstrip("/").rpartition("/")[2],
        address,
        urlencode(form).encode(),
        {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Plivo-Signature-V3": sign_plivo_v3(auth_token, "POST", address, nonce, form),
            "X-Plivo-Signature-V3-Nonce": nonce,
        },
        retries=1,
    )
