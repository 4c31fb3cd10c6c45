"""Checks of what a provider's settings have in common, made when they are written down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import httpx2

from ..errors import PatterConfigError

__all__ = [
    "check_address",
    "check_key",
    "check_mapping",
    "check_name",
    "check_range",
    "check_seconds",
    "check_texts",
]


def check_address(name: str, url: object) -> None:
    """A web address.

    Raises:
        PatterConfigError: it is none.
    """
    try:
        parts = httpx2.URL(url) if isinstance(url, str) else None
    except httpx2.InvalidURL:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.host:
        raise PatterConfigError(f"{name}={url!r} is not a web address", hint="like https://api.example.com")


def check_key(name: str, key: object, hint: str) -> None:
    """A key that can stand in a header; its value is never shown.

    Raises:
        PatterConfigError: it is missing, or holds what no key has.
    """
    if not isinstance(key, str):
        raise PatterConfigError(f"{name}= must be text, not {type(key).__name__}", hint=hint)
    if not key:
        raise PatterConfigError(f"{name}= is missing", hint=hint)
    if not (key.isascii() and key.isprintable()):
        raise PatterConfigError(f"{name}= holds characters that no key has", hint=hint)


def check_name(name: str, value: object, hint: str) -> None:
    """A name of a model, a project or a place: text that can stand in an address.

    Raises:
        PatterConfigError: it is missing, or holds what no such name has.
    """
    if not isinstance(value, str) or not value:
        raise PatterConfigError(f"{name}= is missing", hint=hint)
    if not all(sign.isalnum() or sign in "-_.:/@" for sign in value) or ".." in value:
        raise PatterConfigError(f"{name}={value!r} is no such name", hint=hint)


def check_range(
    name: str, value: object, least: float, most: float = math.inf, *, whole: bool = False
) -> None:
    """A number from ``least`` to ``most``.

    Raises:
        PatterConfigError: it is none.
    """
    kind = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:
        what = "a whole number" if whole else "a number"
        span = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of at least {least:g}"
        raise PatterConfigError(f"{name}={value!r} must be {what} {span}")


def check_seconds(name: str, value: object) -> None:
    """Seconds above 0.

    Raises:
        PatterConfigError: they are none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise PatterConfigError(f"{name}={value!r} must be seconds above 0")


def check_mapping(name: str, value: object) -> None:
    """Names with values.

    Raises:
        PatterConfigError: it is none.
    """
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        given: Any = type(value).__name__
        raise PatterConfigError(f"{name}= must be a mapping of names to values, not {given}")


def check_texts(name: str, value: object) -> None:
    """A list of texts.

    Raises:
        PatterConfigError: it is none, or one of them has nothing in it.
    """
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) and text for text in value):
        raise PatterConfigError(f"{name}={value!r} must be a list of texts")
