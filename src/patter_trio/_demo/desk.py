"""An appointment desk: hours, prices, a place, and a calendar that really keeps what is booked in it.

Pure and deterministic: the date comes in from outside, and which slots other people have taken follows
from the date alone. Lakeside Dental is made up; everything it says about itself stands here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Literal

import attrs

from . import spoken

__all__ = [
    "ADDRESS",
    "HOURS",
    "NAME",
    "PARKING",
    "PRICES",
    "Appointment",
    "Calendar",
    "DayPart",
    "Hours",
    "Slot",
    "Treatment",
    "When",
    "hours_on",
    "price_of",
    "say_appointment",
    "say_day",
    "say_hours",
    "say_openings",
    "say_price",
    "say_slot",
    "say_week",
]

NAME = "Lakeside Dental"
ADDRESS = "We are at twelve Harbor Street, right beside the public library."
PARKING = "Yes, there is free parking behind the building, and the first hour on the street is free too."

SLOT_MINUTES = 30
HORIZON_DAYS = 21
"""How far ahead the calendar reaches; nothing is booked beyond it."""


class Treatment(StrEnum):
    """What the desk can book and knows the price of; the value is how it is said."""

    CLEANING = "cleaning"
    CHECKUP = "check-up"
    FILLING = "filling"
    WHITENING = "whitening"
    EXTRACTION = "extraction"
    XRAY = "x-ray"

    @property
    def with_article(self) -> str:
        """``a cleaning``, ``an extraction``."""
        return f"{'an' if self in (Treatment.EXTRACTION, Treatment.XRAY) else 'a'} {self.value}"


@attrs.frozen
class Hours:
    """From when until when the desk is open on one day."""

    opens: time
    closes: time


_LONG, _FRIDAY, _SATURDAY = (
    Hours(time(8), time(18)),
    Hours(time(8), time(16)),
    Hours(time(9), time(13)),
)
HOURS: tuple[Hours | None, ...] = (_LONG, _LONG, _LONG, _LONG, _FRIDAY, _SATURDAY, None)
"""Monday to Sunday; ``None`` is closed."""

PRICES: dict[Treatment, int] = {
    Treatment.CLEANING: 95,
    Treatment.CHECKUP: 60,
    Treatment.FILLING: 150,
    Treatment.WHITENING: 280,
    Treatment.EXTRACTION: 180,
    Treatment.XRAY: 40,
}
"""Whole dollars."""

DayPart = Literal["morning", "afternoon", "evening"]
_PARTS: dict[DayPart, tuple[time, time]] = {
    "morning": (time(0), time(12)),
    "afternoon": (time(12), time(17)),
    "evening": (time(17), time(23, 59)),
}


@attrs.frozen(order=True)
class Slot:
    """One bookable half hour."""

    day: date
    at: time

    @property
    def start(self) -> datetime:
        """Day and time in one, without a zone: the desk knows only its own."""
        return datetime.combine(self.day, self.at)


@attrs.frozen
class When:
    """What a caller asks of a slot; what is ``None`` they did not say.

    ``since`` is the first day that will do, ``at`` an exact time, ``not_before`` the earliest one.
    """

    day: date | None = None
    since: date | None = None
    part: DayPart | None = None
    at: time | None = None
    not_before: time | None = None

    def fits(self, slot: Slot) -> bool:
        """Whether the slot is what was asked for."""
        if self.day is not None and slot.day != self.day:
            return False
        if self.since is not None and slot.day < self.since:
            return False
        if self.part is not None and not _PARTS[self.part][0] <= slot.at < _PARTS[self.part][1]:
            return False
        if self.not_before is not None and slot.at < self.not_before:
            return False
        return self.at is None or slot.at == self.at

    @property
    def is_open(self) -> bool:
        """Whether the caller asked for nothing in particular."""
        return self == When()


@attrs.frozen
class Appointment:
    """A slot that is kept for the caller."""

    slot: Slot
    treatment: Treatment | None = None


class Calendar:
    """The book of one desk: from tomorrow on for three weeks, in half hours.

    Which slots other patients hold is a fixed pattern over the date, so that a call with the same date
    always finds the same openings; about one slot in five is free, and none is today.
    """

    def __init__(self, today: date) -> None:
        self.today = today
        self._kept: dict[Slot, Appointment] = {}

    def openings(self, when: When | None = None) -> Iterator[Slot]:
        """Free slots that fit, earliest first."""
        asked = when or When()
        for ahead in range(1, HORIZON_DAYS + 1):
            day = self.today + timedelta(days=ahead)
            hours = HOURS[day.weekday()]
            if hours is None:
                continue
            start, closes = datetime.combine(day, hours.opens), datetime.combine(day, hours.closes)
            while start < closes:
                slot = Slot(day, start.time())
                if asked.fits(slot) and self.is_free(slot):
                    yield slot
                start += timedelta(minutes=SLOT_MINUTES)

    def is_free(self, slot: Slot) -> bool:
        """Whether nobody holds the slot and it lies within the hours and reach of the calendar."""
        hours = HOURS[slot.day.weekday()]
        if hours is None or not hours.opens <= slot.at < hours.closes or slot.at.minute % SLOT_MINUTES:
            return False
        if not 1 <= (slot.day - self.today).days <= HORIZON_DAYS:
            return False
        index = slot.at.hour * 2 + slot.at.minute // SLOT_MINUTES
        return (slot.day.toordinal() * 3 + index) % 5 == 0 and slot not in self._kept

    def book(self, slot: Slot, treatment: Treatment | None = None) -> Appointment | None:
        """Keeps the slot; ``None`` when it is not free."""
        if not self.is_free(slot):
            return None
        self._kept[slot] = Appointment(slot, treatment)
        return self._kept[slot]

    def move(self, appointment: Appointment, to: Slot) -> Appointment | None:
        """Gives up the old slot for the new one; ``None``, with nothing changed, when that is not free."""
        moved = self.book(to, appointment.treatment)
        if moved is not None:
            self.cancel(appointment)
        return moved

    def cancel(self, appointment: Appointment) -> bool:
        """Frees the slot; ``False`` when it was not kept."""
        return self._kept.pop(appointment.slot, None) is not None


def hours_on(day: date) -> Hours | None:
    """When the desk is open that day; ``None`` when it is closed."""
    return HOURS[day.weekday()]


def price_of(treatment: Treatment) -> int:
    """What a treatment costs, in whole dollars."""
    return PRICES[treatment]


# --- results as sentences -----------------------------------------------------------------------------------


def say_hours(day: date, today: date) -> str:
    """The hours of one day."""
    hours, said = hours_on(day), spoken.on_day(day, today)
    if hours is None:
        return f"We are closed {said}."
    return f"We are open {said} from {spoken.clock(hours.opens)} until {spoken.clock(hours.closes)}."


def say_week() -> str:
    """The hours of the week."""
    return (
        "We are open from eight to six Monday to Thursday, until four on Fridays, and from nine to one on "
        "Saturdays. We are closed on Sundays."
    )


def say_price(treatment: Treatment | None) -> str:
    """What one treatment costs, or the two most asked for."""
    if treatment is not None:
        start = treatment.with_article.capitalize()
        return f"{start} costs {spoken.money(price_of(treatment))}."
    checkup, cleaning = (spoken.money(PRICES[t]) for t in (Treatment.CHECKUP, Treatment.CLEANING))
    return f"A check-up costs {checkup} and a cleaning {cleaning}. Which treatment do you need?"


def say_day(day: date, today: date) -> str:
    """A day with its preposition: ``tomorrow``, ``on Thursday``."""
    return spoken.on_day(day, today)


def say_slot(slot: Slot, today: date) -> str:
    """A slot with its day: ``on Thursday at two in the afternoon``."""
    return f"{spoken.on_day(slot.day, today)} at {spoken.clock(slot.at)}"


def say_openings(slots: list[Slot], today: date) -> str:
    """The free slots, read out; the desk never reads more than it is given."""
    if not slots:
        return "I am afraid there is no opening in the next three weeks."
    start = "The next opening is" if len(slots) == 1 else "The next openings are"
    return f"{start} {spoken.listed([say_slot(slot, today) for slot in slots])}."


def say_appointment(appointment: Appointment, today: date) -> str:
    """What is kept: ``a cleaning on Thursday at two in the afternoon``."""
    what = appointment.treatment.with_article if appointment.treatment else "an appointment"
    return f"{what} {say_slot(appointment.slot, today)}"
