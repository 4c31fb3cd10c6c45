"""The instructions of a model: variables filled in, and what it must know about telephones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["PHONE_PREAMBLE", "fill", "system_message"]

PHONE_PREAMBLE = (
    "You are talking to a caller on the telephone, and everything you write is read aloud. "
    "Answer in one or two short sentences unless the caller asks for more. "
    "Write words only: no lists, no markup, no emoji, no links. "
    "The caller's words come from a speech recogniser and may be slightly wrong; ask when you are not sure."
)

_PLACE = re.compile(r"\{(\w+)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")

# A value comes from a carrier or a form: long enough for an address, too short for a second prompt.
_LONGEST_VALUE = 500


def fill(template: str, variables: Mapping[str, Any]) -> str:
    """Replaces ``{name}`` by the value of that name; places without a value stay as they are.

    Values are made one line of at most 500 characters: they often come from outside.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in variables:
            return match.group(0)
        return _CONTROL.sub(" ", str(variables[name]))[:_LONGEST_VALUE]

    return _PLACE.sub(value, template)


def system_message(system_prompt: str, variables: Mapping[str, Any], *, phone_preamble: bool = True) -> str:
    """The system message of a call."""
    prompt = fill(system_prompt, variables)
    return f"{PHONE_PREAMBLE}\n\n{prompt}".strip() if phone_preamble else prompt
