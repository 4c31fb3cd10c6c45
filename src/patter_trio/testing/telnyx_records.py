"""What the simulated Telnyx keeps for each leg."""

from __future__ import annotations

import attrs

from .legs import Leg

__all__ = ["TelnyxLeg", "leg_record"]


@attrs.define(eq=False)
class TelnyxLeg:
    """What the account keeps for a leg."""

    webhook_url: str = ""
    client_state: str | None = None
    amd: str = ""
    commands: set[str] = attrs.field(factory=set[str])


def leg_record(leg: Leg) -> TelnyxLeg:
    """The account's record of a leg."""
    if not isinstance(leg.details, TelnyxLeg):
        leg.details = TelnyxLeg()
    return leg.details
