"""What the desk answers: one caller's conversation, from what was understood to a short spoken reply.

Pure: no model, no clock. Everything a reply claims comes from :mod:`.desk`; what is booked is really kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from itertools import islice

import attrs

from . import desk
from .conversation import GREETING, AskCancel, AskDay, AskMore, Conversation, OfferBooking, OfferMove
from .desk import Appointment, Slot, When
from .intents import Intent
from .slots import Slots
from .spoken import clock
from .understanding import Understood

__all__ = ["GREETING", "Conversation", "OfferBooking", "OfferMove", "answer"]

_SECOND = re.compile(r"\b(?:second|later|last|other)(?: one)?$|\b(?:second|later|last|other) one\b")

_ABILITIES = "I can tell you our hours, prices and address, and book, move or cancel an appointment."


def answer(said: Understood, call: Conversation) -> str:
    """The reply to one utterance, at most about two sentences per thing asked; changes ``call``."""
    intents = _in_context(said, call)
    if not intents:
        reply = _not_understood(call)
    else:
        call.misses = 0
        reply = " ".join(_REPLIES[intent](said, call) for intent in intents[:2])
    call.last_reply = reply
    return reply


def _in_context(said: Understood, call: Conversation) -> tuple[Intent, ...]:
    """The intents with what a bare "yes", "no" or "Thursday" means at this point."""
    intents, slots = said.intents, said.slots
    asked = tuple(i for i in intents if i not in (Intent.YES, Intent.NO))
    if asked and Intent.NO in intents:
        call.question = None
        return tuple(i for i in asked if i is not Intent.THANKS) or (Intent.NO,)
    if asked and Intent.YES in intents and call.question is None:
        return asked
    offered = isinstance(call.question, OfferBooking | OfferMove)
    if isinstance(call.question, OfferBooking) and call.question.other and _SECOND.search(said.words):
        call.question = OfferBooking(call.question.other)
        return (Intent.YES,)
    if call.topic is Intent.PRICE and slots.treatment and len(said.words.split()) < 5:
        return (Intent.PRICE,)
    if not asked and slots.asks_when and not (intents == (Intent.YES,) and _accepts(slots, call)):
        if call.topic is Intent.HOURS and not offered and slots.has_day and not slots.has_time:
            return (Intent.HOURS,)
        moving = isinstance(call.question, OfferMove) or (call.question is None and call.appointment)
        return (Intent.MOVE,) if moving or call.topic is Intent.MOVE else (Intent.BOOK,)
    if not intents and slots.treatment is not None:
        return (Intent.BOOK,) if offered or isinstance(call.question, AskDay) else (Intent.PRICE,)
    if asked == (Intent.MOVE,) and call.appointment is None and isinstance(call.question, OfferBooking):
        return (Intent.BOOK,)
    if asked == (Intent.BOOK,) and Intent.YES in intents and offered and not slots.asks_when:
        return (Intent.YES,)
    return intents


def _accepts(slots: Slots, call: Conversation) -> bool:
    """Whether the day and time in a "yes" are those of the slot on offer."""
    question = call.question
    if not isinstance(question, OfferBooking | OfferMove) or slots.shift is not None:
        return False
    return slots.when(call.today).fits(question.slot)


def _not_understood(call: Conversation) -> str:
    call.misses += 1
    if call.misses == 1:
        return f"Sorry, I did not understand that. {_ABILITIES}"
    return "I am sorry, I still did not get it. Try asking, for example: when is your next opening?"


# --- offers -------------------------------------------------------------------------------------------------


def _offer(said: Understood, call: Conversation, *, moving: bool) -> str:
    """Looks for a slot as wished and offers it, or the nearest thing there is."""
    on_table = call.question.slot if isinstance(call.question, OfferBooking | OfferMove) else None
    if moving and on_table is None and call.appointment is not None:
        on_table = call.appointment.slot
    call.wishes = call.wishes.then(said.slots)
    when = call.wishes.when(call.today)
    if said.slots.shift is not None and on_table is not None:
        slot = _shifted(said.slots, on_table, call)
        why = f"There is nothing {said.slots.shift}." if slot is None else ""
    else:
        slot = next(iter(call.calendar.openings(when)), None)
        why = "" if slot is not None else _why_not(when, call)
    if slot is None:
        slot = _nearest(when, call)
        if slot is not None:
            call.wishes = Slots(ahead=(slot.day - call.today).days, treatment=call.wishes.treatment)
        if slot is None:
            call.question = None
            return "I am afraid there is no opening in the next three weeks."
    call.question = OfferMove(slot) if moving else OfferBooking(slot)
    found = desk.say_slot(slot, call.today)
    start = "We have an opening" if not why else f"{why} The nearest opening is"
    return f"{start} {found}. Shall I {'move your appointment there' if moving else 'book it'}?"


def _shifted(slots: Slots, on_table: Slot, call: Conversation) -> Slot | None:
    """The nearest free slot before or after the one on the table, on the same day if there is one."""
    free = list(call.calendar.openings(slots.when(call.today) if slots.has_day else None))
    if slots.shift == "earlier":
        before = [slot for slot in free if slot < on_table]
        same_day = [slot for slot in before if slot.day == on_table.day]
        return next(reversed(same_day or before), None)
    return next((slot for slot in free if slot > on_table), None)


def _nearest(when: When, call: Conversation) -> Slot | None:
    """The closest opening once the wish is given up step by step: the time, the part of the day, the day."""
    free = list(call.calendar.openings(attrs.evolve(when, at=None)))
    if when.at is not None and free:
        wanted = datetime.combine(free[0].day, when.at)
        return min((slot for slot in free if slot.day == free[0].day), key=lambda s: abs(s.start - wanted))
    looser = (attrs.evolve(when, at=None, not_before=None, part=None), When())
    for wish in looser:
        for slot in call.calendar.openings(wish):
            return slot
    return None


def _why_not(when: When, call: Conversation) -> str:
    if when.day is not None:
        if desk.hours_on(when.day) is None or when.day == call.today:
            closed = desk.hours_on(when.day) is None
            return f"We are {'closed' if closed else 'fully booked'} {desk.say_day(when.day, call.today)}."
        free = next(iter(call.calendar.openings(When(day=when.day))), None)
        if free is None:
            return f"There is nothing free {desk.say_day(when.day, call.today)}."
    if when.at is not None:
        return f"{clock(when.at).capitalize()} is not free."
    return "There is nothing free then."


# --- one reply per intent -----------------------------------------------------------------------------------


def _hours(said: Understood, call: Conversation) -> str:
    call.topic, call.question = Intent.HOURS, None
    day = said.slots.day(call.today)
    return desk.say_hours(day, call.today) if day is not None else desk.say_week()


def _price(said: Understood, call: Conversation) -> str:
    call.topic = Intent.PRICE
    if isinstance(call.question, OfferBooking) and call.wishes.treatment is None:
        call.wishes = attrs.evolve(call.wishes, treatment=said.slots.treatment)
    return desk.say_price(said.slots.treatment or call.wishes.treatment)


def _openings(said: Understood, call: Conversation) -> str:
    if said.slots.asks_when:
        return _book(said, call)
    call.topic = Intent.BOOK
    call.wishes = call.wishes.then(said.slots)
    slots = list(islice(call.calendar.openings(), 0, 6, 3))
    if not slots:
        return desk.say_openings([], call.today)
    call.question = OfferBooking(slots[0], other=slots[1] if len(slots) > 1 else None)
    return f"{desk.say_openings(slots, call.today)} Shall I book the first one?"


def _book(said: Understood, call: Conversation) -> str:
    call.topic = Intent.BOOK
    return _offer(said, call, moving=False)


def _move(said: Understood, call: Conversation) -> str:
    if call.appointment is None:
        return _no_appointment(call)
    call.topic = Intent.MOVE
    if not said.slots.asks_when and not isinstance(call.question, OfferMove):
        call.wishes = attrs.evolve(Slots(), treatment=call.wishes.treatment)
        call.question = AskDay()
        return "Sure. Which day and time would suit you better?"
    return _offer(said, call, moving=True)


def _no_appointment(call: Conversation) -> str:
    call.topic, call.question = Intent.BOOK, AskDay()
    return "You have no appointment yet. Which day would suit you for one?"


def _cancel(said: Understood, call: Conversation) -> str:
    if call.appointment is None:
        if isinstance(call.question, OfferBooking | OfferMove):
            call.question = AskMore()
            return "All right, I have not booked anything. Is there anything else?"
        call.question = AskMore()
        return "You have no appointment with us, so there is nothing to cancel. Is there anything else?"
    call.question = AskCancel()
    return f"You have {desk.say_appointment(call.appointment, call.today)}. Shall I cancel it?"


def _mine(said: Understood, call: Conversation) -> str:
    if call.appointment is None:
        return _no_appointment(call)
    return f"You have {desk.say_appointment(call.appointment, call.today)}."


def _yes(said: Understood, call: Conversation) -> str:
    question, call.question = call.question, None
    if isinstance(question, OfferBooking):
        return _booked(call, question.slot)
    if isinstance(question, OfferMove) and call.appointment is not None:
        moved = call.calendar.move(call.appointment, question.slot)
        return _settled(call, moved, "Done, I have moved it. You now have")
    if isinstance(question, AskCancel) and call.appointment is not None:
        call.calendar.cancel(call.appointment)
        call.appointment, call.question = None, AskMore()
        return "It is cancelled. Is there anything else?"
    if isinstance(question, AskDay):
        call.question = question
        return "Which day would suit you?"
    return (
        f"What would you like? {_ABILITIES}" if question is None else "Go ahead, what else can I do for you?"
    )


def _booked(call: Conversation, slot: Slot) -> str:
    kept = call.calendar.book(slot, call.wishes.treatment)
    if kept is not None and call.appointment is not None:
        call.calendar.cancel(call.appointment)
    return _settled(call, kept, "Booked. You have")


def _settled(call: Conversation, kept: Appointment | None, start: str) -> str:
    if kept is None:
        return "I am sorry, that slot has just gone. Which other day would suit you?"
    call.appointment, call.question, call.topic = kept, AskMore(), None
    call.wishes = Slots()
    return f"{start} {desk.say_appointment(kept, call.today)}. Is there anything else?"


def _no(said: Understood, call: Conversation) -> str:
    question, call.question = call.question, None
    if isinstance(question, OfferBooking | OfferMove):
        call.question = AskDay()
        call.wishes = attrs.evolve(Slots(), treatment=call.wishes.treatment)
        return "All right. Which day or time would suit you better?"
    if isinstance(question, AskCancel):
        return "All right, I keep it for you."
    if isinstance(question, AskMore):
        return _goodbye(said, call)
    return "All right. What else can I do for you?"


def _goodbye(said: Understood, call: Conversation) -> str:
    call.question = None
    if call.appointment is not None:
        day = desk.say_day(call.appointment.slot.day, call.today)
        return f"Thank you for calling {desk.NAME}. See you {day}, goodbye!"
    return f"Thank you for calling {desk.NAME}. Goodbye!"


def _emergency(said: Understood, call: Conversation) -> str:
    call.topic = Intent.BOOK
    slot = next(iter(call.calendar.openings()), None)
    advice = "I am sorry to hear that. If you bleed heavily or cannot breathe well, call nine one one now."
    if slot is None:
        return advice
    call.question = OfferBooking(slot)
    return f"{advice} The first opening here is {desk.say_slot(slot, call.today)}, shall I book it?"


def _wait(said: Understood, call: Conversation) -> str:
    return "Of course, take your time."


def _repeat(said: Understood, call: Conversation) -> str:
    return call.last_reply if call.last_reply.startswith("I said: ") else f"I said: {call.last_reply}"


def _thanks(said: Understood, call: Conversation) -> str:
    if call.question is None:
        call.question = AskMore()
    return "You are welcome. Is there anything else?"


def _saying(text: str) -> Callable[[Understood, Conversation], str]:
    return lambda said, call: text


_REPLIES: dict[Intent, Callable[[Understood, Conversation], str]] = {
    Intent.HOURS: _hours,
    Intent.PRICE: _price,
    Intent.ADDRESS: _saying(desk.ADDRESS),
    Intent.PARKING: _saying(desk.PARKING),
    Intent.OPENINGS: _openings,
    Intent.BOOK: _book,
    Intent.MOVE: _move,
    Intent.CANCEL: _cancel,
    Intent.MINE: _mine,
    Intent.TRANSFER: _saying(
        "I am an automated assistant, and in this demo nobody else is on the line, so I cannot transfer you."
    ),
    Intent.EMERGENCY: _emergency,
    Intent.REPEAT: _repeat,
    Intent.YES: _yes,
    Intent.NO: _no,
    Intent.WAIT: _wait,
    Intent.HELP: _saying(f"This is the automated desk of {desk.NAME}. {_ABILITIES}"),
    Intent.THANKS: _thanks,
    Intent.GREETING: _saying("Hello! How can I help you?"),
    Intent.GOODBYE: _goodbye,
}
