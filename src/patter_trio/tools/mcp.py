"""Tools of MCP servers, over streamable HTTP or a program of this machine, with the official client.

A connection belongs to one call. It lives in a task of its own: whatever happens to it, the call only sees
tools that fail.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import math
import re
import sys
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import httpx2
import trio

from .._foreign import foreign, unwrapped
from .._net.guard import check_headers, check_url, open_guarded_client
from .._tools.definition import Tool
from ..errors import (
    MissingExtraError,
    PatterConfigError,
    PatterConnectionError,
    ToolError,
    ToolSchemaError,
)

if TYPE_CHECKING:
    import mcp
    import mcp.types

__all__ = ["MCPServer", "open_mcp_tools"]

_log = logging.getLogger("patter_trio.tools")

# A server that says goodbye too slowly is left.
_GOODBYE_SECONDS = 2.0

# Between calls a server may be silent; the calls have time limits of their own.
_SILENCE_SECONDS = 300.0

# Pages of a tool list; a server that has always another one is broken.
_PAGES = 50

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


@attrs.frozen(kw_only=True)
class MCPServer:
    """A server whose tools an agent may use: by ``url`` (streamable HTTP) or by ``command`` (stdio).

    Args:
        url: the server's web address.
        headers: sent with every request to ``url``: keys, usually.
        allow_private: ``url`` may be on this machine or in the private network around it.
        command: the program that is the server; it is started for each call.
        args: its arguments.
        env: variables of its environment, beyond the few that every program gets.
        name: what it is called in logs; made from the address or the program when left out.
        connect_timeout_s: seconds until its tools must be known.
        timeout_s: seconds that each tool call may take, 0.1 to 300.

    Raises:
        PatterConfigError: a value cannot be right, or ``url`` may not be called.
        MissingExtraError: the MCP client is not installed.
    """

    url: str = attrs.field(default="", repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    allow_private: bool = False
    command: str = ""
    args: Sequence[str] = attrs.field(default=(), repr=False)
    env: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    name: str = ""
    connect_timeout_s: float = 10.0
    timeout_s: float = 10.0

    def __attrs_post_init__(self) -> None:
        values: dict[str, Any] = attrs.asdict(self, recurse=False)
        if not all(isinstance(values[field], str) for field in ("url", "command", "name")):
            raise PatterConfigError("url, command and name of an MCP server must be text")
        if bool(self.url) == bool(self.command):
            raise PatterConfigError("an MCP server needs exactly one of url= and command=")
        if self.url and (self.args or self.env):
            raise PatterConfigError("args= and env= belong to command=, not to url=")
        if self.command and (self.headers or self.allow_private):
            raise PatterConfigError("headers= and allow_private= belong to url=, not to command=")
        if isinstance(values["args"], str) or not all(isinstance(arg, str) for arg in values["args"]):
            raise PatterConfigError("args must be a list of texts", hint='args=["server.py", "--port", "1"]')
        if not isinstance(values["env"], Mapping):
            raise PatterConfigError("env must be a mapping of names to values")
        check_headers(values["headers"])
        for field, most in (("connect_timeout_s", 120.0), ("timeout_s", 300.0)):
            seconds = values[field]
            number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
            if not number or not math.isfinite(seconds) or not 0.1 <= seconds <= most:
                raise PatterConfigError(f"{field} must be 0.1 to {most:.0f} seconds, not {seconds!r}")
        if self.url:
            check_url(self.url, allow_private=self.allow_private, what="the url of an MCP server")
        if importlib.util.find_spec("mcp") is None:
            raise MissingExtraError("the MCP client is missing", hint="pip install 'patter-trio[mcp]'")

    @property
    def label(self) -> str:
        """What it is called in logs."""
        return self.name or (httpx2.URL(self.url).host if self.url else self.command.rpartition("/")[2])

    @asynccontextmanager
    async def open_tools(self) -> AsyncIterator[list[Tool]]:
        """Connects for the length of the block and gives the server's tools; one that is lost gives errors.

        Raises:
            PatterConnectionError: the server cannot be reached, or does not answer in time.
        """
        async with _open_links([_Link(self)], required=True) as (link,):
            yield link.tools


@asynccontextmanager
async def open_mcp_tools(
    servers: Iterable[MCPServer], *, taken: Collection[str] = ()
) -> AsyncIterator[list[Tool]]:
    """Connects to all servers, side by side, for the length of the block, and gives their tools.

    A server that cannot be reached is left out with a warning: a call does without it.

    Raises:
        PatterConfigError: two tools share a name, or one has a name of ``taken``.
    """
    async with _open_links([_Link(server) for server in servers], required=False) as links:
        owners = dict.fromkeys(taken, "the agent")
        for link in links:
            for tool in link.tools:
                if tool.name in owners:
                    raise PatterConfigError(
                        f"{owners[tool.name]} and {link.server.label} both have a tool {tool.name!r}",
                        hint="rename the agent's own, or leave one of the servers out",
                    )
                owners[tool.name] = link.server.label
        yield [tool for link in links for tool in link.tools]


@asynccontextmanager
async def _open_links(links: list[_Link], *, required: bool) -> AsyncIterator[list[_Link]]:
    try:
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as opening:
                for link in links:
                    opening.start_soon(link.open, nursery, required)
            try:
                yield links
            finally:
                nursery.cancel_scope.deadline = trio.current_time() + _GOODBYE_SECONDS
                for link in links:
                    link.over.set()
    except BaseExceptionGroup as group:
        # One failure is one exception to the owner: nobody outside opened these nurseries.
        raise unwrapped(group) from group.__cause__


class _Link:
    """The connection to one server."""

    def __init__(self, server: MCPServer) -> None:
        self.server = server
        self.tools: list[Tool] = []
        self.over = trio.Event()
        self._running: set[trio.CancelScope] = set()
        self._client: mcp.Client | None = None

    async def open(self, nursery: trio.Nursery, required: bool) -> None:
        """Connects in a task of its own, within the time for it."""
        label, seconds = self.server.label, self.server.connect_timeout_s
        try:
            with trio.fail_after(seconds):
                await nursery.start(self._run)
        except trio.TooSlowError:
            error = PatterConnectionError(f"the MCP server {label} was not ready within {seconds:g} s")
        except PatterConnectionError as raised:
            error = raised
        else:
            return
        if required:
            raise error
        _log.warning("a call does without the tools of an MCP server: %s", error, exc_info=error.__cause__)

    async def _run(self, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            with foreign(ToolError, f"MCP server {self.server.label}"):
                await self._hold(task_status)
        except ToolError as error:
            if self._client is None:
                raise PatterConnectionError(str(error)) from error.__cause__
            _log.warning("%s: its tools fail from here on", error, exc_info=error.__cause__)
        finally:
            self._client = None
            for scope in self._running:
                scope.cancel()

    async def _hold(self, task_status: trio.TaskStatus[None]) -> None:
        """Connects, learns the tools, and stays until the call is over."""
        # Half a second, which only those pay who have such servers, and no call that is running.
        mcp = await trio.to_thread.run_sync(importlib.import_module, "mcp")
        async with AsyncExitStack() as stack:
            transport = await self._transport(stack)
            client = await stack.enter_async_context(mcp.Client(transport))
            self.tools = await self._learn(client)
            self._client = client
            task_status.started()
            await self.over.wait()

    async def _transport(self, stack: AsyncExitStack) -> Any:
        server = self.server
        if server.url:
            from mcp.client.streamable_http import streamable_http_client

            http = await stack.enter_async_context(
                open_guarded_client(
                    allow_private=server.allow_private,
                    timeout=_SILENCE_SECONDS,
                    headers=server.headers,
                )
            )
            return streamable_http_client(server.url, http_client=http)
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client

        program = StdioServerParameters(
            command=server.command, args=list(server.args), env=dict(server.env) or None
        )
        # What the server writes beside the protocol is its log, and goes where ours goes.
        return stdio_client(program, errlog=sys.__stderr__ or sys.stderr)

    async def _learn(self, client: mcp.Client) -> list[Tool]:
        tools: dict[str, Tool] = {}
        cursor = None
        for _ in range(_PAGES):
            page = await client.list_tools(cursor=cursor)
            for offered in page.tools:
                try:
                    tool = self._tool(offered)
                except ToolSchemaError as error:
                    _log.warning("the MCP server %s: a tool is left out: %s", self.server.label, error)
                    continue
                if tool.name in tools:
                    raise ToolError(f"two of its tools are named {tool.name!r}")
                tools[tool.name] = tool
            cursor = page.next_cursor
            if not cursor:
                return list(tools.values())
        raise ToolError(f"its list of tools has no end after {_PAGES} pages")

    def _tool(self, offered: mcp.types.Tool) -> Tool:
        return Tool(
            # Servers allow themselves dots and slashes, models do not.
            _NOT_IN_NAMES.sub("_", offered.name)[:64],
            offered.description or offered.title or "",
            parameters=offered.input_schema,
            handler=partial(self._ask, offered.name),
            timeout_s=self.server.timeout_s,
        )

    async def _ask(self, name: str, arguments: dict[str, Any], context: Mapping[str, Any]) -> Any:
        from mcp import MCPError

        if self._client is None:
            raise ToolError(f"the MCP server {self.server.label} is gone")
        result: mcp.types.CallToolResult | None = None
        with trio.CancelScope() as scope:
            self._running.add(scope)
            try:
                result = await self._client.call_tool(name, arguments)
            except MCPError as error:
                raise ToolError(f"the MCP server {self.server.label} says: {error.message}") from error
            finally:
                self._running.discard(scope)
        if result is None:
            raise ToolError(f"the MCP server {self.server.label} went away during the call")
        text = "\n".join(_said(block) for block in result.content)
        if result.is_error:
            raise ToolError(text or f"{name} failed and does not say why")
        return text if result.content or result.structured_content is None else result.structured_content


def _said(block: Any) -> str:
    """A piece of a result as text: a model on the telephone has no use for pictures."""
    text = getattr(block, "text", None) or getattr(getattr(block, "resource", None), "text", None)
    return text if isinstance(text, str) else f"[{block.type}]"
