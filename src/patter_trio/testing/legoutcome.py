"""What became of a leg, as of any simulated call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .outcome import CallOutcome, EndedBy, Violation

if TYPE_CHECKING:
    from .legs import Leg

__all__ = ["outcome_of"]


def outcome_of(leg: Leg) -> CallOutcome:
    """The record of a leg so far: of its streams together, and of its telephone."""
    received = [stream.received for stream in leg.streams]
    violations = [*leg.violations, *(each for one in received for each in one.violations)]
    unsent = sum(stream.unsent for stream in leg.streams)
    if unsent:
        detail = f"{unsent} messages to it were dropped"
        violations.append(Violation(leg.phone.now, "the server reads too slowly", detail))
    return CallOutcome(
        leg.leg_id,
        _ended_by(leg),
        _refusal(leg),
        leg.steps,
        leg.phone.ear,
        utterances=tuple(leg.phone.utterances),
        clears=tuple(at for one in received for at in one.clears),
        marks=tuple(name for one in received for name in one.marks),
        frames_after_clear=sum(one.frames_after_clear for one in received),
        violations=tuple(violations),
        log=tuple(entry for one in received for entry in one.log),
        transferred_to=leg.transferred_to,
    )


def _ended_by(leg: Leg) -> EndedBy:
    if _refusal(leg) is not None:
        return "refused"
    if leg.phone.socket_cut or leg.phone.sending_closed:
        return "dropped"
    if leg.transferred_to:
        return "transferred"
    return "caller" if leg.ended is not None and leg.ended.by == "party" else "agent"


def _refusal(leg: Leg) -> str | None:
    if leg.streams:
        return None
    if leg.ended is not None and leg.ended.cause != "completed":
        return leg.refusal or leg.ended.cause
    return leg.refusal
