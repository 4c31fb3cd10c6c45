"""The callbacks of ``serve()`` and ``session()``, with the payloads that users know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ._actors.observe import Listener
from ._call.agent import Agent
from ._call.call import Call, CallResult
from ._call.speech_edges import SPEECH_EDGES, speech_payload
from ._foreign import call_back
from ._settings import Callback, SessionSettings
from ._turns.latency import TurnMetrics
from ._wall import wall_time
from .errors import PatterConfigError
from .events import CallEvent, CallInfo, TranscriptHeard, TurnEnded

__all__ = ["call_end_payload", "call_start_payload", "listeners_for", "overridden"]

# Less than a listener has, so that a callback that hangs is named and not its neighbours.
_CALLBACK_SECONDS = 4.5

# Opened once for all calls, or already in use when a call begins.
_OF_THE_SESSION = frozenset(
    {
        *("stt", "llm", "tts", "vad", "on_message", "hedge_llm", "turn_detector", "audio_filter"),
        *("tools", "tool_executor", "tool_webhooks", "builtin_tools", "consult", "mcp_servers", "handoffs"),
        *("hooks", "compaction", "prewarm", "prewarm_first_message", "handoff_description"),
        *("max_history", "transfer_failed_message"),
    }
)

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
    (TranscriptHeard, "on_transcript", _transcript),
    (TurnEnded, "on_metrics", _metrics),
    *((kind, name, _edge) for name, kind in SPEECH_EDGES.items()),
)


def call_start_payload(info: CallInfo) -> dict[str, Any]:
    """What ``on_call_start`` receives."""
    return {
        "call_id": info.call_id,
        "caller": info.caller,
        "callee": info.callee,
        "direction": info.direction,
        "custom_params": dict(info.custom_params),
        "telephony_provider": info.telephony_provider,
    }


def overridden(agent: Agent, settings: Mapping[str, Any]) -> Agent:
    """The agent of one call, with the settings that ``on_call_start`` has returned for it.

    ``variables`` are put over the agent's own.

    Raises:
        PatterConfigError: a setting is unknown, wrong, or shared by all calls of the session.
    """
    names = {field.name for field in attrs.fields(Agent)} - _OF_THE_SESSION
    wrong = sorted(str(name) for name in settings if name not in names)
    if wrong:
        raise PatterConfigError(
            f"on_call_start cannot set {', '.join(wrong)} for one call",
            hint="on_call= chooses between whole agents",
        )
    changed = dict(settings)
    if "variables" in changed and isinstance(changed["variables"], Mapping):
        changed["variables"] = {**agent.variables, **changed["variables"]}
    return attrs.evolve(agent, **changed)


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
