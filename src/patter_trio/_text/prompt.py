"""The instructions of a model: variables filled in, and what it must know about telephones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["GO_ON", "PHONE_PREAMBLE", "fill", "system_message"]

PHONE_PREAMBLE = (
    "You are on the telephone with a caller, and everything you write is read aloud to them. "
    "Answer in one or two short sentences unless they ask for more. "
    "Write as people speak: no lists, no markup, no emoji, no links. "
    "What the caller said comes from a speech recogniser and may hold mistakes; ask when you are not sure."
)

GO_ON = "(The caller made a sound but said no words. Go on with your answer from where you stopped.)"

_PLACE = re.compile(r"\{([^{}]+)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

# Values come from carriers and forms: room for an address, none for a second prompt.
_LONGEST_VALUE = 500


def fill(template: str, variables: Mapping[str, Any]) -> str:
    """Puts values in the place of ``{name}``; a place whose name has no value stays as it is.

    A value becomes one line of at most 500 characters, and no places are looked for inside it.
    """

    def value(place: re.Match[str]) -> str:
        name = place[1]
        return _CONTROL.sub(" ", str(variables[name]))[:_LONGEST_VALUE] if name in variables else place[0]

    return _PLACE.sub(value, template)


def system_message(system_prompt: str, variables: Mapping[str, Any], *, phone_preamble: bool = True) -> str:
    """The system message of a call: the prompt with its variables, behind what telephones ask for."""
    prompt = fill(system_prompt, variables)
    return f"{PHONE_PREAMBLE}\n\n{prompt}".strip() if phone_preamble else prompt
