"""How long an API asks to be left alone, as its headers say.

``retry-after-ms`` and ``retry-after`` are plain numbers. A window of requests or tokens is told by a pair of
``x-ratelimit-remaining-WINDOW`` and ``x-ratelimit-reset-WINDOW``; its reset is written as Go writes durations
(``2m59.56s``, ``300ms``: OpenAI, Groq) or as bare seconds (``11.38``: Cerebras).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

__all__ = ["parse_duration", "seconds_to_wait"]

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = r"(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|h|m|s)"
_DURATION = re.compile(f"(?:{_PART})+")
_PARTS = re.compile(_PART)
_REMAINING = "x-ratelimit-remaining-"
_RESET = "x-ratelimit-reset-"


def parse_duration(text: str) -> float | None:
    """Seconds, from a Go duration or a bare number; ``None`` for anything else, and for what is below 0."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(text))
    return _number(text)


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """How long to wait before the next request; ``None`` where the headers do not say.

    The longest of what is asked for and of the resets of the windows that are used up: a window that still
    has room does not hold anybody back.
    """
    asked = _number(headers.get("retry-after-ms", ""))
    waits = [asked / 1000 if asked is not None else _number(headers.get("retry-after", ""))]
    for name, left in headers.items():
        if name.lower().startswith(_REMAINING) and _number(left) == 0:
            waits.append(parse_duration(headers.get(_RESET + name[len(_REMAINING) :], "")))
    known = [wait for wait in waits if wait is not None]
    return max(known) if known else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:  # a date, or nothing
        return None
    return number if math.isfinite(number) and number >= 0 else None
