"""The forms that the simulated Twilio posts: what is in them, and their signature."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

from .._wire.signatures import sign_twilio
from .legevents import DialEnded, LegEnded
from .legs import Leg
from .post import Webhook
from .twilio_records import CALL_STATUS, SIP_CODES, TwilioCall, call_status, describe_call

__all__ = ["Form", "about", "dial_form", "ending_form", "record_of", "sign_webhook"]

Form = tuple[tuple[str, str], ...]


def sign_webhook(auth_token: str, kind: str, url: str, form: Form) -> Webhook:
    """A signed form; the fragment of the address says how often it is tried."""
    address, _, fragment = url.partition("#")
    overrides = parse_qs(fragment)
    conditions = ",".join(overrides.get("rp", [])).split(",")
    return Webhook(
        kind,
        address,
        urlencode(form).encode(),
        {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": sign_twilio(auth_token, address, form),
        },
        retries=int(overrides.get("rc", ["1"])[0]),
        retries_refusals="5xx" in conditions or "all" in conditions,
    )


def about(leg: Leg, account_sid: str) -> Form:
    """What every webhook says about its call."""
    described = describe_call(leg, account_sid)
    parent = described["parent_call_sid"]
    return (
        ("CallSid", leg.leg_id),
        ("AccountSid", account_sid),
        ("From", leg.caller),
        ("To", leg.callee),
        ("Caller", leg.caller),
        ("Called", leg.callee),
        ("CallStatus", call_status(leg)),
        ("ApiVersion", "2010-04-01"),
        ("Direction", described["direction"]),
        *((("ParentCallSid", parent),) if parent else ()),
    )


def record_of(leg: Leg) -> TwilioCall:
    """The carrier's own record of a leg."""
    if not isinstance(leg.details, TwilioCall):
        leg.details = TwilioCall()
    return leg.details


def ending_form(event: LegEnded) -> Form:
    """What is told of the end of a call."""
    seconds = round(event.seconds)
    return (
        ("CallDuration", str(seconds)),
        ("Duration", str(-(-seconds // 60))),
        ("SipResponseCode", SIP_CODES[event.cause]),
    )


def dial_form(ended: DialEnded) -> Form:
    """What is told of the end of a dialled number."""
    return (
        ("DialCallStatus", CALL_STATUS[ended.cause]),
        ("DialCallSid", ended.child.leg_id),
        ("DialBridged", str(ended.answered).lower()),
        *((("DialCallDuration", str(round(ended.seconds))),) if ended.answered else ()),
    )
