"""A loopback endpoint in its own process that answers as the vendors of language models do.

Started as a program it prints its port, and answers until its standard input ends. A question names the
number of tokens of its answer; each token is a piece of the body of its own, all of them sent at once, so
that the client is never waiting for the next.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import h11
import trio

__all__ = ["open_endpoint"]

_COUNT = re.compile(rb"Say (\d+) tokens")


def _event(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _named(data: dict[str, Any]) -> bytes:
    return f"event: {data['type']}\n".encode() + _event(data)


def _chat(count: int) -> list[bytes]:
    common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def piece(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _event({**common, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    usage = {"prompt_tokens": 9, "completion_tokens": count, "total_tokens": 9 + count}
    return [
        *(piece({"content": " word"}) for _ in range(count)),
        piece({}, "stop"),
        _event({**common, "choices": [], "usage": usage}),
        b"data: [DONE]\n\n",
    ]


def _claude(count: int) -> list[bytes]:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 1},
    }
    word = {"type": "text_delta", "text": " word"}
    return [
        _named({"type": "message_start", "message": message}),
        _named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        *(_named({"type": "content_block_delta", "index": 0, "delta": word}) for _ in range(count)),
        _named({"type": "content_block_stop", "index": 0}),
        _named(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": count},
            }
        ),
        _named({"type": "message_stop"}),
    ]


def _gemini(count: int) -> list[bytes]:
    def piece(at: int) -> bytes:
        candidate: dict[str, Any] = {
            "content": {"role": "model", "parts": [{"text": " word"}]},
            "index": 0,
        }
        if at == count - 1:
            candidate["finishReason"] = "STOP"
        usage = {"promptTokenCount": 9, "candidatesTokenCount": at + 1, "totalTokenCount": 10 + at}
        return _event({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"})

    return [piece(at) for at in range(count)]


def _wire(target: bytes) -> Callable[[int], list[bytes]]:
    if b"/messages" in target:
        return _claude
    return _gemini if b"streamGenerateContent" in target else _chat


_answers: dict[tuple[Callable[[int], list[bytes]], int], list[bytes]] = {}


async def _serve(stream: trio.SocketStream) -> None:
    http = h11.Connection(h11.SERVER)
    try:
        while await _exchange(http, stream):
            http.start_next_cycle()
    except (trio.BrokenResourceError, h11.RemoteProtocolError):
        return  # hung up on


async def _exchange(http: h11.Connection, stream: trio.SocketStream) -> bool:
    request, body = None, b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive_some(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            return False
    assert request is not None
    pieces = [b'{"data": []}'] if request.method == b"GET" else _answer(request.target, body)
    kind = "application/json" if request.method == b"GET" else "text/event-stream"
    head = h11.Response(status_code=200, headers=[("content-type", kind), ("transfer-encoding", "chunked")])
    sent = [http.send(part) or b"" for part in (head, *map(h11.Data, pieces), h11.EndOfMessage())]
    await stream.send_all(b"".join(sent))
    return http.our_state is h11.DONE


def _answer(target: bytes, body: bytes) -> list[bytes]:
    found = _COUNT.search(body)
    assert found is not None, body
    asked = (_wire(target), int(found[1]))
    if asked not in _answers:
        _answers[asked] = asked[0](asked[1])
    return _answers[asked]


async def _main() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    print(listener.socket.getsockname()[1], flush=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, _serve, [listener])
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_endpoint() -> AsyncIterator[str]:
    """The address of such a process, for the length of the block."""
    process = await trio.lowlevel.open_process(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = b""
        while not said.endswith(b"\n"):
            said += await process.stdout.receive_some()
        yield f"http://127.0.0.1:{int(said)}"
    finally:
        with trio.CancelScope(shield=True):
            await process.stdin.aclose()
            await process.wait()


if __name__ == "__main__":
    trio.run(_main)
