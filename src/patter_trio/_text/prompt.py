"""The instructions of a model: variables filled in, and what it must know about telephones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["GO_ON", "PHONE_PREAMBLE", "call_variables", "fill", "system_message"]

PHONE_PREAMBLE = (
    "You are on the telephone with a caller, and everything you write is read aloud to them. "
    "Answer in one or two short sentences unless they ask for more. "
    "Write as people speak: no lists, no markup, no emoji, no links. "
    "What the caller said comes from a speech recogniser and may hold mistakes; ask when you are not sure."
)

GO_ON = "(The caller made a sound but said no words. Go on with your answer from where you stopped.)"

_PLACE = re.compile(r"\{([^{}]+)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

# Parameters come from carriers and forms: room for an address, none for a second prompt.
_LONGEST_PARAMETER = 500


def fill(template: str, variables: Mapping[str, Any]) -> str:
    """Puts values in the place of ``{name}``; a place whose name has no value stays as it is.

    No places are looked for inside a value.
    """
    return _PLACE.sub(lambda place: str(variables.get(place[1], place[0])), template)


def call_variables(variables: Mapping[str, Any], custom_params: Mapping[str, str]) -> dict[str, Any]:
    """The variables of one call: the agent's own, and over them the parameters that came with the call.

    A parameter was written by somebody else: it becomes one line of at most 500 characters.
    """
    params = {name: _CONTROL.sub(" ", str(value)) for name, value in custom_params.items()}
    return {**variables, **{name: value.strip()[:_LONGEST_PARAMETER] for name, value in params.items()}}


def system_message(
    system_prompt: str, variables: Mapping[str, Any], *sections: str, phone_preamble: bool = True
) -> str:
    """The system message of a call: what telephones ask for, the prompt with its variables, the sections.

    ``sections`` are taken as they are, such as those of skills and hand-offs; empty ones are left out.
    """
    parts = [PHONE_PREAMBLE if phone_preamble else "", fill(system_prompt, variables), *sections]
    return "\n\n".join(part for part in parts if part)
