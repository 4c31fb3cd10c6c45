"""Telnyx's webhooks: what each of them tells, in the words of :mod:`patter_trio.telephony`.

All of them are JSON of one shape, ``{"data": {"event_type", "id", "payload"}}`` in version 2 of its API, and
all may come to one address: only ``event_type`` says what they are. They may come twice and in any order, so
what they mean is told from each alone, with the help of what we had Telnyx keep for the leg
(:mod:`~patter_trio._wire.telnyx_state`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

import attrs
import msgspec

from ..errors import RemoteProtocolError
from ..events import CallInfo
from ..telephony import (
    CallAnswered,
    CallOffered,
    CallOver,
    EndedAs,
    GreetingEnded,
    MachineVerdict,
    Notice,
    RecordingSaved,
    TransferEnded,
    Verdict,
)
from .telnyx import CALL_CONTROL_ID
from .telnyx_state import LegState, read_state

__all__ = ["TelnyxEvent", "ended_as", "read_event", "read_webhook"]

_CALL_CONTROL_ID = re.compile(CALL_CONTROL_ID)
_EVENT_TYPE = re.compile(r"[a-z0-9_.]{1,80}")
_WORD = re.compile(r"[A-Za-z0-9_ .-]{0,80}")

# Only these follow an answer as a rule; the far network may clear a call with the first one that nobody
# answered, so whoever has seen no CallAnswered should not take it for a conversation.
_CAUSES: Mapping[str, EndedAs] = {
    "normal_clearing": "completed",
    "time_limit": "completed",
    "user_busy": "busy",
    "call_rejected": "busy",
    "timeout": "no_answer",
    "no_answer": "no_answer",
    "originator_cancel": "canceled",
}

_VERDICTS: Mapping[str, Verdict] = {
    "human": "human",
    "human_residence": "human",
    "human_business": "human",
    "machine": "machine",
    "fax": "fax",
    "fax_detected": "fax",
}

# A prompt that is over is one of a telephone that asks who calls: nothing can be left there.
_GREETINGS = {"beep_detected": True, "ended": False, "no_beep_detected": False, "not_sure": False}


class _Payload(msgspec.Struct):
    call_control_id: str | None = None
    client_state: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    direction: str | None = None
    hangup_cause: str | None = None
    sip_hangup_cause: str | None = None
    result: str | None = None
    status: str | None = None
    reason: str | None = None
    failure_reason: str | None = None
    recording_id: str | None = None
    recording_urls: dict[str, str | None] | None = None
    recording_started_at: str | None = None
    recording_ended_at: str | None = None


class _Envelope(msgspec.Struct):
    event_type: str
    id: str
    payload: msgspec.Raw = msgspec.Raw(b"{}")


class _Body(msgspec.Struct):
    data: _Envelope


_BODY: msgspec.json.Decoder[_Body] = msgspec.json.Decoder(_Body)
_PAYLOAD: msgspec.json.Decoder[_Payload] = msgspec.json.Decoder(_Payload)
_CALL_EVENTS = frozenset(
    {
        *("call.initiated", "call.answered", "call.hangup", "call.bridged", "call.speak.ended"),
        *("call.machine.detection.ended", "call.machine.greeting.ended"),
        *("call.machine.premium.detection.ended", "call.machine.premium.greeting.ended"),
        *("call.recording.saved", "call.recording.error", "streaming.failed"),
    }
)


@attrs.frozen
class TelnyxEvent:
    """A webhook, read: ``call_id`` is the leg's handle, ``state`` what we had kept for it."""

    kind: str
    event_id: str
    call_id: str
    state: LegState
    payload: _Payload = attrs.field(repr=False)

    @property
    def cause(self) -> str:
        """Why a leg is over, in the carrier's words."""
        return _word(self.payload.hangup_cause)

    @property
    def status(self) -> str:
        """How what the carrier said or played came to its end."""
        return _word(self.payload.status)

    @property
    def failure(self) -> str:
        """Why a stream or a recording failed."""
        return _word(self.payload.failure_reason or self.payload.reason)


def read_event(body: bytes) -> TelnyxEvent | None:
    """Reads a webhook; ``None`` for an event that is of no use here.

    Raises:
        RemoteProtocolError: it is not what version 2 of the API sends.
    """
    try:
        said = _BODY.decode(body).data
        if said.event_type not in _CALL_EVENTS:
            if not _EVENT_TYPE.fullmatch(said.event_type):
                raise RemoteProtocolError("a webhook without a valid event_type")
            return None
        payload = _PAYLOAD.decode(said.payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise RemoteProtocolError(
            "a webhook that is not of version 2 of Telnyx's API",
            hint="set the application's webhook_api_version to 2",
        ) from error
    call_id = payload.call_control_id or ""
    # Recordings name their leg by another id at times; their address names the call.
    if not (
        _CALL_CONTROL_ID.match(call_id) or (not call_id and said.event_type.startswith("call.recording"))
    ):
        raise RemoteProtocolError("a webhook without a valid call_control_id")
    return TelnyxEvent(said.event_type, said.id, call_id, read_state(payload.client_state), payload)


def read_webhook(event: TelnyxEvent, kind: str) -> Notice | None:
    """What an event tells; ``kind`` is the carrier's."""
    said, is_transfer = event.payload, event.state.is_transfer
    match event.kind:
        case "call.initiated" if said.direction == "incoming":
            return CallOffered(CallInfo(event.call_id, said.from_ or "", said.to or "", "inbound", kind))
        case "call.answered" if event.state.role == "out" or (
            said.direction == "outgoing" and event.state.role == ""
        ):
            return CallAnswered(event.call_id)
        case "call.hangup" if is_transfer:
            return TransferEnded(event.state.caller, event.state.role == "joined", event.cause)
        case "call.hangup":
            sip = _word(said.sip_hangup_cause)
            detail = f"{event.cause} ({sip})" if sip and sip != "unspecified" else event.cause
            return CallOver(event.call_id, ended_as(event.cause), detail=detail)
        case "call.machine.detection.ended" | "call.machine.premium.detection.ended" if not is_transfer:
            word = _word(said.result)
            return MachineVerdict(event.call_id, _VERDICTS.get(word, "unknown"), raw=word)
        case "call.machine.greeting.ended" | "call.machine.premium.greeting.ended" if not is_transfer:
            word = _word(said.result)
            return GreetingEnded(event.call_id, _GREETINGS[word], word) if word in _GREETINGS else None
        case "call.recording.saved" | "call.recording.error":
            return _recording(event)
        case _:
            return None


def ended_as(cause: str) -> EndedAs:
    """How a call ended, by the carrier's cause; one that is not documented is a failure."""
    return _CAUSES.get(cause, "failed")


def _recording(event: TelnyxEvent) -> RecordingSaved:
    said, urls = event.payload, event.payload.recording_urls or {}
    recording_id = _word(said.recording_id)
    url = urls.get("wav") or urls.get("mp3") or ""
    if event.kind == "call.recording.error" or not url:
        return RecordingSaved(event.call_id, recording_id, error=event.failure or "no address")
    seconds = _seconds(said.recording_started_at, said.recording_ended_at)
    return RecordingSaved(event.call_id, recording_id, url, seconds)


def _seconds(start: str | None, end: str | None) -> float | None:
    try:
        return (datetime.fromisoformat(end or "") - datetime.fromisoformat(start or "")).total_seconds()
    except (ValueError, TypeError):
        return None


def _word(text: str | None) -> str:
    """A word of the carrier's, if it is one: it goes into logs and records."""
    return text if text is not None and _WORD.fullmatch(text) else ""
