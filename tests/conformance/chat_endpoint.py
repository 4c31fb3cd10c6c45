"""A loopback server that speaks the wire of Chat Completions, or whatever a test has it say instead.

Requests with GET are somebody's warming of a connection: they are answered with an empty list and counted.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import h11
import msgspec
import trio
import trio.testing

DONE = b"data: [DONE]\n\n"


@attrs.define
class Exchange:
    """One request, and the means to answer it."""

    connection: int
    target: str
    headers: Mapping[str, str]
    body: Any
    _http: h11.Connection
    _stream: trio.SocketStream

    async def begin(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        fields = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        fields += [(name, value) for name, value in (headers or {}).items()]
        await self._send(h11.Response(status_code=status, headers=fields))

    async def send(self, data: bytes) -> None:
        await self._send(h11.Data(data=data))

    async def end(self) -> None:
        await self._send(h11.EndOfMessage())

    async def cut(self) -> None:
        """Ends the connection in the middle of the body."""
        await self._stream.aclose()

    async def wait_gone(self) -> None:
        """Waits until the far side has hung up."""
        try:
            while await self._stream.receive_some(65536):
                pass
        except trio.BrokenResourceError:
            pass

    async def _send(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        data = self._http.send(event)
        assert data is not None
        if data:
            await self._stream.send_all(data)


Answer = Callable[[Exchange], Awaitable[None]]


@attrs.define
class ChatEndpoint:
    """Answers the requests in turn; the last answer serves all that follow."""

    answers: list[Answer]
    requests: list[Exchange] = attrs.field(factory=list[Exchange])
    url: str = ""
    connections: int = 0
    warmed: list[tuple[int, str]] = attrs.field(factory=list[tuple[int, str]])
    open_now: int = 0
    answering: int = 0
    _changed: trio.Event = attrs.field(factory=trio.Event)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def wait_until(self, reached: Callable[[], bool]) -> None:
        """Waits until something that a client's doing changes has come about."""
        with trio.fail_after(5):
            while not reached():
                await self._changed.wait()

    async def wait_warm(self, times: int = 1) -> None:
        """Waits until that many connections were warmed, and the client has taken the last answer in."""
        await self.wait_until(lambda: len(self.warmed) >= times)
        await trio.testing.wait_all_tasks_blocked(0.01)

    async def wait_idle(self) -> None:
        """Waits until no answer is being given: who asked has it, or has gone."""
        await self.wait_until(lambda: self.answering == 0)

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        self.open_now += 1
        self._tell()
        number, http = self.connections, h11.Connection(h11.SERVER)
        try:
            while await self._exchange(number, http, stream):
                http.start_next_cycle()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        except h11.RemoteProtocolError:
            return  # hung up in the middle of a request
        finally:
            self.open_now -= 1
            self._tell()

    async def _exchange(self, number: int, http: h11.Connection, stream: trio.SocketStream) -> bool:
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
        headers = {name.decode(): value.decode() for name, value in request.headers}
        target = request.target.decode()
        if request.method == b"GET":
            self.warmed.append((number, target))
            await refuses(200, b'{"data":[]}')(Exchange(number, target, headers, None, http, stream))
            self._tell()
            return http.our_state is h11.DONE
        exchange = Exchange(number, target, headers, unpacked(headers, body), http, stream)
        self.requests.append(exchange)
        self._tell()
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        self.answering += 1
        try:
            await answer(exchange)
        finally:
            self.answering -= 1
            self._tell()
        return http.our_state is h11.DONE


def unpacked(headers: Mapping[str, str], body: bytes) -> Any:
    """A request's body, as its headers say it is written."""
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    if headers.get("content-type") == "application/vnd.msgpack":
        return msgspec.msgpack.decode(body)
    return json.loads(body)


@asynccontextmanager
async def open_endpoint(*answers: Answer) -> AsyncIterator[ChatEndpoint]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    host, port = listener.socket.getsockname()[:2]
    endpoint = ChatEndpoint(list(answers), url=f"http://{host}:{port}/v1")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, endpoint.serve, [listener]))
        yield endpoint
        nursery.cancel_scope.cancel()


def event(data: Any) -> bytes:
    """A chunk as a server-sent event; text that is not ASCII stands as it is, as with most servers."""
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def delta(finish_reason: str | None = None, **fields: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]})


def says(*texts: str) -> tuple[bytes, ...]:
    """A whole answer in the pieces of its body."""
    return (*(delta(content=text) for text in texts), delta("stop"), DONE)


def streams(*pieces: bytes) -> Answer:
    """Sends the pieces one by one and ends the body."""

    async def answer(exchange: Exchange) -> None:
        await exchange.begin()
        for piece in pieces:
            await exchange.send(piece)
        await exchange.end()

    return answer


def refuses(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    async def answer(exchange: Exchange) -> None:
        await exchange.begin(status, headers)
        await exchange.send(body)
        await exchange.end()

    return answer


def _on_the_wire(frame: Mapping[str, Any]) -> bytes:
    if frame["kind"] == "sse_done":
        return DONE
    return f": {frame['text']}\n\n".encode() if frame["kind"] == "sse_comment" else event(frame["data"])


def replays(
    frames: Iterable[Mapping[str, Any]], write: Callable[[Mapping[str, Any]], bytes] = _on_the_wire
) -> Answer:
    """Answers with a sequence of the vectors, its frames written as this wire does."""

    async def answer(exchange: Exchange) -> None:
        begun = False
        for frame in frames:
            if frame["kind"] == "http":
                await refuses(frame["status"], json.dumps(frame["data"]).encode(), frame["headers"])(exchange)
                return
            if not begun:
                await exchange.begin()
                begun = True
            if frame["kind"] == "eof":
                break
            await exchange.send(write(frame))
        await exchange.end()

    return answer
