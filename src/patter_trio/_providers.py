"""The providers of a session: each is opened once, held open, and shared by all calls."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Any

import attrs
import trio

from ._call.agent import Agent
from ._foreign import foreign
from .abc import Opens
from .errors import PatterError, ProviderError
from .llm.custom import CustomLLM
from .tools import DefaultToolExecutor, ToolExecutor, ToolWebhooks

__all__ = ["Providers"]

_log = logging.getLogger("patter_trio.session")

# Agents whose tools are remembered: those that a session has at a time, and some.
_EXECUTORS = 256


class Providers:
    """Opens what settings describe, in the session's nursery, and makes agents that can take calls of it."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._live: dict[int, tuple[Any, Any]] = {}
        self._executors: OrderedDict[int, tuple[Agent, ToolExecutor]] = OrderedDict()
        self._webhooks = ToolWebhooks()
        self._addresses: dict[str, CustomLLM] = {}
        self._opening = trio.Lock()

    async def live_agent(self, agent: Agent) -> Agent:
        """The agent with its providers opened; each provider is opened once per session."""
        async with self._opening:
            return await self._enliven(agent)

    async def _enliven(self, agent: Agent) -> Agent:
        return attrs.evolve(
            agent,
            engine=await self.open(agent.engine),
            stt=await self.open(agent.stt),
            llm=await self.open(agent.llm),
            tts=await self.open(agent.tts),
            vad=await self.open(agent.vad),
            audio_filter=await self.open(agent.audio_filter),
            turn_detector=await self.open(agent.turn_detector),
            hedge_llm=await self.open(agent.hedge_llm),
            on_message=await self._answering(agent.on_message),
            tools=(),
            tool_executor=await self._executor_of(agent),
            handoffs={name: await self._colleague(other) for name, other in agent.handoffs.items()},
        )

    async def _answering(self, on_message: Any) -> Any:
        """The function that answers in place of a model; an address becomes one."""
        if isinstance(on_message, str):
            on_message = self._addresses.setdefault(on_message, CustomLLM(on_message))
        if isinstance(on_message, CustomLLM):
            return (await self.open(on_message)).answer
        return on_message

    async def _colleague(self, agent: Agent) -> Agent:
        """An agent that may take over: it brings its tools and uses the ears and voice there are."""
        return attrs.evolve(
            agent,
            engine=None,
            stt=None,
            llm=None,
            tts=None,
            vad=None,
            tools=(),
            tool_executor=await self._executor_of(agent),
            handoffs={name: await self._colleague(other) for name, other in agent.handoffs.items()},
        )

    async def _executor_of(self, agent: Agent) -> ToolExecutor | None:
        """What carries out an agent's tools: one for the session, for it remembers which of them fail."""
        if agent.on_message is not None:
            return None
        known = self._executors.get(id(agent))
        if known is None:
            executor = agent.tool_executor
            if executor is None:
                webhooks = None
                if any(tool.webhook_url for tool in agent.tools):
                    webhooks = await self.open(agent.tool_webhooks or self._webhooks)
                executor = DefaultToolExecutor(agent.tools, webhooks=webhooks)
            if agent.consult is not None:
                executor = executor.including((await self.open(agent.consult)).tools())
            # The agent is kept beside it, so that its id cannot be given away.
            known = self._executors[id(agent)] = (agent, executor)
            # Some make an agent for each call: what is forgotten here goes on in the calls that have it.
            while len(self._executors) > _EXECUTORS:
                self._executors.popitem(last=False)
        return known[1]

    async def open(self, provider: Any) -> Any:
        """What a provider's settings open, once for the session; the provider itself if there is nothing."""
        if provider is None or not hasattr(provider, "open"):
            return provider
        known = self._live.get(id(provider))
        if known is None:
            # The provider is kept beside what it opened, so that its id cannot be given away.
            known = (provider, await self._nursery.start(self._hold_open, provider))
            self._live[id(provider)] = known
        return known[1]

    async def _hold_open(
        self, provider: Opens[Any], *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Keeps a provider open for the session; one that breaks is opened again by the next call."""
        opened = False
        try:
            with foreign(ProviderError, type(provider).__name__):
                async with provider.open() as live:
                    opened = True
                    task_status.started(live)
                    await trio.sleep_forever()
        except ProviderError as error:
            if not opened:
                raise error.__cause__ if isinstance(error.__cause__, PatterError) else error from None
            _log.error("a provider broke, the next call opens it again: %s", error)
            self._live.pop(id(provider), None)
