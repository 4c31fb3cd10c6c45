"""Checks of recognisers' settings: those of the language models', and a few more."""

from __future__ import annotations

from typing import Any

from attrs import Attribute

from ..errors import PatterConfigError
from ..llm._checks import (
    Check,
    check_header,
    flag,
    listed_texts,
    number,
    optional,
    seconds,
    stripped,
    texts,
    whole,
)

__all__ = [
    "as_tuple",
    "between",
    "check_header",
    "flag",
    "listed_texts",
    "number",
    "one_of",
    "optional",
    "seconds",
    "stripped",
    "texts",
    "whole",
]


def as_tuple(value: Any) -> Any:
    """A text as the only one, a list as a tuple; anything else is left to the checks."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def between(least: int, most: int) -> Check:
    """A whole number from ``least`` to ``most``."""

    def check(settings: Any, attribute: Attribute[Any], value: Any) -> None:
        whole(least)(settings, attribute, value)
        number(least, most)(settings, attribute, value)

    return check


def one_of(*allowed: str) -> Check:
    """One of these texts."""

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if value not in allowed:
            raise PatterConfigError(f"{attribute.name}={value!r} must be one of {', '.join(allowed)}")

    return check
