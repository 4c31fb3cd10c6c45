"""How what is written is read aloud, where the voices' own rules read it wrong. English. Pure.

Both voices read plain numbers, prices, times, dates, percentages and common abbreviations themselves. What
they do not: ranges of prices, times and weekdays, telephone numbers with brackets, addresses on the net.
"""

from __future__ import annotations

import re

__all__ = ["read_aloud"]

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DAYS = {
    day[:3]: day for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
} | {"Tues": "Tuesday", "Thur": "Thursday", "Thurs": "Thursday"}

_DAY = "|".join(sorted(_DAYS, key=len, reverse=True))
_DAY_RANGE = re.compile(rf"\b({_DAY})\.?\s?[-–—]\s?({_DAY})\b\.?")
_PRICE_RANGE = re.compile(r"([$£€])(\d[\d,.]*\d|\d)\s?[-–—]\s?[$£€]?(?=\d)")
_TIME_RANGE = re.compile(
    r"(?<![\d:])(\d{1,2}:\d{2}(?:\s?[AaPp]\.?[Mm]\.?)?|\d{1,2}\s?[AaPp][Mm])\s?[-–—]\s?(?=\d)"
)
# North American numbers: a country code, an area code, seven digits in two groups.
_TELEPHONE = re.compile(r"(?<![\w.])(?:\+?1[ .-]?)?(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\w)")
_INTERNATIONAL = re.compile(r"(?<!\w)\+\d[\d ()-]{6,}\d")
_NET = re.compile(
    r"(?<![\w@.])(?:https?://)?([\w.+-]+@)?((?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov|io|co|uk|de|us))(?![\w@])",
    re.I,
)


def read_aloud(text: str) -> str:
    """``text`` with those readings written out; everything else stays as it is.

    >>> read_aloud("Call (555) 123-4567, Mon-Fri, 8:00-18:00, $90-$120.")
    'Call five five five, one two three, four five six seven, Monday to Friday, 8:00 to 18:00, $90 to $120.'
    """
    text = _DAY_RANGE.sub(lambda found: f"{_DAYS[found[1]]} to {_DAYS[found[2]]}", text)
    text = _PRICE_RANGE.sub(r"\1\2 to \1", text)
    text = _TIME_RANGE.sub(r"\1 to ", text)
    text = _NET.sub(_net_address, text)
    text = _TELEPHONE.sub(lambda found: _digit_by_digit(found[0]), text)
    return _INTERNATIONAL.sub(lambda found: _digit_by_digit(found[0]), text)


def _digit_by_digit(number: str) -> str:
    groups = [" ".join(_DIGITS[int(digit)] for digit in group) for group in re.findall(r"\d+", number)]
    return ("plus " if number.startswith("+") else "") + ", ".join(groups)


def _net_address(found: re.Match[str]) -> str:
    host = found[2].replace("www.", "w w w.") if found[2].lower().startswith("www.") else found[2]
    who = found[1][:-1].replace(".", " dot ").replace("_", " underscore ") + " at " if found[1] else ""
    return who + host.replace("-", " dash ").replace(".", " dot ")
