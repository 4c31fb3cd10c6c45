"""Checks of settings, made when they are written down; each raises PatterConfigError."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from attrs import Attribute

from ..errors import PatterConfigError

__all__ = [
    "Check",
    "function_or_none",
    "mapping",
    "number",
    "number_or_none",
    "one_of",
    "text",
    "text_or_none",
]

Check = Callable[[Any, "Attribute[Any]", Any], None]


def number(least: float, *, whole: bool = False) -> Check:
    """A number of at least ``least``."""
    kind = int if whole else (int, float)

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if (
            isinstance(value, bool)
            or not isinstance(value, kind)
            or not math.isfinite(value)
            or value < least
        ):
            what = "a whole number" if whole else "a number"
            raise PatterConfigError(f"{attribute.name} must be {what} of at least {least}, not {value!r}")

    return check


def number_or_none(least: float) -> Check:
    """A number of at least ``least``, or nothing."""
    check_number = number(least)

    def check(settings: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is not None:
            check_number(settings, attribute, value)

    return check


def one_of(*names: str) -> Check:
    """One of these words."""

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if value not in names:
            raise PatterConfigError(f"{attribute.name} must be one of {', '.join(names)}, not {value!r}")

    return check


def text(_: Any, attribute: Attribute[Any], value: Any) -> None:
    """A string."""
    if not isinstance(value, str):
        raise PatterConfigError(f"{attribute.name} must be text, not {value!r}")


def text_or_none(settings: Any, attribute: Attribute[Any], value: Any) -> None:
    """A string, or nothing."""
    if value is not None:
        text(settings, attribute, value)


def function_or_none(_: Any, attribute: Attribute[Any], value: Any) -> None:
    """Something that can be called, or nothing."""
    if value is not None and not callable(value):
        raise PatterConfigError(f"{attribute.name}={value!r} is not a function")


def mapping(_: Any, attribute: Attribute[Any], value: Any) -> None:
    """Names with values."""
    if not isinstance(value, Mapping):
        raise PatterConfigError(f"{attribute.name} must be a mapping of names to values, not {value!r}")
