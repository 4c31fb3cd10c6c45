"""Who picked up, as a simulated carrier finds out: right, and as late as a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .legevents import GreetingOver, MachineHeard
from .phone import LineEnded, StepFailed

if TYPE_CHECKING:
    from .legs import Leg

__all__ = ["MachineDetection", "detect_machine"]


@attrs.frozen
class MachineDetection:
    """How long the detector takes; seconds after the first sound of whoever picked up.

    Args:
        human_after: until it is sure of a human.
        machine_after: until it is sure of a machine or a fax; a machine's beep is sure at once.
        gives_up_after: seconds of silence after the answer until it says ``unknown``.
    """

    human_after: float = 1.5
    machine_after: float = 3.0
    gives_up_after: float = 30.0


async def detect_machine(leg: Leg, timing: MachineDetection) -> None:
    """Listens to a leg and tells of the verdict, then of the end of a machine's greeting."""
    phone, nature = leg.phone, leg.subscriber.nature
    try:
        try:
            await phone.wait_until(lambda: bool(phone.ear.caller_speech), timing.gives_up_after, "a sound")
        except StepFailed:
            leg.tell(MachineHeard("unknown", phone.now))
            return
        after = timing.human_after if nature == "human" else timing.machine_after
        until = phone.ear.caller_speech[0].start + after
        await phone.wait_until(
            lambda: phone.now >= until or leg.greeting_beep is not None, float("inf"), "time"
        )
        leg.tell(MachineHeard(nature, phone.now))
        if nature == "machine":
            await phone.wait_until(lambda: leg.greeting_beep is not None, float("inf"), "the greeting's end")
            leg.tell(GreetingOver(bool(leg.greeting_beep), phone.now))
    except LineEnded:
        return
