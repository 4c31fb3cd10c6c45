"""Who speaks for the agent's side of a call at the moment: the agent that answered, or one that took over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from .._text.handoffs import handoffs_section, taken_over
from .._text.prompt import fill, system_message
from .._text.skills import Skill, open_skill, skills_section
from ..events import CallInfo
from .agent import Agent

__all__ = ["Persona"]


@attrs.define(eq=False)
class Persona:
    """The instructions and the manners of whoever speaks.

    A hand-off replaces prompt, variables, tools, guardrails, transforms, skills and hand-offs; ears, model
    and voice stay those of the agent that answered.
    """

    info: CallInfo
    agent: Agent
    _opened: list[Skill] = attrs.field(factory=list[Skill])
    _introduction: str = ""

    @property
    def variables(self) -> Mapping[str, Any]:
        """What ``{name}`` stands for, the call's own parameters included."""
        return self.agent.variables_of(self.info)

    def system_message(self) -> str:
        """What the model is told before the conversation."""
        agent, variables = self.agent, self.variables
        opened = (
            open_skill(attrs.evolve(skill, instructions=fill(skill.instructions, variables)))
            for skill in self._opened
        )
        return system_message(
            agent.system_prompt,
            variables,
            skills_section(agent.skills),
            handoffs_section({name: other.handoff_description for name, other in agent.handoffs.items()}),
            self._introduction,
            *opened,
            phone_preamble=not agent.disable_phone_preamble,
        )

    def open_skill(self, name: str) -> None:
        """From now on the model has the instructions of this skill."""
        skill = next(skill for skill in self.agent.skills if skill.name == name)
        if skill not in self._opened:
            self._opened.append(skill)

    def hand_over(self, name: str, reason: str) -> None:
        """Another agent takes the call."""
        self.agent = self.agent.handoffs[name]
        self._opened.clear()
        self._introduction = taken_over(name, reason)
