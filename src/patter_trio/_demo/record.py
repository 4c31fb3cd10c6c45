"""The record of one call, as the demo writes it down: turns, floor changes, script steps and the sound.

All times are seconds from the start of the recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any, Literal

import attrs

from ..events import TurnKind

__all__ = ["CallArtefacts", "CallTurn", "FloorChange", "ScriptStep"]


@attrs.frozen(kw_only=True)
class CallTurn:
    """What the caller said and what became of the answer; the greeting has no words of the caller.

    ``agent_text_cut`` is what was ready to be said and never heard. ``latencies`` are milliseconds by name.
    """

    idx: int
    kind: TurnKind = "reply"
    user_text: str = ""
    agent_text_heard: str = ""
    agent_text_cut: str = ""
    t_user_start: float | None = None
    t_user_end: float | None = None
    t_first_audio: float | None = None
    t_end: float | None = None
    interrupted: bool = False
    latencies: Mapping[str, float] = attrs.field(factory=dict[str, float])

    @property
    def gap_ms(self) -> float | None:
        """The silence between the caller's last sound and the agent's first, as the caller hears it."""
        if self.t_user_end is None or self.t_first_audio is None:
            return None
        return (self.t_first_audio - self.t_user_end) * 1000


@attrs.frozen(kw_only=True)
class FloorChange:
    """The agent's gate closed (``held``), opened again (``released``) or its turn was cut (``taken``).

    ``onset`` is when the caller began to make that sound, ``silence`` when they stopped hearing the agent.
    """

    kind: Literal["held", "released", "taken"]
    at: float
    turn_idx: int
    onset: float | None = None
    silence: float | None = None

    @property
    def reaction_ms(self) -> float | None:
        """From the caller's first sound to the agent's silence."""
        if self.onset is None or self.silence is None:
            return None
        return (self.silence - self.onset) * 1000


@attrs.frozen(kw_only=True)
class ScriptStep:
    """One step of the caller's script and whether it happened."""

    text: str
    done: bool
    at: float | None = None
    note: str = ""


@attrs.frozen(kw_only=True)
class CallArtefacts:
    """Everything that is kept of one call.

    ``audio`` is linear16, two channels interleaved: left the caller, right the agent as heard.
    ``conditions`` says how the call was made (carrier, jitter, seed …), in the order to be shown.
    """

    audio: bytes = attrs.field(repr=False)
    turns: tuple[CallTurn, ...] = ()
    floor: tuple[FloorChange, ...] = ()
    steps: tuple[ScriptStep, ...] = ()
    conditions: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    title: str = "A call"
    sample_rate: int = 8000

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return len(self.audio) / (4 * self.sample_rate)

    @property
    def gaps_ms(self) -> list[float]:
        """The reply gaps of the call, in order."""
        return [turn.gap_ms for turn in self.turns if turn.gap_ms is not None]

    @property
    def barge_ins_ms(self) -> list[float]:
        """How long the agent was still heard after each barge-in began."""
        return [c.reaction_ms for c in self.floor if c.kind == "taken" and c.reaction_ms is not None]

    def summary(self) -> dict[str, Any]:
        """The numbers of the call: counts, and the median and worst latencies in milliseconds."""
        return {
            "seconds": round(self.seconds, 2),
            "turns": len(self.turns),
            "interrupted": sum(turn.interrupted for turn in self.turns),
            "false_interruptions": sum(change.kind == "released" for change in self.floor),
            "steps_done": sum(step.done for step in self.steps),
            "steps": len(self.steps),
            "reply_gap_ms": _median_and_worst(self.gaps_ms),
            "barge_in_ms": _median_and_worst(self.barge_ins_ms),
        }


def _median_and_worst(values: list[float]) -> dict[str, float] | None:
    return {"median": round(median(values), 1), "worst": round(max(values), 1)} if values else None
