"""Ordinary HTTP on one connection: Starlette behind hypercorn's HTTP/1.1 protocol.

Hypercorn's own connection object shields its sends without bound, never times a slow body, and ends in an
exception when bytes follow a WebSocket upgrade. So only its protocol object is used, this module moves the
bytes, and every change of protocol is caught before hypercorn could act on it. An upgrade to a WebSocket goes
back to the port, also when it comes on a connection that has served requests: proxies keep connections and
use them for whatever comes next.
"""

from __future__ import annotations

import logging
from typing import cast

import attrs
import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState, H11SendableEvent
from starlette.types import ASGIApp

from .head import END_OF_HEAD
from .limits import PortLimits, PortStats

__all__ = ["Drain", "serve_http"]

_log = logging.getLogger("patter_trio.server.http")

_READ_SIZE = 16 * 1024

# A proxy may believe the one and we the other; what stands behind would be a request that nobody made.
_TWO_ENDS = {b"content-length", b"transfer-encoding"}


@attrs.define(eq=False)
class Drain:
    """Ends the connections that wait for a request, when the port takes no new ones."""

    context: WorkerContext = attrs.field(factory=lambda: WorkerContext(None))
    begun: bool = False
    _waiting: set[trio.CancelScope] = attrs.field(factory=set[trio.CancelScope], init=False)

    async def begin(self) -> None:
        """Idle connections close now, busy ones after the answer they are working on."""
        self.begun = True
        await self.context.terminated.set()
        for scope in self._waiting:
            scope.cancel()

    def waits(self, scope: trio.CancelScope) -> None:
        """From now on ``scope`` waits for a request: a drain cancels it."""
        self._waiting.add(scope)
        if self.begun:
            scope.cancel()

    def works(self, scope: trio.CancelScope) -> None:
        """From now on a drain leaves ``scope`` alone."""
        self._waiting.discard(scope)


def _config() -> Config:
    config = Config()
    config.errorlog = _log
    config.include_server_header = False
    return config


_CONFIG = _config()


class _NotPlainError(Exception):
    """A request asked for HTTP/2 or a WebSocket, or its end can be read in two ways; ``head`` is it again."""

    def __init__(self, head: bytes) -> None:
        super().__init__()
        self.head = head


class _PlainHttp(H11Protocol):
    async def _check_protocol(self, event: h11.Request) -> None:
        names = {name for name, _ in event.headers}
        if event.http_version == b"2.0" or b"upgrade" in names or names >= _TWO_ENDS:
            lines = [b"%s %s HTTP/%s" % (event.method, event.target, event.http_version)]
            lines += [b"%s: %s" % (name, value) for name, value in event.headers.raw_items()]
            raise _NotPlainError(b"\r\n".join(lines) + END_OF_HEAD)

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        try:
            await super()._send_h11_event(event)
        except h11.LocalProtocolError as error:
            # Hypercorn answers 500 when its app was cancelled, even in the middle of a response.
            _log.debug("the answer cannot go on: %s", error)
            await self.send(Closed())


class _Exchange:
    """One connection's way out, and the deadline of what it is doing."""

    def __init__(
        self, stream: trio.abc.Stream, life: trio.CancelScope, limits: PortLimits, drain: Drain
    ) -> None:
        self._stream = stream
        self._life = life
        self.limits = limits
        self._drain = drain
        self._sending = trio.Lock()
        self.reading = trio.CancelScope()
        self.get_busy()

    def get_busy(self) -> None:
        self.idle = False
        self._drain.works(self._life)
        self._life.deadline = trio.current_time() + self.limits.exchange_deadline

    def get_idle(self) -> None:
        self._life.deadline = trio.current_time() + self.limits.keep_alive
        self.idle = True
        self._drain.waits(self._life)

    async def receive(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some(_READ_SIZE))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    async def send(self, event: Event) -> None:
        if isinstance(event, RawData):
            try:
                async with self._sending:
                    await self._stream.send_all(event.data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.reading.cancel()
        elif isinstance(event, Closed):
            self.reading.cancel()
        elif isinstance(event, Updated):
            if event.idle:
                self.get_idle()
            else:
                self.get_busy()


async def serve_http(
    stream: trio.abc.Stream,
    data: bytes,
    app: ASGIApp,
    *,
    client: tuple[str, int] | None,
    limits: PortLimits,
    stats: PortStats,
    drain: Drain,
) -> tuple[bytes, bytes] | None:
    """Serves requests on ``stream`` until it is idle for too long, broken, or asks to close.

    Returns the head of a request that is not for plain HTTP, unanswered, and what came behind it.

    Args:
        stream: the connection; the caller closes it.
        data: the bytes read so far, a complete head and perhaps more.
        app: what answers.
        client: the peer's address and port.
        limits: the deadlines.
        stats: where a missed deadline is counted.
        drain: how the port says that it closes.
    """
    life = trio.CancelScope()
    exchange = _Exchange(stream, life, limits, drain)
    change = None
    try:
        with life:
            change = await _converse(data, app, client, exchange, drain)
        if life.cancelled_caught and not exchange.idle:
            stats.exchanges_timed_out += 1
    finally:
        drain.works(life)
    return change


async def _converse(
    data: bytes,
    app: ASGIApp,
    client: tuple[str, int] | None,
    exchange: _Exchange,
    drain: Drain,
) -> tuple[bytes, bytes] | None:
    """The request that is not for plain HTTP and what came behind it; ``None`` when there was none."""
    change = None
    async with TaskGroup() as group:
        protocol = _PlainHttp(
            ASGIWrapper(cast(ASGIFramework, app)),
            _CONFIG,
            drain.context,
            group,
            ConnectionState({}),
            False,
            client,
            None,
            exchange.send,
        )
        with exchange.reading:
            try:
                while data:
                    await protocol.handle(RawData(data))
                    data = await exchange.receive()
                await protocol.handle(RawData(b""))
            except _NotPlainError as asked:
                change = (asked.head, protocol.connection.trailing_data[0])
        # The app of a request in progress hears that its peer is gone, if it still listens.
        with trio.move_on_after(exchange.limits.close_deadline):
            await protocol.handle(Closed())
    return change
