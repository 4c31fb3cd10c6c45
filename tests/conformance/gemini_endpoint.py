"""The wire of Gemini for the loopback endpoint, and the far end that gives access tokens for Google Cloud."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import attrs
import h11
import trio

from . import chat_endpoint
from .chat_endpoint import Answer, ChatEndpoint, open_endpoint

COUNTS = {"promptTokenCount": 30, "candidatesTokenCount": 12, "thoughtsTokenCount": 5, "totalTokenCount": 47}


@asynccontextmanager
async def open_gemini(*answers: Answer) -> AsyncIterator[ChatEndpoint]:
    """An endpoint whose ``url`` is the base without a version."""
    async with open_endpoint(*answers) as endpoint:
        endpoint.url = endpoint.url.removesuffix("/v1")
        yield endpoint


def event(data: Mapping[str, Any]) -> bytes:
    """Google ends lines with CR and LF."""
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\r\n\r\n"


def parts(*given: Mapping[str, Any], finish: str | None = None, **fields: Any) -> bytes:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(given)}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return event({"candidates": [candidate], "modelVersion": "gemini", **fields})


def says(*texts: str) -> tuple[bytes, ...]:
    """A whole answer in the pieces of its body."""
    *first, last = texts
    return (
        *(parts({"text": text}) for text in first),
        parts({"text": last}, finish="STOP", usageMetadata=COUNTS),
    )


def calls(name: str, args: Mapping[str, Any], signature: str = "", **fields: Any) -> dict[str, Any]:
    """A part that calls a function."""
    part: dict[str, Any] = {"functionCall": {"name": name, "args": args, **fields}}
    return {**part, "thoughtSignature": signature} if signature else part


def replays(frames: Iterable[Mapping[str, Any]]) -> Answer:
    """Answers with a sequence of the vectors."""
    return chat_endpoint.replays(frames, lambda frame: event(frame["data"]))


@attrs.define
class TokenServer:
    """Gives tokens in turn, the last one for ever; ``asked`` holds the forms it was sent."""

    tokens: list[tuple[int, Mapping[str, Any]]]
    url: str = ""
    asked: list[dict[str, list[str]]] = attrs.field(factory=list[dict[str, list[str]]])
    waiting: trio.Event = attrs.field(factory=trio.Event)

    async def serve(self, stream: trio.SocketStream) -> None:
        http, body = h11.Connection(h11.SERVER), b""
        while True:
            received = http.next_event()
            if received is h11.NEED_DATA:
                http.receive_data(await stream.receive_some(65536))
            elif isinstance(received, h11.Data):
                body += received.data
            elif isinstance(received, h11.EndOfMessage):
                break
            elif isinstance(received, h11.ConnectionClosed):
                return
        self.asked.append(parse_qs(body.decode()))
        status, answer = self.tokens[min(len(self.asked), len(self.tokens)) - 1]
        data = json.dumps(answer).encode()
        fields = [("content-length", str(len(data))), ("connection", "close")]
        for sent in (h11.Response(status_code=status, headers=fields), h11.Data(data), h11.EndOfMessage()):
            await stream.send_all(http.send(sent) or b"")


@asynccontextmanager
async def open_token_server(*tokens: tuple[int, Mapping[str, Any]]) -> AsyncIterator[TokenServer]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = TokenServer(list(tokens), url=f"http://127.0.0.1:{listener.socket.getsockname()[1]}/token")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, server.serve, [listener]))
        yield server
        nursery.cancel_scope.cancel()
