"""Skills: instructions that a model opens when a call needs them, instead of carrying all from the start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from ..errors import PatterConfigError
from .names import check_name

__all__ = ["USE_SKILL", "Skill", "check_skills", "open_skill", "skills_section", "use_skill_parameters"]

USE_SKILL = "use_skill"
"""The name of the tool with which a model opens a skill."""


def _skill_name(_: Any, __: Any, value: Any) -> None:
    check_name("a skill", value)


def _some_text(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        raise PatterConfigError(f"{attribute.name} of a skill must be text, not {value!r}")


@attrs.frozen
class Skill:
    """Something an agent can do by instructions of its own.

    The model is told names and descriptions; it gets the instructions when it opens the skill.

    Args:
        name: what the model calls it: letters, digits, ``-`` and ``_``.
        description: when to open it, in a sentence.
        instructions: what the model is told from then on; ``{name}`` is replaced from ``variables``.

    Raises:
        PatterConfigError: a value is missing, or the name is not of that form.
    """

    name: str = attrs.field(validator=_skill_name)
    description: str = attrs.field(validator=_some_text)
    instructions: str = attrs.field(validator=_some_text)


def check_skills(skills: Iterable[Any], tool_names: Iterable[str] = ()) -> tuple[Skill, ...]:
    """The skills of an agent as a tuple.

    Raises:
        PatterConfigError: one of them is no :class:`Skill`, two have one name, or a tool of the user has the
            name of the tool that opens skills.
    """
    if isinstance(skills, str | Mapping | Skill):
        raise PatterConfigError(f"skills must be a list of Skill, not {skills!r}", hint="write skills=[…]")
    found = tuple(skills)
    names: set[str] = set()
    for skill in found:
        if not isinstance(skill, Skill):
            raise PatterConfigError(f"{skill!r} is not a Skill")
        if skill.name.lower() in names:
            raise PatterConfigError(f"two skills are called {skill.name!r}", hint="rename one of them")
        names.add(skill.name.lower())
    if found and USE_SKILL in tool_names:
        raise PatterConfigError(
            f"a tool is called {USE_SKILL!r}, and so is the one that opens skills", hint="rename your tool"
        )
    return found


def skills_section(skills: Sequence[Skill]) -> str:
    """The part of the prompt that says which skills there are; empty without any."""
    if not skills:
        return ""
    lines = (f"- {skill.name}: {' '.join(skill.description.split())}" for skill in skills)
    return "\n".join(
        [
            "# Skills",
            f"You have instructions for these things. Before you do one of them, open it with {USE_SKILL}:",
            *lines,
        ]
    )


def open_skill(skill: Skill) -> str:
    """The part of the prompt that an opened skill adds."""
    return f"# Skill: {skill.name}\n{skill.instructions.strip()}"


def use_skill_parameters(skills: Sequence[Skill]) -> dict[str, Any]:
    """The JSON schema of the arguments of :data:`USE_SKILL`."""
    return {
        "type": "object",
        "properties": {
            "skill_name": {
                "type": "string",
                "enum": [skill.name for skill in skills],
                "description": "The skill to open.",
            }
        },
        "required": ["skill_name"],
        "additionalProperties": False,
    }
