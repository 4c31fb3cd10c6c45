"""What a model or the user's function is asked, for the answers of one call."""

from __future__ import annotations

from typing import Any

import attrs

from .._text.prompt import system_message
from .._turns.history import History
from ..abc import LLMProvider
from ..events import CallInfo
from .agent import Agent
from .control import CallControl
from .scripts import Hedge, function_script, model_script
from .turn import Script

__all__ = ["Replies"]


@attrs.define(eq=False)
class Replies:
    """Where the answers of one call come from."""

    info: CallInfo
    agent: Agent
    history: History
    control: CallControl

    def script(self, question: str, message: str, told: str = "") -> Script:
        """An answer: a function gets the caller's question, a model the message.

        ``told`` is the part of the function's answer that was heard already.
        """
        agent = self.agent
        if agent.on_message is not None:
            event = {
                "text": question,
                "call_id": self.info.call_id,
                "caller": self.info.caller,
                "callee": self.info.callee,
                "history": self.history.transcript(),
            }
            return function_script(agent.on_message, event, self.control, told)
        assert isinstance(agent.llm, LLMProvider), "checked by Agent.require_pipeline, opened by the session"
        return model_script(agent.llm, self._messages(message), self.info.call_id, self._hedge(agent.llm))

    def _messages(self, message: str) -> list[dict[str, Any]]:
        agent = self.agent
        system = system_message(
            agent.system_prompt, agent.variables, phone_preamble=not agent.disable_phone_preamble
        )
        return [
            {"role": "system", "content": system},
            *self.history.messages(),
            {"role": "user", "content": message},
        ]

    def _hedge(self, llm: LLMProvider) -> Hedge | None:
        if self.agent.hedge_after_ms is None:
            return None
        second = self.agent.hedge_llm
        return Hedge(second if isinstance(second, LLMProvider) else llm, self.agent.hedge_after_ms / 1000)
