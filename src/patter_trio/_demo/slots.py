"""Days, times and treatments out of a sentence, by small rules over plain lower-case words.

The words come from a recogniser: no punctuation to rely on, digits or words, and near misses such as
"clean in" for "cleaning".
"""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from typing import Literal

import attrs

from .desk import DayPart, Treatment, When
from .spoken import number

__all__ = ["Slots", "plain", "read_slots"]


@attrs.frozen
class Slots:
    """What a sentence says about when and what; fields that it leaves open are ``None``.

    ``weekday`` counts from Monday = 0, ``ahead`` in days from today; ``shift`` asks for another time than
    the one on the table.
    """

    weekday: int | None = None
    ahead: int | None = None
    next_week: bool = False
    part: DayPart | None = None
    at: time | None = None
    not_before: time | None = None
    treatment: Treatment | None = None
    shift: Literal["earlier", "later"] | None = None

    @property
    def has_day(self) -> bool:
        """Whether it names a day or a week."""
        return self.weekday is not None or self.ahead is not None or self.next_week

    @property
    def has_time(self) -> bool:
        """Whether it names a time of day, wide or exact."""
        return self.part is not None or self.at is not None or self.not_before is not None

    @property
    def asks_when(self) -> bool:
        """Whether it says anything at all about when."""
        return self.has_day or self.has_time or self.shift is not None

    def then(self, later: Slots) -> Slots:
        """Both together, where the later word replaces the earlier one about the same thing."""
        day, clock = (later if later.has_day else self), (later if later.has_time else self)
        return Slots(
            weekday=day.weekday,
            ahead=day.ahead,
            next_week=day.next_week,
            part=clock.part,
            at=clock.at,
            not_before=clock.not_before,
            treatment=later.treatment or self.treatment,
            shift=later.shift or (None if later.asks_when else self.shift),
        )

    def day(self, today: date) -> date | None:
        """The one day that is meant, if it is one: the next such weekday after today."""
        if self.ahead is not None:
            return today + timedelta(days=self.ahead)
        if self.weekday is None:
            return None
        days = (self.weekday - today.weekday()) % 7 or 7
        if self.next_week and days < 7 and self.weekday > today.weekday():
            days += 7
        return today + timedelta(days=days)

    def when(self, today: date) -> When:
        """The request to the calendar."""
        day = self.day(today)
        since = today + timedelta(days=7 - today.weekday()) if self.next_week and day is None else None
        return When(day=day, since=since, part=self.part, at=self.at, not_before=self.not_before)


# --- words --------------------------------------------------------------------------------------------------

_NUMBERS = {number(value): value for value in range(1, 13)}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MISHEARD = (
    (r"\bclean(?:in|ing|in'|ings| in| inn| and)\b(?= |$)", "cleaning"),
    (r"\b(?:check|czech) up\b", "checkup"),
    (r"\bx rays?\b", "xray"),
    (r"\ba feeling\b", "a filling"),
    (r"\b(?:thurs day|thirst? ?day)\b", "thursday"),
    (r"\bwhite(?:nin|n ing|ning|n in)\b", "whitening"),
    (r"\bwidening\b", "whitening"),
    (r"\b(?:re schedule|reschedual)\b", "reschedule"),
    (r"\bappoint ment\b", "appointment"),
    (r"\bto morrow\b", "tomorrow"),
    (r"\bgood bye\b", "goodbye"),
)

_TREATMENTS: tuple[tuple[Treatment, str], ...] = (
    (Treatment.CLEANING, r"cleanings?|(?:teeth|tooth) cleaned|clean my teeth|hygienist"),
    (Treatment.CHECKUP, r"checkups?|check my teeth|examination|exam"),
    (Treatment.FILLING, r"fillings?|filled"),
    (Treatment.WHITENING, r"whitening|whiten(?:ed)?|whiter teeth|bleach(?:ing|ed)?"),
    (Treatment.EXTRACTION, r"extractions?|(?:tooth|teeth) (?:pulled|taken|removed)|pull(?:ing)? a tooth"),
    (Treatment.XRAY, r"xrays?"),
)

_HOUR = r"(?P<hour>1[0-2]|[1-9]|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + ")"
_MINUTE = r"(?P<minute>:?[0-5]\d|thirty|fifteen|forty five)"
_MERIDIEM = r"(?P<half>a ?m|p ?m)"
_EXACT = re.compile(
    rf"\b(?:(?P<lead>half past|quarter past|quarter to) {_HOUR}"
    rf"|{_HOUR.replace('hour', 'hour2')} ?{_MINUTE}(?: {_MERIDIEM})?"
    rf"|{_HOUR.replace('hour', 'hour3')} ?(?:o ?clock|{_MERIDIEM.replace('half', 'half2')}))\b"
)
_CUED = re.compile(rf"\b(?:at|around|about|by|after|before|past) {_HOUR}\b")
_MINUTES = {"thirty": 30, "fifteen": 15, "forty five": 45}


