"""Checks of a tunnel's settings, made when they are written down."""

from __future__ import annotations

import math
import re
from typing import Any

import attrs

from ..errors import PatterConfigError

__all__ = ["check_hostname", "check_text", "check_timeout"]

_HOST = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?(?:/[a-zA-Z0-9._~/-]*)?")


def check_hostname(given: Any) -> str:
    """A bare name; ``https://`` before it and ``/`` behind it are taken off."""
    if not isinstance(given, str):
        raise PatterConfigError(f"hostname={given!r} must be text", hint="like phone.example.com")
    name = given.removeprefix("https://").rstrip("/")
    if name and not _HOST.fullmatch(name):
        raise PatterConfigError(f"hostname={given!r} is no public name", hint="like phone.example.com")
    return name


def check_text(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Text, which may be a secret and is not shown."""
    if not isinstance(value, str):
        raise PatterConfigError(f"{attribute.name} must be text")


def check_timeout(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Seconds above 0."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value <= 0
    ):
        raise PatterConfigError(f"{attribute.name}={value!r} must be seconds above 0")
