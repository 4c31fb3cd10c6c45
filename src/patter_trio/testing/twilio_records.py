"""What the simulated Twilio remembers of calls, numbers and recordings, and how it describes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import attrs

from .legevents import Cause
from .legs import Leg
from .recordings import Recording

__all__ = [
    "CALL_STATUS",
    "SIP_CODES",
    "NumberRecord",
    "RecordingRecord",
    "TwilioCall",
    "call_status",
    "describe_call",
    "describe_number",
    "describe_recording",
    "rfc_2822",
]

CALL_STATUS: Mapping[Cause, str] = {
    "completed": "completed",
    "busy": "busy",
    "declined": "busy",
    "no_answer": "no-answer",
    "canceled": "canceled",
    "unreachable": "failed",
}
SIP_CODES: Mapping[Cause, str] = {
    "completed": "200",
    "busy": "486",
    "declined": "603",
    "no_answer": "487",
    "canceled": "487",
    "unreachable": "404",
}
_DIRECTIONS = {"inbound": "inbound", "outbound": "outbound-api", "dialled": "outbound-dial"}
# The moment at which every simulation begins.
_BEGINNING = datetime(2025, 1, 6, 12, tzinfo=UTC)


@attrs.define(eq=False)
class TwilioCall:
    """The carrier's own record of a call.

    ``amd`` is the mode of machine detection, ``sequence`` counts its status callbacks.
    """

    status_callback: str = ""
    status_events: frozenset[str] = frozenset({"completed"})
    amd: str = ""
    amd_callback: str = ""
    answered_by: str | None = None
    recording: RecordingRecord | None = None
    label: str = ""
    action: str = ""
    sequence: int = 0


@attrs.frozen
class RecordingRecord:
    """How a recording was ordered."""

    callback: str = ""
    events: frozenset[str] = frozenset({"completed"})
    source: str = "StartCallRecordingAPI"
    channels: int = 1
    track: str = "both"


@attrs.define(eq=False)
class NumberRecord:
    """A number of the account, and where its calls go."""

    sid: str
    number: str
    settings: dict[str, str]


def rfc_2822(seconds: float) -> str:
    """A moment of trio's clock as the REST API writes it."""
    return format_datetime(_BEGINNING + timedelta(seconds=int(seconds)))


def call_status(leg: Leg) -> str:
    """The carrier's word for how a call stands."""
    if leg.ended is not None:
        return CALL_STATUS[leg.ended.cause]
    return {"in_progress": "in-progress"}.get(leg.status, leg.status)


def describe_call(leg: Leg, account_sid: str) -> dict[str, Any]:
    """A call as the REST API shows it."""
    path = f"/2010-04-01/Accounts/{account_sid}/Calls/{leg.leg_id}"
    ended = leg.ended
    details = leg.details if isinstance(leg.details, TwilioCall) else TwilioCall()
    return {
        "sid": leg.leg_id,
        "account_sid": account_sid,
        "status": call_status(leg),
        "direction": _DIRECTIONS[leg.direction],
        "from": leg.caller,
        "to": leg.callee,
        "answered_by": details.answered_by,
        "duration": None if ended is None else str(round(ended.seconds)),
        "start_time": None if leg.answered_at is None else rfc_2822(leg.answered_at),
        "end_time": None if ended is None else rfc_2822(leg.history[-1][0]),
        "date_created": rfc_2822(leg.began),
        "price": None if ended is None or not ended.seconds else f"-{0.0085 * (ended.seconds // 60 + 1):.4f}",
        "price_unit": "USD",
        "parent_call_sid": None if leg.parent is None else leg.parent.leg_id,
        "queue_time": "0",
        "uri": f"{path}.json",
        "subresource_uris": {"recordings": f"{path}/Recordings.json", "streams": f"{path}/Streams.json"},
    }


def describe_recording(leg: Leg, recording: Recording, account_sid: str) -> dict[str, Any]:
    """A recording as the REST API shows it."""
    ordered = recording.details
    assert isinstance(ordered, RecordingRecord)
    words = {"running": "in-progress", "paused": "paused", "stopped": "completed", "deleted": "deleted"}
    return {
        "sid": recording.recording_id,
        "account_sid": account_sid,
        "call_sid": leg.leg_id,
        "status": words[recording.status],
        "channels": recording.channels,
        "source": ordered.source,
        "track": ordered.track,
        "duration": str(round(recording.seconds)) if recording.status == "stopped" else None,
        "price": None,
        "error_code": None,
        "uri": f"/2010-04-01/Accounts/{account_sid}/Recordings/{recording.recording_id}.json",
    }


def describe_number(record: NumberRecord, account_sid: str) -> dict[str, Any]:
    """A number as the REST API shows it."""
    return {
        "sid": record.sid,
        "account_sid": account_sid,
        "phone_number": record.number,
        "friendly_name": record.number,
        **record.settings,
        "uri": f"/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers/{record.sid}.json",
    }
