"""The callbacks of ``serve()`` and ``session()``, with the payloads that users know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._actors.observe import Listener
from ._call.call import Call, CallResult
from ._foreign import call_back
from ._settings import Callback, SessionSettings
from ._wall import wall_time
from .events import CallAccepted, CallEvent, CallInfo, TranscriptHeard, TurnEnded

__all__ = ["call_end_payload", "listeners_for"]

_CALLBACK_SECONDS = 5.0


def listeners_for(settings: SessionSettings, call: Call) -> list[Listener]:
    """The listeners that a call needs for the callbacks that are set: none costs nothing."""
    listeners: list[Listener] = []
    if settings.on_event is not None:
        listeners.append(settings.on_event)
    wanted: dict[type[CallEvent], tuple[Callback | None, Callable[[Call, Any], dict[str, Any] | None]]] = {
        CallAccepted: (settings.on_call_start, _call_start),
        TranscriptHeard: (settings.on_transcript, _transcript),
        TurnEnded: (settings.on_metrics, _metrics),
    }
    for kind, (callback, payload) in wanted.items():
        if callback is not None:
            listeners.append(_listener(call, kind, callback, payload))
    return listeners


def _listener(
    call: Call,
    kind: type[CallEvent],
    callback: Callback,
    payload: Callable[[Call, Any], dict[str, Any] | None],
) -> Listener:
    async def listener(event: CallEvent) -> None:
        if isinstance(event, kind):
            said = payload(call, event)
            if said is not None:
                name = f"callback for {event.name}"
                await call_back(callback, said, name=name, deadline=_CALLBACK_SECONDS)

    return listener


def _call_start(call: Call, event: CallAccepted) -> dict[str, Any]:
    info = event.info
    return {
        "call_id": info.call_id,
        "caller": info.caller,
        "callee": info.callee,
        "direction": info.direction,
        "custom_params": dict(info.custom_params),
        "telephony_provider": info.telephony_provider,
    }


def _transcript(call: Call, event: TranscriptHeard) -> dict[str, Any] | None:
    if not event.is_final:
        return None
    return {
        "role": event.role,
        "text": event.text,
        "call_id": event.call_id,
        "history": call.history.transcript(),
    }


def _metrics(call: Call, event: TurnEnded) -> dict[str, Any]:
    return {"call_id": event.call_id, "turn": event.metrics}


def call_end_payload(info: CallInfo, result: CallResult) -> dict[str, Any]:
    """What ``on_call_end`` receives."""
    return {
        "call_id": info.call_id,
        "caller": info.caller,
        "callee": info.callee,
        "direction": info.direction,
        "ended_at": wall_time(),
        "transcript": [{"role": entry["role"], "text": entry["text"]} for entry in result.transcript],
        "metrics": result,
        "recording_path": result.recording_path,
    }
