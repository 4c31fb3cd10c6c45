"""What the desk remembers of one call, and the question it asked last: that is what a "yes" answers."""

from __future__ import annotations

from datetime import date

import attrs

from . import desk
from .desk import Appointment, Calendar, Slot
from .intents import Intent
from .slots import Slots

__all__ = [
    "GREETING",
    "AskCancel",
    "AskDay",
    "AskMore",
    "Conversation",
    "OfferBooking",
    "OfferMove",
    "Question",
]

GREETING = f"Thanks for calling {desk.NAME}. How can I help you?"


@attrs.frozen
class OfferBooking:
    """The desk asked "shall I book it?" for this slot; ``other`` was read out beside it."""

    slot: Slot
    other: Slot | None = None


@attrs.frozen
class OfferMove:
    """The desk asked "shall I move it there?" for this slot."""

    slot: Slot


@attrs.frozen
class AskCancel:
    """The desk asked whether to cancel the appointment."""


@attrs.frozen
class AskDay:
    """The desk asked which day would suit, for a booking or a move."""


@attrs.frozen
class AskMore:
    """The desk asked whether there is anything else."""


Question = OfferBooking | OfferMove | AskCancel | AskDay | AskMore


@attrs.define
class Conversation:
    """What the desk remembers of one call; its calendar is this call's own, so calls never meet in it."""

    calendar: Calendar
    question: Question | None = None
    appointment: Appointment | None = None
    wishes: Slots = attrs.field(factory=Slots)
    topic: Intent | None = None
    last_reply: str = GREETING
    misses: int = 0

    @classmethod
    def opened(cls, today: date) -> Conversation:
        """A fresh conversation over a fresh calendar."""
        return cls(Calendar(today))

    @property
    def today(self) -> date:
        """The date on which the call is held."""
        return self.calendar.today
