"""The callbacks of ``serve()`` and ``session()``, with the payloads that users know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ._actors.observe import Listener
from ._call.call import Call, CallResult
from ._call.speech_edges import SPEECH_EDGES, speech_payload
from ._foreign import call_back
from ._settings import Callback, SessionSettings
from ._turns.latency import TurnMetrics
from ._wall import wall_time
from .events import CallAccepted, CallEvent, CallInfo, TranscriptHeard, TurnEnded

__all__ = ["call_end_payload", "listeners_for"]

# Less than a listener has, so that a callback that hangs is named and not its neighbours.
_CALLBACK_SECONDS = 4.5

_Payload = Callable[[Call, Any], dict[str, Any] | None]


def listeners_for(settings: SessionSettings, call: Call) -> list[Listener]:
    """The listeners that a call needs for the callbacks that are set: none costs nothing."""
    listeners: list[Listener] = [] if settings.on_event is None else [settings.on_event]
    wanted: dict[type[CallEvent], tuple[str, Callback, _Payload]] = {}
    for kind, name, payload in _TOLD:
        callback = getattr(settings, name)
        if callback is not None:
            wanted[kind] = (name, callback, payload)
    if wanted:
        listeners.append(_listener(call, wanted))
    return listeners


def _listener(call: Call, wanted: Mapping[type[CallEvent], tuple[str, Callback, _Payload]]) -> Listener:
    complained = set[str]()

    async def listener(event: CallEvent) -> None:
        told = wanted.get(type(event))
        if told is not None:
            name, callback, payload = told
            said = payload(call, event)
            if said is not None:
                await call_back(callback, said, name=name, deadline=_CALLBACK_SECONDS, complained=complained)

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
    turn: TurnMetrics = event.metrics
    return {
        "call_id": event.call_id,
        "turn": turn,
        "cost_so_far": call.metrics.cost,
        "llm_ttft_ms": turn.latency.llm_ttft_ms,
    }


def _edge(call: Call, event: CallEvent) -> dict[str, Any] | None:
    return speech_payload(event)


_TOLD: tuple[tuple[type[CallEvent], str, _Payload], ...] = (
    (CallAccepted, "on_call_start", _call_start),
    (TranscriptHeard, "on_transcript", _transcript),
    (TurnEnded, "on_metrics", _metrics),
    *((kind, name, _edge) for name, kind in SPEECH_EDGES.items()),
)


def call_end_payload(info: CallInfo, result: CallResult) -> dict[str, Any]:
    """What ``on_call_end`` receives."""
    return {
        "call_id": info.call_id,
        "caller": info.caller,
        "callee": info.callee,
        "direction": info.direction,
        "ended_at": wall_time(),
        "transcript": [{"role": entry["role"], "text": entry["text"]} for entry in result.transcript],
        "metrics": result.metrics,
        "result": result,
        "recording_path": result.recording_path,
    }
