"""Numbers, prices, days and times in words: a voice stumbles over digits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time

__all__ = ["WEEKDAYS", "clock", "day", "listed", "money", "number", "on_day", "ordinal"]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth"} | {
    "nine": "ninth",
    "twelve": "twelfth",
}


def number(value: int) -> str:
    """A whole number in words.

    Raises:
        ValueError: the number is not between 0 and 999.
    """
    if not 0 <= value <= 999:
        raise ValueError(f"{value} is not between 0 and 999")
    if value < 20:
        return _SMALL[value]
    if value < 100:
        tens, ones = divmod(value, 10)
        return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")
    hundreds, rest = divmod(value, 100)
    return f"{_SMALL[hundreds]} hundred" + (f" and {number(rest)}" if rest else "")


def ordinal(value: int) -> str:
    """A day of the month in words: 21 is "twenty-first"."""
    head, hyphen, last = number(value).rpartition("-")
    regular = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return head + hyphen + _ORDINALS.get(last, regular)


def money(dollars: int) -> str:
    """A price in whole dollars."""
    return f"{number(dollars)} dollar{'' if dollars == 1 else 's'}"


def clock(at: time) -> str:
    """A time of day to the quarter of an hour, the way people say it: "half past nine in the morning"."""
    if (at.hour, at.minute) == (12, 0):
        return "noon"
    part = "in the morning" if at.hour < 12 else "in the afternoon" if at.hour < 17 else "in the evening"
    hour = number((at.hour - 1) % 12 + 1)
    if at.minute == 0:
        return f"{hour} {part}"
    if at.minute == 45:
        return f"a quarter to {number(at.hour % 12 + 1)} {part}"
    lead = {15: "a quarter past", 30: "half past"}.get(at.minute)
    return f"{lead} {hour} {part}" if lead else f"{hour} {number(at.minute)} {part}"


def day(which: date, today: date) -> str:
    """A day as seen from ``today``: today, tomorrow, a weekday, or from a week on with its date."""
    ahead = (which - today).days
    if ahead in (0, 1):
        return ("today", "tomorrow")[ahead]
    weekday = WEEKDAYS[which.weekday()]
    return weekday if 1 < ahead < 7 else f"{weekday} the {ordinal(which.day)}"


def on_day(which: date, today: date) -> str:
    """The same with its preposition: "tomorrow", "on Thursday"."""
    said = day(which, today)
    return said if said in ("today", "tomorrow") else f"on {said}"


def listed(parts: Sequence[str], last: str = "and") -> str:
    """Parts in a row: "one, two and three"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"
