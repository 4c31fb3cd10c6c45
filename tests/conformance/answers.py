"""How the tests of the language models ask one, and read what it answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import trio

from patter_trio.errors import PatterError
from patter_trio.events import LLMChunk, Message

ASKED: tuple[Message, ...] = (
    {"role": "system", "content": "You answer for a bakery."},
    {"role": "user", "content": "When are you open?"},
)
TOOLS: tuple[dict[str, Any], ...] = (
    {
        "type": "function",
        "function": {
            "name": "book_slot",
            "description": "Books a table.",
            "parameters": {
                "type": "object",
                "properties": {"day": {"type": "string"}},
                "required": ["day"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    },
    {"type": "function", "function": {"name": "get_hours"}},
)


async def hear(
    live: Any, heard: list[LLMChunk] | None = None, messages: Sequence[Message] = ASKED, **asked: Any
) -> list[LLMChunk]:
    """All chunks of one answer; ``heard`` keeps those before a failure too."""
    heard = [] if heard is None else heard
    async with live.stream(messages, **asked) as chunks:
        async for chunk in chunks:
            heard.append(chunk)
    return heard


async def fail(live: Any, heard: list[LLMChunk] | None = None, **asked: Any) -> PatterError:
    """How asking fails, out of its group."""
    with trio.fail_after(5):
        try:
            chunks = await hear(live, heard, **asked)
        except (PatterError, BaseExceptionGroup) as raised:
            return only(raised)
    raise AssertionError(f"no failure, but {chunks}")


def only(raised: BaseException) -> PatterError:
    while isinstance(raised, BaseExceptionGroup):
        (raised,) = raised.exceptions
    assert isinstance(raised, PatterError), raised
    return raised


def text(chunks: Sequence[LLMChunk]) -> str:
    return "".join(chunk.content for chunk in chunks if chunk.type == "text")


def calls(chunks: Sequence[LLMChunk]) -> list[dict[str, Any]]:
    """The tool calls of an answer, put together by index as the contract says."""
    found: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        if chunk.type == "tool_call":
            call = found.setdefault(chunk.index, {"id": "", "name": "", "arguments": ""})
            call["id"] += chunk.id
            call["name"] += chunk.name
            call["arguments"] += chunk.arguments
    return list(found.values())


def read_calls(chunks: Sequence[LLMChunk]) -> list[dict[str, Any]]:
    """The same, their arguments read."""
    return [{**call, "arguments": json.loads(call["arguments"])} for call in calls(chunks)]


def usage(chunks: Sequence[LLMChunk]) -> LLMChunk:
    (counted,) = [chunk for chunk in chunks if chunk.type == "usage"]
    return counted


def history(answered: Sequence[LLMChunk], *results: str) -> list[Message]:
    """The conversation after a turn that called tools, as the call keeps it."""
    made = calls(answered)
    assert len(made) == len(results)
    return [
        *ASKED,
        {
            "role": "assistant",
            "content": text(answered) or None,
            "tool_calls": [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": call["arguments"]},
                }
                for call in made
            ],
        },
        *(
            {"role": "tool", "tool_call_id": call["id"], "content": result}
            for call, result in zip(made, results, strict=True)
        ),
    ]


def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is reached straight, and no key of this machine is in play."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
