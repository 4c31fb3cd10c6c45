"""Plivo's webhooks: what their fields mean. Each is read by itself, since they may overtake each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..errors import RemoteProtocolError
from ..events import CallInfo
from ..telephony import (
    CallAnswered,
    CallOffered,
    CallOver,
    CallRinging,
    EndedAs,
    MachineVerdict,
    Notice,
    RecordingSaved,
    TransferEnded,
    Verdict,
)
from .plivo_ids import is_id, with_plus

__all__ = ["ENDED_AS", "read_stream_trouble", "read_webhook"]

ENDED_AS: Mapping[str, EndedAs] = {
    "completed": "completed",
    "busy": "busy",
    "no-answer": "no_answer",
    "timeout": "no_answer",
    "cancel": "canceled",
    "failed": "failed",
}
"""The states of a call that is over, and what each is here."""

_RECORDING_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_WORD_LIMIT = 80
_TROUBLE = ("DroppedStream", "DegradedStream", "failed")

Fields = Mapping[str, str]


def read_webhook(what: str, fields: Fields, query: Fields) -> Notice | None:
    """What a webhook tells; ``None`` for one that tells nothing we need.

    Args:
        what: the kind of report, the last part of the address.
        fields: its parameters.
        query: those of its address, ours among them.

    Raises:
        RemoteProtocolError: it does not say what such a webhook must.
    """
    # A recording that was asked for by the API is told of in other letters than all else.
    call_id = fields.get("CallUUID") or fields.get("call_uuid", "")
    if not is_id(call_id):
        raise RemoteProtocolError("a webhook without a valid CallUUID")
    if what == "leg":
        return _read_leg(query.get("of", ""), fields)
    reader = _READERS.get(what)
    return reader(call_id, fields) if reader else None


def read_stream_trouble(fields: Fields) -> str:
    """What a report about a stream says went wrong with it; empty when nothing did."""
    event = fields.get("Event", "")
    if event not in _TROUBLE:
        return ""
    why = fields.get("Error") or fields.get("StatusReason", "")
    return " ".join(f"{event} {why}".split())[:_WORD_LIMIT]


def _read_offer(call_id: str, fields: Fields) -> Notice:
    if _is_over(fields):
        # An application without an address for hang-ups reports them to its answer address.
        return _read_status(call_id, fields)
    outbound = fields.get("Direction") == "outbound"
    return CallOffered(
        CallInfo(
            call_id,
            with_plus(fields.get("From", "")),
            with_plus(fields.get("To", "")),
            "outbound" if outbound else "inbound",
            telephony_provider="plivo",
        )
    )


def _read_status(call_id: str, fields: Fields) -> Notice:
    request_id = _request_id(fields)
    status = fields.get("CallStatus", "")
    if _is_over(fields):
        return CallOver(
            call_id, _ended_as(status), request_id, _detail(fields), _seconds(fields.get("Duration", ""))
        )
    if fields.get("Event") == "Ring" or status == "ringing":
        return CallRinging(call_id, request_id)
    if status == "in-progress":
        return CallAnswered(call_id, request_id)
    raise RemoteProtocolError(f"a call whose status is {status[:_WORD_LIMIT]!r}")


def _read_machine(call_id: str, fields: Fields) -> MachineVerdict:
    word = fields.get("Machine", "")
    if not word:
        raise RemoteProtocolError("a verdict without Machine")
    verdicts: Mapping[str, Verdict] = {"true": "machine", "false": "human"}
    return MachineVerdict(call_id, verdicts.get(word.lower(), "unknown"), raw=f"Machine={word[:_WORD_LIMIT]}")


def _read_recording(call_id: str, fields: Fields) -> RecordingSaved | None:
    recording = fields.get("recording_id") or fields.get("RecordingID", "")
    url = fields.get("record_url") or fields.get("RecordUrl", "")
    seconds = fields.get("recording_duration") or fields.get("RecordingDuration", "")
    if not _RECORDING_ID.fullmatch(recording):
        raise RemoteProtocolError("a recording without a valid id")
    if seconds == "-1":
        # It has begun.
        return None
    if not url:
        return RecordingSaved(call_id, recording, error="Plivo names no address")
    milliseconds = _seconds(fields.get("recording_duration_ms") or fields.get("RecordingDurationMs", ""))
    length = milliseconds / 1000 if milliseconds is not None else _seconds(seconds)
    return RecordingSaved(call_id, recording, url, length)


def _read_transfer(call_id: str, fields: Fields) -> TransferEnded:
    status = fields.get("DialStatus", "")
    if status:
        return TransferEnded(call_id, status == "completed", _dial_detail(fields), wants_document=True)
    # Behind a room, the caller's way out of it. It ends when whoever joined them leaves; that nobody came is
    # told by the other leg.
    if any(name.startswith("MPC") or name == "ParticipantUUID" for name in fields):
        return TransferEnded(call_id, answered=True, detail="left the room", wants_document=True)
    raise RemoteProtocolError("the end of a transfer without DialStatus")


def _read_leg(caller: str, fields: Fields) -> TransferEnded | None:
    """How the human's leg of a warm transfer ended; the call that waits is named by the address, by us."""
    if not is_id(caller):
        raise RemoteProtocolError("a transfer's leg of no valid call")
    if not _is_over(fields):
        return None
    return TransferEnded(caller, _ended_as(fields.get("CallStatus", "")) == "completed", _detail(fields))


_READERS: Mapping[str, Callable[[str, Fields], Notice | None]] = {
    "voice": _read_offer,
    "answer": _read_offer,
    "status": _read_status,
    "machine": _read_machine,
    "recording": _read_recording,
    "transfer": _read_transfer,
}


def _is_over(fields: Fields) -> bool:
    return fields.get("Event") == "Hangup" or fields.get("CallStatus") in ENDED_AS


def _ended_as(status: str) -> EndedAs:
    if status not in ENDED_AS:
        raise RemoteProtocolError(f"a call that ended as {status[:_WORD_LIMIT]!r}")
    return ENDED_AS[status]


def _request_id(fields: Fields) -> str:
    named = fields.get("RequestUUID") or fields.get("ALegRequestUUID", "")
    return named if is_id(named) else ""


def _detail(fields: Fields) -> str:
    """Like ``busy: USER_BUSY (3010)``."""
    cause = fields.get("HangupCause") or fields.get("HangupCauseName", "")
    code = fields.get("HangupCauseCode", "")
    why = f"{cause} ({code})" if code else cause
    return _joined(fields.get("CallStatus", ""), why)


def _dial_detail(fields: Fields) -> str:
    return _joined(fields.get("DialStatus", ""), fields.get("DialHangupCause", ""))


def _joined(status: str, why: str) -> str:
    return ": ".join(part for part in (status, why.strip()) if part)[:_WORD_LIMIT]


def _seconds(text: str) -> float | None:
    return float(text) if _SECONDS.fullmatch(text) else None
