"""The tools of one call, and what becomes of them when the caller interrupts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Literal

import attrs
import trio

from .._actors.channels import Level
from .._actors.observe import Reporter
from .._text.handoffs import HANDOFF_TO, handoff_parameters
from .._text.skills import USE_SKILL, use_skill_parameters
from .._tools.contracts import Progress, ToolCall, ToolContext, ToolExecutor, ToolOutcome
from .._tools.definition import Tool, define_tool, tool
from .._tools.execute import DefaultToolExecutor
from .._turns.history import UsedTool
from ..errors import PatterConfigError, ProviderError
from .control import CallControl
from .persona import Persona
from .turn import Turn

__all__ = ["MoreTools", "Toolbox"]

_log = logging.getLogger("patter_trio.call")

MoreTools = Callable[[Collection[str]], AbstractAsyncContextManager[list[Tool]]]
"""Opens the tools that belong to one call, given the names that are taken: those of MCP servers."""

# A first answer waits so long for tools that are still being connected; the greeting plays meanwhile.
_READY_SECONDS = 10.0

# Sixty-four keys and pauses at their slowest, behind what was just said.
_KEYS_SECONDS = 80.0
# What the carrier takes to answer, behind what was just said.
_TRANSFER_SECONDS = 30.0


@attrs.define(eq=False)
class _Running:
    """A tool that finishes whatever becomes of its turn."""

    call: ToolCall
    turn: Turn
    done: trio.Event = attrs.field(factory=trio.Event)
    outcome: ToolOutcome | None = None
    left: bool = False


class Toolbox:
    """What the model of one call may do.

    Args:
        persona: who speaks: their tools, skills and hand-offs.
        more: opens the tools that are connected for this call alone.
    """

    def __init__(
        self,
        persona: Persona,
        control: CallControl,
        report: Reporter,
        more: MoreTools | None = None,
    ) -> None:
        self._persona = persona
        self._control = control
        self._report = report
        self._more = more
        self._connected: list[Tool] = []
        self._ready = Level(more is None)
        self._to_finish, self._finishing = trio.open_memory_channel[_Running](0)
        info = persona.info
        self._context = ToolContext(info.call_id, info.caller, info.callee, control)
        self._answering = persona.agent
        self._made_for: tuple[object, int] | None = None
        self._executor: ToolExecutor = DefaultToolExecutor()
        self._transfer: Tool | None = None
        self._remember: Callable[[Turn, UsedTool], None] = lambda turn, used: None

    def tell(self, remember: Callable[[Turn, UsedTool], None]) -> None:
        """Who is told of a tool that has finished after its turn was cut."""
        self._remember = remember

    async def run(self) -> None:
        """Keeps the call's own tools connected, and finishes what must not be left half done."""
        async with trio.open_nursery() as nursery:
            if self._more is not None:
                nursery.start_soon(self._connect, self._more)
            async for running in self._finishing:
                nursery.start_soon(self._finish, running)

    async def _connect(self, more: MoreTools) -> None:
        taken = [*self._own_names(), *(built_in.name for built_in in self._built_in())]
        try:
            async with more(taken) as self._connected:
                self._ready.set(True)
                await trio.sleep_forever()
        except PatterConfigError as error:
            # A clash of names shows only now; the call does without the server's tools.
            _log.error("call %s: %s", self._context.call_id, error)
            self._ready.set(True)

    def _own_names(self) -> list[str]:
        executor = self._persona.agent.tool_executor
        return list(executor.tools) if executor is not None else []

    # --- what there is --------------------------------------------------------------------------------------

    async def executor(self) -> ToolExecutor:
        """What carries out the tools of whoever speaks; waits for those that are being connected."""
        with trio.move_on_after(_READY_SECONDS):
            await self._ready.wait_for(bool)
        made_for = (self._persona.agent, len(self._connected))
        if self._made_for != made_for:
            self._made_for = made_for
            self._executor = self._assemble()
        return self._executor

    def _assemble(self) -> ToolExecutor:
        agent = self._persona.agent
        own = agent.tool_executor or DefaultToolExecutor(agent.tools)
        more = [built_in for built_in in self._built_in() if built_in.name not in own.tools]
        if agent is self._answering:
            more += self._connected
        return own.including(more) if more else own

    def _built_in(self) -> list[Tool]:
        agent, found = self._persona.agent, list[Tool]()
        if agent.builtin_tools:
            found += [self._end_call(), self._send_dtmf()]
            if self._control.can_transfer:
                found.append(self._transfer_call())
        if agent.handoffs:
            found.append(self._handoff_to())
        if agent.skills:
            found.append(self._use_skill())
        return found

    def _end_call(self) -> Tool:
        async def end_call(reason: str = "") -> str:
            """Ends the telephone call after your next words. Say goodbye in them.

            Args:
                reason: why the call is over.
            """
            await self._control.hangup()
            return "The call ends after your next words."

        return tool(end_call)

    def _send_dtmf(self) -> Tool:
        async def send_dtmf(digits: str) -> str:
            """Presses keys of the telephone, for a machine at the other end that asks for them.

            Args:
                digits: 0-9, * and #; w waits for half a second, W for a second.
            """
            await self._control.send_dtmf(digits)
            return f"Pressed {digits}."

        return tool(irreversible=True, timeout_s=_KEYS_SECONDS)(send_dtmf)

    def _transfer_call(self) -> Tool:
        async def transfer_call(
            number: str, mode: Literal["cold", "warm"] = "cold", summary: str = ""
        ) -> str:
            """Connects the caller to another telephone number; you leave the call.

            Args:
                number: the number in international form, such as +15550001234.
                mode: cold connects at once; with warm the caller waits while the other side is told the
                    summary.
                summary: what the other side should know, in a sentence or two.
            """
            await self._control.transfer(number, mode=mode, summary=summary)
            return f"The caller is being connected to {number}."

        made = tool(irreversible=True, on_barge_in="finish", timeout_s=_TRANSFER_SECONDS)
        self._transfer = made(transfer_call)
        return self._transfer

    def _handoff_to(self) -> Tool:
        async def handoff(arguments: dict[str, str], context: object) -> str:
            self._persona.hand_over(arguments["name"], arguments["reason"])
            return f"{arguments['name']} has the call now."

        names = list(self._persona.agent.handoffs)
        return define_tool(HANDOFF_TO, "Gives the call to a colleague.", handoff_parameters(names), handoff)

    def _use_skill(self) -> Tool:
        async def use_skill(arguments: dict[str, str], context: object) -> str:
            self._persona.open_skill(arguments["skill_name"])
            return "Its instructions stand in your prompt now."

        parameters = use_skill_parameters(self._persona.agent.skills)
        return define_tool(USE_SKILL, "Opens the instructions of a skill.", parameters, use_skill)

    # --- using it -------------------------------------------------------------------------------------------

    async def use(
        self, calls: Sequence[ToolCall], executor: ToolExecutor, turn: Turn, used: list[UsedTool]
    ) -> None:
        """Carries out the calls of one message side by side; what is done is in ``used``, in their order.

        Also when the turn is cancelled meanwhile: of the calls that were done by then.
        """
        outcomes: dict[int, ToolOutcome] = {}

        async def one(number: int, call: ToolCall) -> None:
            await self._use_one(call, executor, turn, partial(outcomes.__setitem__, number))

        try:
            async with trio.open_nursery() as nursery:
                for number, call in enumerate(calls):
                    nursery.start_soon(one, number, call)
        finally:
            used += [_used(calls[number], outcomes[number]) for number in sorted(outcomes)]

    async def _use_one(
        self, call: ToolCall, executor: ToolExecutor, turn: Turn, note: Callable[[ToolOutcome], None]
    ) -> None:
        known = executor.tools.get(call.name)
        if known is not None and known.irreversible:
            await turn.committed.wait_for(bool)
        if known is self._transfer:
            # It takes the line away: what the agent says about it must have been heard.
            await turn.wait_said()
        turn.tell(lambda: self._report.tool_started(turn.idx, call.name, call.arguments))
        async with trio.open_nursery() as nursery:
            if known is not None and known.reassurance is not None:
                reassurance = known.reassurance
                nursery.start_soon(_reassure, turn, reassurance.message, reassurance.after_ms / 1000)
            if known is not None and known.on_barge_in == "finish":
                outcome = await self._see_through(call, turn)
            else:
                (outcome,) = await executor.execute_all([call], self._context, progress=_speak(turn))
            # At once: who is cancelled from here on has done it all the same.
            note(outcome)
            turn.tell(lambda: self._report.tool_finished(turn.idx, outcome))
            nursery.cancel_scope.cancel()

    async def _see_through(self, call: ToolCall, turn: Turn) -> ToolOutcome:
        """Has a tool finish in the call's own time; whoever waits here may be cancelled."""
        running = _Running(call, turn)
        await self._to_finish.send(running)
        try:
            await running.done.wait()
        except trio.Cancelled:
            running.left = True
            if running.outcome is not None:
                # It was done in this very moment.
                self._tell_of(running, running.outcome)
            raise
        if running.outcome is None:
            raise ProviderError(f"{call.name} did not finish")
        return running.outcome

    async def _finish(self, running: _Running) -> None:
        executor = self._executor
        (running.outcome,) = await executor.execute_all([running.call], self._context)
        running.done.set()
        if running.left:
            self._tell_of(running, running.outcome)

    def _tell_of(self, running: _Running, outcome: ToolOutcome) -> None:
        """The turn of a tool was cut before it had the outcome: the conversation is told all the same."""
        self._report.tool_finished(running.turn.idx, outcome)
        self._remember(running.turn, _used(running.call, outcome))


async def _reassure(turn: Turn, message: str, after: float) -> None:
    await trio.sleep(after)
    await turn.interject(message)


def _speak(turn: Turn) -> Progress:
    async def progress(call: ToolCall, said: str) -> None:
        await turn.interject(said)

    return progress


def _used(call: ToolCall, outcome: ToolOutcome) -> UsedTool:
    return UsedTool(call.id, call.name, call.arguments, outcome.content)
