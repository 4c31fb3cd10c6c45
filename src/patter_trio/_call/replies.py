"""What a model or the user's function is asked, for the answers of one call."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from .._turns.history import History
from ..abc import LLMProvider
from ..events import CallInfo, Message
from .agent import Agent
from .control import CallControl
from .hooking import CallHooks
from .persona import Persona
from .scripts import Hedge, Question, function_script, model_script
from .toolbox import Toolbox
from .turn import Script, Turn

__all__ = ["Replies"]


@attrs.define(eq=False)
class Replies:
    """Where the answers of one call come from.

    ``agent`` is the one that answered the call: its model, or its function, speaks for all that take over.
    """

    info: CallInfo
    agent: Agent
    persona: Persona
    history: History
    control: CallControl
    hooks: CallHooks
    toolbox: Toolbox

    def script(self, turn: Turn, question: str, message: str, told: str = "") -> Script:
        """An answer: a function gets the caller's question, a model the message.

        ``told`` is the part of the function's answer that was heard already.
        """
        script = self._script(turn, question, message, told)
        return attrs.evolve(script, deltas=self.hooks.around_deltas(script.deltas))

    def _script(self, turn: Turn, question: str, message: str, told: str) -> Script:
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
        conversation = [*self.history.messages(), {"role": "user", "content": message}]

        async def messages(done: Sequence[Message]) -> Sequence[Message]:
            system = {"role": "system", "content": self.persona.system_message()}
            return await self.hooks.messages([system, *conversation, *done])

        asked = Question(self.info.call_id, messages, self.toolbox, self._hedge(agent.llm))
        return model_script(agent.llm, asked, turn)

    def _hedge(self, llm: LLMProvider) -> Hedge | None:
        if self.agent.hedge_after_ms is None:
            return None
        second = self.agent.hedge_llm
        return Hedge(second if isinstance(second, LLMProvider) else llm, self.agent.hedge_after_ms / 1000)
