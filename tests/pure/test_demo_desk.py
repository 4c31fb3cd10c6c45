from __future__ import annotations

from datetime import date, time, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._demo import desk, spoken
from patter_trio._demo.desk import Calendar, Slot, Treatment, When
from patter_trio._demo.slots import Slots, plain, read_slots

MONDAY = date(2026, 3, 2)
DAYS = st.dates(date(2024, 1, 1), date(2030, 12, 31))


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (time(9), "nine in the morning"),
        (time(9, 30), "half past nine in the morning"),
        (time(12), "noon"),
        (time(12, 30), "half past twelve in the afternoon"),
        (time(14, 15), "a quarter past two in the afternoon"),
        (time(16, 45), "a quarter to five in the afternoon"),
        (time(18), "six in the evening"),
    ],
)
def test_times_are_said_the_way_people_say_them(at: time, said: str) -> None:
    assert spoken.clock(at) == said


def test_numbers_and_dates_are_words() -> None:
    assert spoken.money(95) == "ninety-five dollars"
    assert spoken.number(280) == "two hundred and eighty"
    assert [spoken.ordinal(n) for n in (1, 12, 20, 21, 30)] == [
        *("first", "twelfth", "twentieth", "twenty-first", "thirtieth")
    ]
    assert spoken.on_day(MONDAY + timedelta(days=3), MONDAY) == "on Thursday"
    assert spoken.on_day(MONDAY + timedelta(days=10), MONDAY) == "on Thursday the twelfth"
    with pytest.raises(ValueError, match="not between"):
        spoken.number(1000)


@given(st.integers(0, 999))
def test_no_number_is_said_with_digits(value: int) -> None:
    assert not any(char.isdigit() for char in spoken.number(value))


@given(DAYS)
def test_every_opening_lies_in_opening_hours_after_today(today: date) -> None:
    slots = list(Calendar(today).openings())
    assert slots == sorted(slots)
    assert slots
    for slot in slots:
        hours = desk.hours_on(slot.day)
        assert hours is not None
        assert hours.opens <= slot.at < hours.closes
        assert slot.day > today


@given(DAYS, st.data())
def test_a_slot_is_kept_once_and_freed_by_cancelling(today: date, data: st.DataObject) -> None:
    calendar = Calendar(today)
    slot = data.draw(st.sampled_from(list(calendar.openings())))
    appointment = calendar.book(slot, Treatment.CLEANING)
    assert appointment is not None
    assert calendar.book(slot) is None
    assert slot not in list(calendar.openings())
    assert calendar.cancel(appointment)
    assert not calendar.cancel(appointment)
    assert slot in list(calendar.openings())


def test_moving_to_a_taken_slot_changes_nothing() -> None:
    calendar = Calendar(MONDAY)
    first, second = islice(calendar.openings(), 2)
    kept = calendar.book(first)
    assert kept is not None
    assert calendar.book(second) is not None
    assert calendar.move(kept, second) is None
    assert not calendar.is_free(first)
    third = next(iter(calendar.openings()))
    assert calendar.move(kept, third) == desk.Appointment(third)
    assert calendar.is_free(first)


def test_nothing_is_booked_today_on_a_closed_day_or_beyond_the_calendar() -> None:
    calendar = Calendar(MONDAY)
    for days in (0, 6, 200):
        assert calendar.book(Slot(MONDAY + timedelta(days=days), time(9))) is None


def test_results_become_short_sentences() -> None:
    saturday, sunday = MONDAY + timedelta(days=5), MONDAY + timedelta(days=6)
    assert desk.say_hours(saturday, MONDAY) == (
        "We are open on Saturday from nine in the morning until one in the afternoon."
    )
    assert desk.say_hours(sunday, MONDAY) == "We are closed on Sunday."
    assert desk.say_price(Treatment.EXTRACTION) == "An extraction costs one hundred and eighty dollars."
    assert desk.say_openings([], MONDAY).startswith("I am afraid")


@pytest.mark.parametrize(
    ("said", "slots"),
    [
        ("Thursday afternoon, please.", Slots(weekday=3, part="afternoon")),
        ("on tuesday no on friday", Slots(weekday=4)),
        ("the day after tomorrow at ten thirty", Slots(ahead=2, at=time(10, 30))),
        ("tomorrow at half past nine", Slots(ahead=1, at=time(9, 30))),
        ("at 3 p.m. on Monday", Slots(weekday=0, at=time(15))),
        ("after four", Slots(not_before=time(16))),
        ("before noon", Slots(part="morning")),
        ("sometime next week", Slots(next_week=True)),
        ("how much is a clean in", Slots(treatment=Treatment.CLEANING)),
        ("a check up or no a filling", Slots(treatment=Treatment.FILLING)),
        ("do you have anything earlier", Slots(shift="earlier")),
        ("one of my friends told me about you", Slots()),
    ],
)
def test_slots_are_read_from_recognisers_words(said: str, slots: Slots) -> None:
    assert read_slots(plain(said)) == slots


def test_the_last_word_wins_and_the_rest_stays() -> None:
    both = read_slots("tuesday morning for a cleaning").then(read_slots("no thursday"))
    assert both == Slots(weekday=3, part="morning", treatment=Treatment.CLEANING)


def test_weekdays_mean_the_next_one_and_next_week_the_one_after() -> None:
    wednesday = date(2026, 3, 4)
    assert Slots(weekday=2).day(wednesday) == date(2026, 3, 11)
    assert Slots(weekday=4).day(wednesday) == date(2026, 3, 6)
    assert Slots(weekday=4, next_week=True).day(wednesday) == date(2026, 3, 13)
    assert Slots(weekday=0, next_week=True).day(wednesday) == date(2026, 3, 9)
    assert Slots(next_week=True).when(wednesday) == When(since=date(2026, 3, 9))


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    read_slots(plain(text)).when(MONDAY)
