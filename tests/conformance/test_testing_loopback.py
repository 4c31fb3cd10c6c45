from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio

from patter_trio._server.app import build_app
from patter_trio._server.port import serve_port
from patter_trio.errors import PatterConfigError, PatterConnectionError
from patter_trio.testing import Caller, LoopbackLine, SimulatedTwilio

from .toy_agent import ToyAgent

PUBLIC = "https://voice.example.test"
SCRIPT = Caller().waits_for_agent(quiet=0.2).says(b"\x00\x80" * 1600).waits(0.1)


@asynccontextmanager
async def serving(agent: ToyAgent) -> AsyncIterator[str]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[None]) -> None:
            app = cast("Any", build_app(agent))  # Starlette's scope is a looser mapping than hypercorn's
            await serve_port(listeners, app, agent, task_status=task_status)

        await nursery.start(serve)
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        for listener in listeners:
            await listener.aclose()


async def test_the_same_script_runs_over_sockets() -> None:
    agent = ToyAgent(greeting="hello")
    async with serving(agent) as url:
        line = LoopbackLine(url, PUBLIC)
        outcome = await SimulatedTwilio().call(line, SCRIPT.presses("1", gap=0.1).hangs_up())
    assert outcome.ok, outcome
    assert outcome.heard == "hello"
    assert agent.digits == ["1"]
    assert agent.stops == 1


async def test_a_server_may_be_known_by_its_own_address() -> None:
    agent = ToyAgent(greeting="hello")
    async with serving(agent) as url:
        agent.origin = url
        outcome = await SimulatedTwilio().call(LoopbackLine(url), Caller().waits_for_agent(quiet=0.2))
    assert outcome.ok, outcome


async def test_a_cut_socket_has_no_stop() -> None:
    agent = ToyAgent()
    async with serving(agent) as url:
        outcome = await SimulatedTwilio().call(LoopbackLine(url, PUBLIC), Caller().waits(0.1).drops_socket())
        with trio.fail_after(5):
            await agent.over.wait()
    assert outcome.ended_by == "dropped"
    assert agent.stops == 0


async def test_refusals_over_sockets() -> None:
    async with serving(ToyAgent(refuse_media_with=503)) as url:
        refused = await SimulatedTwilio().call(LoopbackLine(url, PUBLIC), SCRIPT)
        forbidden = await SimulatedTwilio(auth_token="wrong").call(LoopbackLine(url, PUBLIC), SCRIPT)
    assert "503" in (refused.refusal or "")
    assert forbidden.refusal == "the voice webhook answered HTTP 403"


async def test_nobody_listens() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(PatterConnectionError, match="cannot be reached"):
        await SimulatedTwilio().call(LoopbackLine(f"http://127.0.0.1:{port}"), SCRIPT)


def test_an_address_must_be_one() -> None:
    with pytest.raises(PatterConfigError, match="HTTP address"):
        LoopbackLine("ws://127.0.0.1:1")


async def test_a_half_closed_socket_can_still_be_written() -> None:
    agent = ToyAgent()
    async with serving(agent) as url:
        outcome = await SimulatedTwilio().call(
            LoopbackLine(url, PUBLIC), Caller().waits(0.3).closes_sending()
        )
        with trio.fail_after(5):
            await agent.over.wait()
    assert outcome.ok, outcome
    assert outcome.ended_by == "dropped"
    assert agent.stops == 0
