"""From a simulated call's outcome and the session's events to the record that is written down."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from .._turns.latency import TurnMetrics
from ..events import (
    AgentSpeechStarted,
    CallAccepted,
    CallEvent,
    FloorHeld,
    FloorReleased,
    FloorTaken,
    TurnEnded,
)
from ..testing import CallOutcome, LineConditions, Utterance
from .record import CallArtefacts, CallTurn, FloorChange, ScriptStep

__all__ = ["collect"]

_LATENCIES = {
    "endpoint": "endpoint_ms",
    "stt": "stt_ms",
    "think": "llm_ttft_ms",
    "voice": "tts_ms",
    "response": "agent_response_ms",
}

# A floor is taken 300 ms of voice after the onset; what was sent before that has been played by then.
_HOLD_AND_LEAD = 0.6


def collect(
    outcome: CallOutcome,
    events: Sequence[CallEvent],
    seed: int,
    conditions: LineConditions,
    carrier: str = "twilio",
) -> CallArtefacts:
    """Puts both ends of the call on the time line of the caller's ear."""
    began = next((event.time for event in events if isinstance(event, CallAccepted)), 0.0)
    left, right = outcome.ear.stereo()
    both = bytearray(2 * len(left))
    both[0::4], both[1::4] = left[0::2], left[1::2]
    both[2::4], both[3::4] = right[0::2], right[1::2]
    return CallArtefacts(
        audio=bytes(both),
        turns=_turns(outcome, events, began),
        floor=_floor(outcome, events, began),
        steps=tuple(
            ScriptStep(text=step.step, done=step.ok, at=step.started, note=step.note)
            for step in outcome.steps
        ),
        conditions={
            "carrier": f"simulated {carrier.capitalize()} over loopback",
            "one-way delay": f"{conditions.one_way_delay_ms:g} ms",
            "jitter": f"{conditions.jitter_ms:g} ms",
            "seed": seed,
        },
        title="A call to the appointment desk",
    )


def _turns(outcome: CallOutcome, events: Sequence[CallEvent], began: float) -> tuple[CallTurn, ...]:
    turns: list[CallTurn] = []
    unanswered = list(outcome.utterances)
    started: float | None = None
    for event in events:
        if isinstance(event, AgentSpeechStarted):
            started = event.time - began
        elif isinstance(event, TurnEnded):
            said: list[Utterance] = []
            if event.kind == "reply" and started is not None:
                while unanswered and unanswered[0].end <= started + 0.1:
                    said.append(unanswered.pop(0))
            turns.append(_turn(outcome, event, said, started, event.time - began))
            started = None
    return tuple(turns)


def _turn(
    outcome: CallOutcome, event: TurnEnded, said: list[Utterance], started: float | None, ended: float
) -> CallTurn:
    metrics: TurnMetrics = event.metrics
    latency = attrs.asdict(metrics.latency)
    heard_from = None if started is None else outcome.ear.first_agent_sound(started)
    if metrics.interrupted and heard_from is not None:
        # A cut turn ends where the caller stopped hearing it, which is before the floor was taken.
        silent = outcome.ear.agent_silent_from(max(heard_from, ended - _HOLD_AND_LEAD))
        ended = ended if silent is None else min(ended, silent)
    return CallTurn(
        idx=event.turn_idx,
        kind=event.kind,
        user_text=metrics.user_text,
        agent_text_heard=metrics.agent_text,
        agent_text_cut=metrics.unheard_text,
        t_user_start=said[0].start if said else None,
        t_user_end=said[-1].end if said else None,
        t_first_audio=heard_from,
        t_end=None if heard_from is None else max(heard_from, ended),
        interrupted=metrics.interrupted,
        latencies={name: latency[field] for name, field in _LATENCIES.items() if latency[field] is not None},
    )


def _floor(outcome: CallOutcome, events: Sequence[CallEvent], began: float) -> tuple[FloorChange, ...]:
    changes: list[FloorChange] = []
    barge_ins = [found for found in outcome.barge_ins if found.agent_silent_after is not None]
    for event in events:
        at = event.time - began
        if isinstance(event, FloorHeld):
            changes.append(FloorChange(kind="held", at=at, turn_idx=event.turn_idx))
        elif isinstance(event, FloorReleased):
            onset = outcome.ear.caller_sound_from(max(0.0, at - event.held_ms / 1000 - 0.3))
            changes.append(FloorChange(kind="released", at=at, turn_idx=event.turn_idx, onset=onset))
        elif isinstance(event, FloorTaken):
            onset = silence = None
            near = [found for found in barge_ins if 0 <= at - found.onset < 3.0]
            if near and near[-1].agent_silent_after is not None:
                onset = near[-1].onset
                silence = onset + near[-1].agent_silent_after
            changes.append(
                FloorChange(kind="taken", at=at, turn_idx=event.turn_idx, onset=onset, silence=silence)
            )
    return tuple(changes)
