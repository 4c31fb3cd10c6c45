"""The REST API of a simulated account behind a real socket of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import h11
import trio

from .account import RestReply, RestRequest, TwilioAccount

__all__ = ["RestServer", "open_rest"]

_READ_SIZE = 16 * 1024
# Many times what a change of a call has.
_LONGEST_BODY = 64 * 1024


@attrs.define(eq=False)
class RestServer:
    """A running server: its address, and how many connections it was asked for."""

    url: str
    account: TwilioAccount
    connections: int = 0

    async def _serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        http = h11.Connection(h11.SERVER)
        try:
            while await self._exchange(http, stream):
                http.start_next_cycle()
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            return  # gone in the middle of a request, or no HTTP

    async def _exchange(self, http: h11.Connection, stream: trio.SocketStream) -> bool:
        """One request; whether another may follow on this connection."""
        request = await _receive(http, stream)
        if request is None:
            return False
        reply = self.account.answer(request)
        if reply.conduct == "hangs":
            while await stream.receive_some(_READ_SIZE):
                pass
        if reply.conduct != "answers":
            return False
        await stream.send_all(_written(http, reply))
        return http.our_state is h11.DONE and http.their_state is h11.DONE


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


@asynccontextmanager
async def open_rest(account: TwilioAccount, *, port: int = 0) -> AsyncIterator[RestServer]:
    """Serves an account on loopback for the length of the block; its address is a carrier's ``base_url``."""
    (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
    host, bound = listener.socket.getsockname()[:2]
    server = RestServer(f"http://{host}:{bound}", account)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, server._serve, [listener]))
        yield server
        nursery.cancel_scope.cancel()
