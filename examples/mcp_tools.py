"""Lends the model the tools of an MCP server, which is started for each call and ends with it.

The server is ``mcp_tools_server.py`` beside this file. It may be any program that speaks MCP over its input
and output, or an address: ``mcp_servers=["https://tools.example.com/mcp"]``.

    pip install 'patter-trio[local,mcp]'
    ollama serve & ollama pull llama3.2              # a model that can call tools
    export TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…
    export PHONE_NUMBER=+15550001234 PUBLIC_URL=https://phone.example.com
    python mcp_tools.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import trio

from patter_trio import Agent, HibariTTS, MCPServer, MoonshineSTT, OpenAICompatibleLLM, Patter, Twilio

SERVER = Path(__file__).with_name("mcp_tools_server.py")
SHOP = MCPServer(command=sys.executable, args=[str(SERVER)], name="shop", timeout_s=5)


def make_agent(patter: Patter) -> Agent:
    """The agent, complete. While the greeting is spoken, the server starts."""
    return patter.agent(
        "You answer for a shop. Look up what you say about prices.",
        first_message="Hello, this is the shop.",
        mcp_servers=[SHOP],
        llm=OpenAICompatibleLLM(
            base_url=os.environ.get("LLM_URL", "http://localhost:11434/v1"),
            model=os.environ.get("LLM_MODEL", "llama3.2"),
        ),
        stt=MoonshineSTT(),
        tts=HibariTTS(),
    )


def main() -> None:
    """Serves the number until the process is told to stop."""
    patter = Patter(Twilio(), os.environ["PHONE_NUMBER"], os.environ["PUBLIC_URL"])
    trio.run(patter.serve, make_agent(patter))


if __name__ == "__main__":
    main()
