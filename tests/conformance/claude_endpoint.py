"""The wire of Anthropic's Messages for the loopback endpoint: events with their names, whole answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from . import chat_endpoint
from .chat_endpoint import Answer, ChatEndpoint, open_endpoint


@asynccontextmanager
async def open_claude(*answers: Answer) -> AsyncIterator[ChatEndpoint]:
    """An endpoint whose ``url`` is the base that the SDK wants: without ``/v1``."""
    async with open_endpoint(*answers) as endpoint:
        endpoint.url = endpoint.url.removesuffix("/v1")
        yield endpoint


def event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def begins(**usage: int) -> bytes:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 1, **usage},
    }
    return event({"type": "message_start", "message": message})


def block(index: int, begin: Mapping[str, Any], *deltas: Mapping[str, Any]) -> tuple[bytes, ...]:
    return (
        event({"type": "content_block_start", "index": index, "content_block": begin}),
        *(event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas),
        event({"type": "content_block_stop", "index": index}),
    )


def spoken(index: int, *texts: str) -> tuple[bytes, ...]:
    return block(
        index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": text} for text in texts)
    )


def called(index: int, id: str, name: str, *pieces: str) -> tuple[bytes, ...]:
    return block(
        index,
        {"type": "tool_use", "id": id, "name": name, "input": {}},
        *({"type": "input_json_delta", "partial_json": piece} for piece in pieces),
    )


def ends(stop_reason: str = "end_turn", **delta: Any) -> tuple[bytes, ...]:
    return (
        event(
            {
                "type": "message_delta",
                "delta": {"stop_reason": stop_reason, "stop_sequence": None, **delta},
                "usage": {"output_tokens": 9},
            }
        ),
        event({"type": "message_stop"}),
    )


def says(*texts: str) -> tuple[bytes, ...]:
    """A whole answer in the pieces of its body."""
    return (begins(), *spoken(0, *texts), *ends())


def replays(frames: Iterable[Mapping[str, Any]]) -> Answer:
    """Answers with a sequence of the vectors."""
    return chat_endpoint.replays(frames, lambda frame: event(frame["data"]))
