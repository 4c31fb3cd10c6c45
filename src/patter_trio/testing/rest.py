"""The REST API of a simulated account behind a real socket of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import attrs
import h11
import trio

from .account import TwilioAccount
from .restapi import AnswersRest, RestReply, RestRequest

__all__ = ["RestServer", "open_rest", "serve_api"]

_READ_SIZE = 16 * 1024
# Many times what a change of a call has.
_LONGEST_BODY = 64 * 1024


@attrs.define(eq=False)
class RestServer:
    """A running server: its address, whose account it is, and how many connections it was asked for."""

    url: str
    account: TwilioAccount
    connections: int = 0


async def _receive(http: h11.Connection, stream: trio.SocketStream) -> RestRequest | None:
    head, body = None, b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive_some(_READ_SIZE))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _LONGEST_BODY:
                return None
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
            return RestRequest(head.method.decode(), head.target.decode(), headers, body)
        else:
            return None


def _written(http: h11.Connection, reply: RestReply) -> bytes:
    headers = {**reply.headers, "Content-Length": str(len(reply.body))}
    events = (
        h11.Response(status_code=reply.status, headers=list(headers.items())),
        h11.Data(data=reply.body),
        h11.EndOfMessage(),
    )
    return b"".join(http.send(event) or b"" for event in events)


@attrs.define(eq=False)
class _Port:
    """Where the connections come in."""

    api: AnswersRest
    connected: Callable[[], None]

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection to its end."""
        self.connected()
        http = h11.Connection(h11.SERVER)
        try:
            while await self._answer_one(http, stream):
                http.start_next_cycle()
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            return  # gone in the middle of a request, or no HTTP

    async def _answer_one(self, http: h11.Connection, stream: trio.SocketStream) -> bool:
        """One request; whether another may follow on this connection."""
        request = await _receive(http, stream)
        if request is None:
            return False
        reply = self.api.answer(request)
        if reply.conduct == "hangs":
            while await stream.receive_some(_READ_SIZE):
                pass
        if reply.conduct != "answers":
            return False
        await stream.send_all(_written(http, reply))
        return http.our_state is h11.DONE and http.their_state is h11.DONE


@asynccontextmanager
async def serve_api(
    api: AnswersRest, *, port: int = 0, connected: Callable[[], None] = lambda: None
) -> AsyncIterator[str]:
    """Serves any simulated API on loopback for the length of the block; gives its address."""
    (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
    host, bound = listener.socket.getsockname()[:2]
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, _Port(api, connected).serve, [listener]))
        yield f"http://{host}:{bound}"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_rest(account: TwilioAccount, *, port: int = 0) -> AsyncIterator[RestServer]:
    """Serves an account on loopback for the length of the block; its address is a carrier's ``base_url``."""
    server = RestServer("", account)

    def count() -> None:
        server.connections += 1

    async with serve_api(account, port=port, connected=count) as server.url:
        yield server
