"""What an API says about a failure, in one line that can stand in an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["one_line", "said_by"]

_LIMIT = 500


def said_by(error: Any, *kinds: str) -> str:
    """The message of an error object, with the first of the fields ``kinds`` that names what it is."""
    if not isinstance(error, Mapping) or "message" not in error:
        return one_line(str(error))
    kind = next((error[name] for name in kinds if error.get(name)), None)
    return one_line(f"{error['message']} ({kind})" if kind else str(error["message"]))


def one_line(text: str) -> str:
    """The beginning of a text, without its line ends."""
    return " ".join(text.split())[:_LIMIT]
