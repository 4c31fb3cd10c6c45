"""Checks of language-model settings, made when they are written down; each raises PatterConfigError."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Attribute

from .._net.http import is_web_address
from ..errors import PatterConfigError

__all__ = [
    "Check",
    "check_address",
    "check_header",
    "check_mapping",
    "check_name",
    "flag",
    "listed_texts",
    "mapping_or",
    "number",
    "optional",
    "seconds",
    "stripped",
    "texts",
    "whole",
]

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


def listed_texts(_: Any, attribute: Attribute[Any], value: Any) -> None:
    """Any number of texts, as a list or a tuple."""
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) and text for text in value):
        raise _refuse(attribute, value, "a list of texts")


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def mapping_or(*kinds: type) -> Check:
    """A mapping of names to values, or a value of one of ``kinds``."""
    names = "".join(f" or {kind.__name__}" for kind in kinds)

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if not (_is_mapping(value) or isinstance(value, kinds)) or value == "":
            raise _refuse(attribute, value, f"a mapping of names to values{names}")

    return check


# --- of what is found elsewhere, or only sometimes asked for ------------------------------------------------


def stripped(value: Any) -> Any:
    """A key without the end of line of its file; in a header that would be refused, and shown."""
    return value.strip() if isinstance(value, str) else value


def check_header(name: str, value: object) -> None:
    """A secret that can stand in a header; it is never shown."""
    if not isinstance(value, str):
        raise PatterConfigError(f"{name}= must be text, not {type(value).__name__}")
    if not (value.isascii() and value.isprintable()):
        raise PatterConfigError(f"{name}= holds characters that a header cannot carry")


def check_address(name: str, url: object, hint: str) -> None:
    """A web address."""
    if not isinstance(url, str) or not is_web_address(url):
        raise PatterConfigError(f"{name}={url!r} is not a web address", hint=hint)


def check_name(name: str, value: object, hint: str) -> None:
    """A name of a model, a project or a place: text that can stand in an address."""
    if not isinstance(value, str) or not value:
        raise PatterConfigError(f"{name}= is missing", hint=hint)
    if not all(sign.isalnum() or sign in "-_.:/@" for sign in value) or ".." in value:
        raise PatterConfigError(f"{name}={value!r} is no such name", hint=hint)


def check_mapping(name: str, value: object) -> None:
    """A mapping inside another one."""
    if not _is_mapping(value):
        raise PatterConfigError(f"{name}= must be a mapping of names to values, not {type(value).__name__}")
