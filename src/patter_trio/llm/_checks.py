"""Checks of language-model settings, made when they are written down; each raises PatterConfigError."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Attribute

from ..errors import PatterConfigError

__all__ = ["Check", "flag", "mapping_or", "number", "optional", "seconds", "texts", "whole"]

Check = Callable[[Any, "Attribute[Any]", Any], None]


def _refuse(attribute: Attribute[Any], value: Any, what: str) -> PatterConfigError:
    return PatterConfigError(f"{attribute.name}={value!r} must be {what}")


def optional(check: Check) -> Check:
    """What ``check`` allows, or None."""

    def checked(settings: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is not None:
            check(settings, attribute, value)

    return checked


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(least: float, most: float) -> Check:
    """A number from ``least`` to ``most``."""

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if not _is_number(value) or not least <= value <= most:
            raise _refuse(attribute, value, f"a number from {least:g} to {most:g}")

    return check


def whole(least: float) -> Check:
    """A whole number of at least ``least``."""

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise _refuse(attribute, value, f"a whole number of at least {least:g}")

    return check


def seconds(_: Any, attribute: Attribute[Any], value: Any) -> None:
    """A time above 0."""
    if not _is_number(value) or not value > 0:
        raise _refuse(attribute, value, "seconds above 0")


def flag(_: Any, attribute: Attribute[Any], value: Any) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise _refuse(attribute, value, "True or False")


def texts(_: Any, attribute: Attribute[Any], value: Any) -> None:
    """A text, or several."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, Sequence) or not all(isinstance(text, str) and text for text in listed):
        raise _refuse(attribute, value, "a text, or a sequence of texts")


def mapping_or(*kinds: type) -> Check:
    """A mapping, or a value of one of ``kinds``."""
    names = "".join(f" or {kind.__name__}" for kind in kinds)

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if not isinstance(value, (Mapping, *kinds)) or value == "":
            raise _refuse(attribute, value, f"a mapping{names}")

    return check
