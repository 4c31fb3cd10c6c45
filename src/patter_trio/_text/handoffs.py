"""Hand-offs: what the agent that gives a call away is told, and the one that takes it over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import PatterConfigError
from .names import check_name

__all__ = ["HANDOFF_TO", "check_handoffs", "handoff_parameters", "handoffs_section", "taken_over"]

HANDOFF_TO = "handoff_to"
"""The name of the tool with which a model gives the call to another agent."""

_LONGEST_REASON = 500


def check_handoffs(names: Iterable[Any], tool_names: Iterable[str] = ()) -> None:
    """Checks the names under which other agents can take over.

    Raises:
        PatterConfigError: a name is not of that form, or a tool of the user has the name of the tool that
            hands over.
    """
    checked = list(names)
    for name in checked:
        check_name("an agent that takes over", name)
    if checked and HANDOFF_TO in tool_names:
        raise PatterConfigError(
            f"a tool is called {HANDOFF_TO!r}, and so is the one that hands over", hint="rename your tool"
        )


def handoffs_section(agents: Mapping[str, str]) -> str:
    """The part of the prompt that says who can take over; empty without anybody.

    Args:
        agents: names, each with a sentence about what that agent is for, or with nothing.
    """
    if not agents:
        return ""
    lines = (
        f"- {name}: {' '.join(what.split())}" if what.strip() else f"- {name}"
        for name, what in agents.items()
    )
    return "\n".join(
        [
            "# Colleagues",
            f"When one of them is right for what the caller wants, say so and give them the call with "
            f"{HANDOFF_TO}:",
            *lines,
        ]
    )


def handoff_parameters(names: Iterable[str]) -> dict[str, Any]:
    """The JSON schema of the arguments of :data:`HANDOFF_TO`."""
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": list(names), "description": "Who takes over."},
            "reason": {
                "type": "string",
                "description": "What the caller wants and what you know already, in one or two sentences.",
            },
        },
        "required": ["name", "reason"],
        "additionalProperties": False,
    }


def taken_over(name: str, reason: str) -> str:
    """The part of the prompt that tells an agent that the call is now its own.

    The reason was written by a model that listens to a caller: it stays one line and cannot begin a section.
    """
    why = " ".join(reason.split())[:_LONGEST_REASON]
    return "\n".join(
        [
            "# The call so far",
            f"A colleague has just given you this call; you take it over as {name}. What was said before "
            "stands in the conversation. Do not greet again, and do not ask for what is known.",
            *([f"The reason they gave: {why}"] if why else []),
        ]
    )
