"""MCP servers made with the official SDK: over stdio and streamable HTTP, healthy, slow, and dying."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from patter_trio.errors import MissingExtraError, PatterConfigError, PatterConnectionError
from patter_trio.tools import DefaultToolExecutor, MCPServer, ToolContext, open_mcp_tools, tool

pytest.importorskip("mcp")

PROGRAM = str(Path(__file__).with_name("mcp_server.py"))
CONTEXT = ToolContext("CA1")
NAMES = {"price", "stock_of", "refuse", "wait", "die", "environment", "pid", "header"}


def stdio(**settings: Any) -> MCPServer:
    return MCPServer(**{"command": sys.executable, "args": [PROGRAM], **settings})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def open_http(**settings: Any) -> AsyncIterator[MCPServer]:
    port = free_port()
    async with trio.open_nursery() as nursery:
        program = [sys.executable, PROGRAM, str(port)]
        process = await nursery.start(partial(trio.run_process, program, check=False))
        with trio.fail_after(30):
            while True:
                try:
                    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                    break
                except OSError:
                    await trio.sleep(0.05)
        yield MCPServer(url=f"http://127.0.0.1:{port}/mcp", **{"allow_private": True, **settings})
        process.kill()


def use(tools: Any) -> DefaultToolExecutor:
    return DefaultToolExecutor(tools)


async def check_healthy(executor: DefaultToolExecutor) -> None:
    assert set(executor.tools) == NAMES
    definition = executor.tools["price"].definition()["function"]
    assert definition["description"] == "What an item costs."
    assert definition["parameters"]["required"] == ["item"]
    assert (await executor.execute("price", '{"item": "cake", "count": 2}', CONTEXT)).content == "5.0"
    assert (await executor.execute("stock_of", '{"item": "cake"}', CONTEXT)).content == "seven of cake"
    outcome = await executor.execute("refuse", "", CONTEXT)
    assert not outcome.ok
    assert "we are closed" in outcome.error
    assert "item missing" in (await executor.execute("price", "{}", CONTEXT)).error


async def test_a_program_of_this_machine_lends_its_tools() -> None:
    async with stdio(env={"SHOP": "bakery"}).open_tools() as tools:
        executor = use(tools)
        await check_healthy(executor)
        assert (await executor.execute("environment", '{"name": "SHOP"}', CONTEXT)).content == "bakery"


async def test_a_server_at_a_web_address_lends_its_tools_and_its_death_is_told() -> None:
    async with open_http(headers={"X-Tenant": "bakery"}) as server:
        assert server.label == "127.0.0.1"
        async with server.open_tools() as tools:
            executor = use(tools)
            await check_healthy(executor)
            assert (await executor.execute("header", '{"name": "x-tenant"}', CONTEXT)).content == "bakery"
            with trio.fail_after(15):
                outcome = await executor.execute("die", "", CONTEXT)
                assert json.loads(outcome.content)["fallback"] is True
                assert not (await executor.execute("price", '{"item": "cake"}', CONTEXT)).ok


async def test_a_server_that_dies_in_a_call_fails_the_tool_and_not_the_call() -> None:
    async with stdio().open_tools() as tools:
        executor = use(tools)
        outcomes: list[Any] = []

        async def ask(name: str, arguments: str) -> None:
            outcomes.append(await executor.execute(name, arguments, CONTEXT))

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, "wait", '{"seconds": 60}')
                nursery.start_soon(ask, "die", "")
        assert [outcome.ok for outcome in outcomes] == [False, False]
        assert "Connection closed" in outcomes[0].error
        outcome = await executor.execute("price", '{"item": "cake"}', CONTEXT)
        assert json.loads(outcome.content)["fallback"] is True


async def test_a_slow_tool_has_the_time_of_its_server_and_the_next_call_works() -> None:
    async with stdio(timeout_s=0.3).open_tools() as tools:
        executor = use(tools)
        assert "longer than 0.3 s" in (await executor.execute("wait", '{"seconds": 60}', CONTEXT)).error
        assert (await executor.execute("stock_of", '{"item": "cake"}', CONTEXT)).ok


async def test_several_servers_are_opened_and_a_missing_one_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    servers = [stdio(), MCPServer(command="/no/such/program", name="attic")]
    async with open_mcp_tools(servers) as tools:
        assert {each.name for each in tools} == NAMES
    assert "attic" in caplog.text


async def test_a_name_that_is_taken_is_an_error() -> None:
    @tool
    async def price() -> None: ...

    with pytest.raises(PatterConfigError, match=r"the agent and shop both have a tool 'price'"):
        async with open_mcp_tools([stdio(name="shop")], taken=use([price]).tools):
            raise AssertionError("it opened")


async def test_a_server_that_cannot_be_reached_is_said_so() -> None:
    for server in (
        MCPServer(command="/no/such/program"),
        MCPServer(command=sys.executable, args=["-c", "raise SystemExit(1)"]),
        MCPServer(url=f"http://127.0.0.1:{free_port()}/mcp", allow_private=True),
    ):
        with trio.fail_after(20), pytest.raises(PatterConnectionError, match=server.label):
            async with server.open_tools():
                raise AssertionError("it opened")


async def test_a_server_that_never_answers_is_left_after_its_time() -> None:
    silent = MCPServer(
        command=sys.executable, args=["-c", "import sys; sys.stdin.read()"], connect_timeout_s=0.5
    )
    with trio.fail_after(10), pytest.raises(PatterConnectionError, match=r"not ready within 0\.5 s"):
        async with silent.open_tools():
            raise AssertionError("it opened")


async def test_what_goes_wrong_in_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with stdio().open_tools():
            raise KeyError("mine")


async def test_a_call_that_is_cancelled_leaves_no_server_behind() -> None:
    number = 0
    with trio.fail_after(15):
        async with trio.open_nursery() as nursery, stdio().open_tools() as tools:
            number = int((await use(tools).execute("pid", "", CONTEXT)).content)
            nursery.cancel_scope.cancel()
            await trio.sleep_forever()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, "exactly one"),
        ({"url": "https://example.com", "command": "x"}, "exactly one"),
        ({"url": 3}, "must be text"),
        ({"url": "https://example.com", "args": ["x"]}, "belong to command"),
        ({"url": "https://example.com", "env": {"A": "1"}}, "belong to command"),
        ({"command": "x", "headers": {"A": "1"}}, "belong to url"),
        ({"command": "x", "allow_private": True}, "belong to url"),
        ({"command": "x", "args": "y"}, "list of texts"),
        ({"command": "x", "env": []}, "env must be"),
        ({"command": "x", "timeout_s": 0}, "timeout_s"),
        ({"command": "x", "connect_timeout_s": 121}, "connect_timeout_s"),
        ({"url": "http://127.0.0.1/mcp"}, "may not be called"),
        ({"url": "http://169.254.169.254/mcp", "allow_private": True}, "may not be called"),
        ({"url": "stdio://x"}, "only http"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PatterConfigError, match=complaint):
        MCPServer(**settings)


def test_keys_are_not_shown() -> None:
    shown = repr(
        MCPServer(url="https://example.com/mcp?key=s3cret", headers={"Authorization": "Bearer t0ken"})
    )
    assert "s3cret" not in shown
    assert "t0ken" not in shown


def test_a_missing_client_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"patter-trio\[mcp\]"):
        MCPServer(command="x")


def test_importing_the_tools_does_not_load_the_client() -> None:
    import subprocess

    code = "import sys, patter_trio.tools; print('mcp' in sys.modules or 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