def plain(text: str) -> str:
    """Lower case, no punctuation, single spaces, the recogniser's usual near misses put right."""
    words = re.sub(r"[’']", "", text.lower())
    words = re.sub(r"\b([ap])\.\s?m\.?(?=\W|$)", r"\1m", words)
    words = re.sub(r"[^a-z0-9:]+", " ", words).strip()
    for pattern, said in _MISHEARD:
        words = re.sub(pattern, said, words)
    return words


def read_slots(words: str) -> Slots:
    """What :func:`plain` words say; of two days, times or treatments the last one counts."""
    at, not_before, part = _clock_in(words)
    return Slots(
        weekday=_last_weekday(words),
        ahead=_days_ahead(words),
        next_week=bool(re.search(r"\b(next week|week after)\b", words)) or bool(_NEXT_DAY.search(words)),
        part=part or _part_in(words),
        at=at,
        not_before=not_before,
        treatment=_last_treatment(words),
        shift=_shift_in(words),
    )


_NEXT_DAY = re.compile(rf"\bnext (?:{'|'.join(_DAYS)})\b")


def _last_weekday(words: str) -> int | None:
    found = re.findall(rf"\b({'|'.join(_DAYS)})s?\b", words)
    return _DAYS.index(found[-1]) if found else None


def _days_ahead(words: str) -> int | None:
    found = re.findall(r"\b(day after tomorrow|tomorrow|today|tonight|this afternoon|this morning)\b", words)
    return {"day after tomorrow": 2, "tomorrow": 1}.get(found[-1], 0) if found else None


def _last_treatment(words: str) -> Treatment | None:
    last = max(
        ((match.start(), treatment) for treatment, said in _TREATMENTS for match in _whole(said, words)),
        default=None,
    )
    return last[1] if last else None


def _whole(pattern: str, words: str) -> list[re.Match[str]]:
    return list(re.finditer(rf"\b(?:{pattern})\b", words))


def _part_in(words: str) -> DayPart | None:
    found = re.findall(
        r"\b(morning|afternoon|lunch ?time|noon|evening|tonight|after work|end of the day)\b", words
    )
    if not found:
        return None
    word = found[-1]
    if word == "morning":
        return "morning"
    return "afternoon" if word.startswith("lunch") or word in ("afternoon", "noon") else "evening"


def _shift_in(words: str) -> Literal["earlier", "later"] | None:
    if re.search(r"\b(earlier|sooner)\b", words):
        return "earlier"
    return "later" if re.search(r"\b(later)\b", words) and "see you later" not in words else None


def _clock_in(words: str) -> tuple[time | None, time | None, DayPart | None]:
    """The exact time, the earliest time, or (from "before noon") the part of the day."""
    if re.search(r"\bbefore (noon|lunch|midday)\b", words):
        return None, None, "morning"
    if re.search(r"\bafter (noon|lunch|midday)\b", words):
        return None, None, "afternoon"
    matches = list(_EXACT.finditer(words)) or list(_CUED.finditer(words))
    if not matches:
        return None, None, None
    match = matches[-1]
    said: dict[str, str | None] = dict.fromkeys(("lead", "minute", "half", "half2")) | match.groupdict()
    word = said.get("hour") or said.get("hour2") or said.get("hour3") or ""
    hour = _NUMBERS.get(word) or int(word)
    minute = {None: 0, "half past": 30, "quarter past": 15, "quarter to": -15}[said["lead"]]
    if said["minute"]:
        minute = _MINUTES.get(said["minute"]) or int(said["minute"].lstrip(":"))
    half = (said["half"] or said["half2"] or "").replace(" ", "")
    # The desk opens at eight: "at three" is the afternoon, "at nine" the morning.
    if half == "pm" or (not half and hour < 8):
        hour = hour % 12 + 12
    elif half == "am":
        hour %= 12
    total = max(0, hour * 60 + minute)
    at = time(total // 60 % 24, total % 60)
    before = words[: match.start()].split()[-1:] + match.group().split()[:1]
    if "after" in before:
        return None, at, None
    return (None, None, "morning" if at.hour <= 12 else None) if "before" in before else (at, None, None)
