"""Twilio's webhooks: what their fields mean. Each is read by itself, since they may overtake each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

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
from .twilio import CALL_SID

__all__ = ["ENDED_AS", "read_webhook"]

ENDED_AS: Mapping[str, EndedAs] = {
    "completed": "completed",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}
"""The states of a call that is over, and what each is here."""

_CALL_SID = re.compile(CALL_SID)
_RECORDING_SID = re.compile(r"RE[0-9a-f]{32}")
_BEFORE_IT_RINGS = ("queued", "initiated")
_SECONDS = re.compile(r"[0-9]{1,9}")
_WORD_LIMIT = 40

# "answered" is what is said of a conference, which counts as somebody in it.
_ANSWERED = ("completed", "answered")


def read_webhook(what: str, fields: Mapping[str, str], query: Mapping[str, str]) -> Notice | None:
    """What a webhook tells; ``None`` for one that tells nothing we need.

    Args:
        what: the kind of report, the last part of the address.
        fields: its parameters.
        query: those of its address, ours among them.

    Raises:
        RemoteProtocolError: it does not say what such a webhook must.
    """
    call_id = fields.get("CallSid", "")
    if not _CALL_SID.match(call_id):
        raise RemoteProtocolError("a webhook without a valid CallSid")
    if what == "leg":
        return _read_leg(query.get("of", ""), fields)
    reader = _READERS.get(what)
    return reader(call_id, fields) if reader else None


def _read_offer(call_id: str, fields: Mapping[str, str]) -> CallOffered:
    # "outbound-api" and "outbound-dial" are the other two.
    outbound = fields.get("Direction", "").startswith("outbound")
    direction: Literal["inbound", "outbound"] = "outbound" if outbound else "inbound"
    return CallOffered(
        CallInfo(
            call_id, fields.get("From", ""), fields.get("To", ""), direction, telephony_provider="twilio"
        )
    )


def _read_status(call_id: str, fields: Mapping[str, str]) -> Notice | None:
    status = fields.get("CallStatus", "")
    if status in _BEFORE_IT_RINGS:
        return None
    if status == "ringing":
        return CallRinging(call_id)
    if status == "in-progress":
        return CallAnswered(call_id)
    if status not in ENDED_AS:
        raise RemoteProtocolError(f"a call whose status is {status[:_WORD_LIMIT]!r}")
    return CallOver(
        call_id,
        ENDED_AS[status],
        detail=_with_sip_code(status, fields),
        seconds=_seconds(fields.get("CallDuration", "")),
    )


def _read_machine(call_id: str, fields: Mapping[str, str]) -> MachineVerdict:
    word = fields.get("AnsweredBy", "")
    if not word:
        raise RemoteProtocolError("a verdict without AnsweredBy")
    verdict: Verdict = "unknown"
    if word in ("human", "fax"):
        verdict = "human" if word == "human" else "fax"
    elif word.startswith("machine_"):
        verdict = "machine"
    return MachineVerdict(
        call_id, verdict, greeting_over=word.startswith("machine_end"), raw=word[:_WORD_LIMIT]
    )


def _read_recording(call_id: str, fields: Mapping[str, str]) -> RecordingSaved | None:
    recording, status = fields.get("RecordingSid", ""), fields.get("RecordingStatus", "")
    if not _RECORDING_SID.fullmatch(recording):
        raise RemoteProtocolError("a recording without a valid RecordingSid")
    if status == "in-progress":
        return None
    if status == "completed":
        url = fields.get("RecordingUrl", "")
        if not url:
            raise RemoteProtocolError("a recording that is completed and has no RecordingUrl")
        return RecordingSaved(call_id, recording, url, _seconds(fields.get("RecordingDuration", "")))
    if not status:
        raise RemoteProtocolError("a recording without RecordingStatus")
    code = fields.get("ErrorCode", "0")
    error = status if code in ("", "0") else f"{status} ({code})"
    return RecordingSaved(call_id, recording, error=error[:_WORD_LIMIT])


def _read_transfer(call_id: str, fields: Mapping[str, str]) -> TransferEnded:
    status = fields.get("DialCallStatus", "")
    if not status:
        raise RemoteProtocolError("the end of a transfer without DialCallStatus")
    answered = status in _ANSWERED or fields.get("DialBridged", "").lower() == "true"
    return TransferEnded(call_id, answered, detail=status[:_WORD_LIMIT], wants_document=True)


def _read_leg(caller: str, fields: Mapping[str, str]) -> TransferEnded | None:
    """How the human's leg of a warm transfer ended; the call that waits is named by the address, by us."""
    if not _CALL_SID.match(caller):
        raise RemoteProtocolError("a transfer's leg of no valid call")
    status = fields.get("CallStatus", "")
    if status in (*_BEFORE_IT_RINGS, "ringing", "in-progress"):
        return None
    if status not in ENDED_AS:
        raise RemoteProtocolError(f"a transfer's leg whose status is {status[:_WORD_LIMIT]!r}")
    return TransferEnded(caller, status == "completed", detail=_with_sip_code(status, fields))


_READERS: Mapping[str, Callable[[str, Mapping[str, str]], Notice | None]] = {
    "voice": _read_offer,
    "answer": _read_offer,
    "status": _read_status,
    "machine": _read_machine,
    "recording": _read_recording,
    "transfer": _read_transfer,
}


def _with_sip_code(status: str, fields: Mapping[str, str]) -> str:
    code = fields.get("SipResponseCode", "")
    return f"{status} (SIP {code})" if re.fullmatch("[0-9]{3}", code) else status


def _seconds(text: str) -> float | None:
    return float(text) if _SECONDS.fullmatch(text) else None
