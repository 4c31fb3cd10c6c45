"""A shop's prices as an MCP server over input and output, made with the official SDK (``pip install mcp``).

``mcp_tools.py`` starts it. Whatever it prints beside the protocol goes to the error output, as its log.
"""

from __future__ import annotations

from mcp.server import MCPServer

PRICES = {"apples": "two dollars a kilo", "cheese": "nine dollars a kilo"}

server = MCPServer("shop")


@server.tool()
def price_of(item: str) -> str:
    """What something costs."""
    return PRICES.get(item.lower(), "We do not have that.")


if __name__ == "__main__":
    server.run("stdio")
