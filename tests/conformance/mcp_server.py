"""A server made with the official SDK: over stdio, or streamable HTTP on loopback at the port it is given."""

from __future__ import annotations

import os
import sys
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("shop")


@server.tool()
def price(item: str, count: int = 1) -> float:
    """What an item costs."""
    return 2.5 * count


@server.tool(name="stock.of")
def stock(item: str) -> str:
    """How many there are."""
    return f"seven of {item}"


@server.tool()
def refuse() -> str:
    """Always fails."""
    raise ToolError("we are closed")


@server.tool()
async def wait(seconds: float) -> str:
    """Takes its time."""
    await anyio.sleep(seconds)
    return "done"


@server.tool()
def die() -> str:
    """Takes the server with it."""
    os._exit(3)


@server.tool()
def environment(name: str) -> str:
    """A variable."""
    return os.environ.get(name, "unset")


@server.tool()
def pid() -> int:
    """The number of the server's process."""
    return os.getpid()


@server.tool()
def header(name: str, context: Context[Any, Any]) -> str:
    """A header of the request that brought the call."""
    request = context.request_context.request
    return "unset" if request is None else request.headers.get(name, "unset")


def main(*args: Any) -> None:
    if args:
        server.run("streamable-http", host="127.0.0.1", port=int(args[0]))
    else:
        server.run("stdio")


if __name__ == "__main__":
    main(*sys.argv[1:])
