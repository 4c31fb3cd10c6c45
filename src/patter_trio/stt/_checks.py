"""Checks of recognisers' settings: those of the language models', and a few more."""

from __future__ import annotations

import os
from typing import Any

from attrs import Attribute

from ..errors import PatterConfigError
from ..llm._checks import (
    Check,
    check_header,
    flag,
    listed_texts,
    mapping_or,
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
    "flag",
    "found_key",
    "listed_texts",
    "mapping_or",
    "missing_key",
    "number",
    "one_of",
    "optional",
    "seconds",
    "texts",
    "whole",
]


def found_key(settings: Any) -> str:
    """The key that was given, or that of the environment, or none; it is never shown."""
    found = settings.api_key
    if found is None:
        found = next(filter(None, map(os.environ.get, settings.key_names)), "")
    found = stripped(found)
    check_header("api_key", found)
    return str(found)


def missing_key(settings: Any) -> PatterConfigError:
    """What to say where there has to be one."""
    names = " or ".join(settings.key_names)
    return PatterConfigError(
        f"{type(settings).__name__} has no API key", hint=f"set {names} or pass api_key="
    )


def as_tuple(value: Any) -> Any:
    """A text as the only one, a list as a tuple, None as no one; anything else is left to the checks."""
    if value is None:
        return ()
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
