"""One set of tools and one conversation, with every model: the same calls, the same results, the same words.

Each model speaks its own wire to a loopback endpoint, through its vendor's SDK where it is made of one; what
carries the tools out is the very loop that runs in a call.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from patter_trio import Agent, AnthropicLLM, GoogleLLM, tool
from patter_trio._actors.observe import Reporter, WallClock
from patter_trio._call.control import CallControl
from patter_trio._call.persona import Persona
from patter_trio._call.scripts import Question, model_script
from patter_trio._call.toolbox import Toolbox
from patter_trio._call.turn import Turn
from patter_trio._turns.latency import TurnTimes
from patter_trio._turns.ledger import Ledger
from patter_trio._turns.playout import Playout
from patter_trio.events import MULAW_8K, CallInfo, Message

from . import claude_endpoint, gemini_endpoint
from .answers import no_proxy
from .chat_endpoint import DONE, ChatEndpoint, delta, open_endpoint, says, streams
from .chat_providers import PROVIDERS

INFO = CallInfo("CA1", "+15557654321", "+15550001234")
SAID = "On Monday at eight, and it is booked."


@asynccontextmanager
async def chat(build: Callable[..., Any]) -> AsyncIterator[tuple[ChatEndpoint, Any]]:
    calls = [
        {"index": 0, "id": "a1", "function": {"name": "get_hours", "arguments": '{"day":'}},
        {"index": 1, "id": "a2", "function": {"name": "book_table", "arguments": '{"guests": 4}'}},
        {"index": 0, "function": {"arguments": ' "Monday"}'}},
    ]
    first = streams(*(delta(tool_calls=[call]) for call in calls), delta("tool_calls"), DONE)
    async with open_endpoint(first, streams(*says(SAID))) as far:
        yield far, build(far.url)


@asynccontextmanager
async def claude() -> AsyncIterator[tuple[ChatEndpoint, Any]]:
    first = streams(
        claude_endpoint.begins(),
        *claude_endpoint.called(0, "a1", "get_hours", '{"day":', ' "Monday"}'),
        *claude_endpoint.called(1, "a2", "book_table", '{"guests": 4}'),
        *claude_endpoint.ends("tool_use"),
    )
    async with claude_endpoint.open_claude(first, streams(*claude_endpoint.says(SAID))) as far:
        yield far, AnthropicLLM(base_url=far.url, api_key="sk-ant-test")


@asynccontextmanager
async def gemini() -> AsyncIterator[tuple[ChatEndpoint, Any]]:
    first = streams(
        gemini_endpoint.parts(
            gemini_endpoint.calls("get_hours", {"day": "Monday"}, id="a1"),
            gemini_endpoint.calls("book_table", {"guests": 4}, id="a2"),
            finish="STOP",
        )
    )
    async with gemini_endpoint.open_gemini(first, streams(*gemini_endpoint.says(SAID))) as far:
        yield far, GoogleLLM(base_url=far.url, api_key="AIza-test")


MODELS: dict[str, Callable[[], Any]] = {
    **{name: partial(chat, build) for name, build in PROVIDERS.items()},
    "anthropic": claude,
    "google": gemini,
}


@pytest.mark.parametrize("name", MODELS)
async def test_the_same_tools_are_called_and_the_same_is_told(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_proxy(monkeypatch)
    ran: list[tuple[str, Any]] = []

    @tool
    async def get_hours(day: str) -> str:
        """Tells the opening hours of a day."""
        ran.append(("get_hours", day))
        return "8 to 5"

    @tool
    async def book_table(guests: int) -> dict[str, int]:
        """Books a table."""
        ran.append(("book_table", guests))
        return {"number": 7}

    async with MODELS[name]() as (far, settings), settings.open() as live, trio.open_nursery() as nursery:
        agent = Agent(system_prompt="You answer for a bakery.", tools=[get_hours, book_table], llm=settings)
        report, control = Reporter("CA1", WallClock(0.0, trio.current_time())), CallControl(INFO)
        toolbox = Toolbox(Persona(INFO, agent), control, report)
        nursery.start_soon(toolbox.run)
        ledger = Ledger(1, 8000)
        playout = Playout(MULAW_8K, ledger, lead=0.1)
        turn = Turn(1, 1, "reply", "", ledger, playout, TurnTimes(trio.current_time()))

        async def messages(done: Sequence[Message]) -> Sequence[Message]:
            return [
                {"role": "system", "content": agent.system_prompt},
                {"role": "user", "content": "A table for four on Monday"},
                *done,
            ]

        words = ""
        with trio.fail_after(10):
            async with model_script(live, Question("CA1", messages, toolbox), turn).deltas as deltas:
                async for piece in deltas:
                    words += piece if isinstance(piece, str) else ""
        nursery.cancel_scope.cancel()
    assert words == SAID
    assert sorted(ran) == [("book_table", 4), ("get_hours", "Monday")]
    (step,) = turn.steps
    assert [(used.name, json.loads(used.arguments), used.result) for used in step] == [
        ("get_hours", {"day": "Monday"}, "8 to 5"),
        ("book_table", {"guests": 4}, '{"number":7}'),
    ]
    assert len({used.id for used in step}) == 2
    told = json.dumps(far.requests[-1].body)
    assert "8 to 5" in told
    assert "number" in told
