"""Tools of an agent: what is written down, how webhooks are called, and tools of MCP servers."""

from __future__ import annotations

from .._tools.contracts import (
    Progress,
    ToolCall,
    ToolContext,
    ToolExecutor,
    ToolOutcome,
    WebhookTransport,
)
from .._tools.definition import Reassurance, Tool, define_tool, tool
from .._tools.execute import DefaultToolExecutor
from .consult import Consultant, ConsultConfig
from .mcp import MCPServer, open_mcp_tools
from .openclaw import openclaw_post_call_notifier
from .webhook import ToolWebhooks

__all__ = [
    "ConsultConfig",
    "Consultant",
    "DefaultToolExecutor",
    "MCPServer",
    "Progress",
    "Reassurance",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolExecutor",
    "ToolOutcome",
    "ToolWebhooks",
    "WebhookTransport",
    "define_tool",
    "open_mcp_tools",
    "openclaw_post_call_notifier",
    "tool",
]
