"""One port for everything: accept, read the head, route; no connection can touch another one.

A media upgrade goes to the sans-IO WebSocket path, all else to Starlette. Every connection runs behind a
firewall of its own: whatever it raises ends it, is logged in one line and counted, and nobody else notices.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import attrs
import trio
from starlette.types import ASGIApp

from .head import END_OF_HEAD, Head, parse_head, refusal
from .house import House, UpgradeRequest
from .http import Drain, serve_http
from .limits import PortLimits, PortStats
from .media import serve_media

__all__ = ["PortLimits", "PortStats", "serve_connection", "serve_port"]

_log = logging.getLogger("patter_trio.server.port")

_MEDIA_PATH = "/ws/"
_FAREWELL_BYTES = 256 * 1024
"""How much of an unwanted upload is read away, so that the peer can read why it was refused: closing with
unread bytes makes the kernel send a reset, which destroys an answer that is still on its way."""


async def serve_port(
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    app: ASGIApp,
    house: House,
    *,
    limits: PortLimits | None = None,
    stats: PortStats | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves connections until its listeners are closed and the last connection has ended.

    Closing the listeners is how a drain begins: idle HTTP connections end at once, busy ones after their
    answer, media streams when the house ends them. Cancelling ends them all, each within the close deadline.

    Args:
        listeners: where connections come from.
        app: what answers ordinary HTTP, as :func:`patter_trio._server.app.build_app` makes it.
        house: what carries media streams.
        limits: bounds on what one stranger can cost.
        stats: where to count.
        task_status: started once connections are accepted.
    """
    port = _Port(app, house, limits or PortLimits(), stats or PortStats())
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as doors:
            for listener in listeners:
                doors.start_soon(port.accept_from, listener, connections)
            task_status.started()
        await port.drain.begin()


async def serve_connection(
    stream: trio.abc.Stream,
    app: ASGIApp,
    house: House,
    *,
    limits: PortLimits | None = None,
    stats: PortStats | None = None,
) -> None:
    """Serves one connection that is already there, an in-memory one for instance, to its end."""
    await _Port(app, house, limits or PortLimits(), stats or PortStats()).serve(stream)


@attrs.define(eq=False)
class _Port:
    app: ASGIApp
    house: House
    limits: PortLimits
    stats: PortStats
    drain: Drain = attrs.field(factory=Drain)

    async def accept_from(
        self, listener: trio.abc.Listener[trio.abc.Stream], connections: trio.Nursery
    ) -> None:
        """Accepts until the listener is closed; no error of an accept ends it."""
        while True:
            try:
                stream = await listener.accept()
            except trio.ClosedResourceError:
                return
            except OSError as error:
                # Out of descriptors or memory, mostly: the connections we have go on, this one has to wait.
                self.stats.accept_errors += 1
                _log.warning("cannot accept a connection: %s", error)
                await trio.sleep(self.limits.accept_backoff)
                continue
            connections.start_soon(self.serve, stream)

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serves one connection behind the firewall and closes it."""
        stats = self.stats
        stats.connections_total += 1
        stats.connections_open += 1
        try:
            if stats.connections_open > self.limits.max_connections:
                stats.connections_turned_away += 1
                await self._refuse(stream, 503)
            else:
                await self._route(stream)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            stats.peers_vanished += 1
        except* Exception as failures:  # noqa: BLE001 - the firewall: no connection takes another one down
            stats.connections_failed += 1
            _log.error("a connection failed: %s", _first_line(failures))
            _log.debug("the failure in full", exc_info=failures)
        finally:
            try:
                await self._close(stream)
            finally:
                stats.connections_open -= 1

    async def _route(self, stream: trio.abc.Stream) -> None:
        received = await self._read_head(stream)
        if received is None:
            return
        raw, rest = received
        head = parse_head(raw)
        if head is None:
            self.stats.heads_malformed += 1
            await self._refuse(stream, 400)
        elif "upgrade" in head.headers:
            await self._upgrade(stream, head, raw, rest)
        else:
            change = await serve_http(
                stream,
                raw + rest,
                self.app,
                client=_peer(stream),
                limits=self.limits,
                stats=self.stats,
                drain=self.drain,
            )
            if change is not None:
                await self._upgrade(stream, parse_head(change[0]), *change)

    async def _upgrade(self, stream: trio.abc.Stream, head: Head | None, raw: bytes, rest: bytes) -> None:
        """Answers a request that is not for plain HTTP, the first one of a connection or a later one."""
        if head is not None and head.upgrade == "websocket" and head.path.startswith(_MEDIA_PATH):
            upgrade = UpgradeRequest(head.target, head.headers, _peer_text(stream))
            await serve_media(stream, raw, rest, upgrade, self.house, limits=self.limits, stats=self.stats)
            return
        self.stats.upgrades_refused += 1
        await self._refuse(stream, 404 if head is not None and head.upgrade == "websocket" else 400)

    async def _read_head(self, stream: trio.abc.Stream) -> tuple[bytes, bytes] | None:
        """The first head and what came behind it; ``None`` when there is none, which it has answered."""
        limits, stats = self.limits, self.stats
        received, end = bytearray(), -1
        with trio.move_on_after(limits.head_deadline) as patience:
            self.drain.waits(patience)
            try:
                while (end := received.find(END_OF_HEAD)) < 0 and len(received) <= limits.head_bytes:
                    data = await stream.receive_some(4096)
                    if not data:
                        stats.peers_vanished += 1
                        return None
                    received += data
            finally:
                self.drain.works(patience)
        if patience.cancelled_caught and self.drain.begun:
            await self._refuse(stream, 503)
            return None
        if patience.cancelled_caught:
            stats.heads_timed_out += 1
            await self._refuse(stream, 408)
            return None
        end += len(END_OF_HEAD)
        if end < len(END_OF_HEAD) or end > limits.head_bytes:
            stats.heads_oversized += 1
            await self._refuse(stream, 431)
            return None
        return bytes(received[:end]), bytes(received[end:])

    async def _refuse(self, stream: trio.abc.Stream, status: int) -> None:
        with trio.move_on_after(self.limits.close_deadline):
            await stream.send_all(refusal(status))

    async def _close(self, stream: trio.abc.Stream) -> None:
        """Lets the peer read our last words, then closes, all within the close deadline."""
        with trio.move_on_after(self.limits.close_deadline, shield=True):
            try:
                if isinstance(stream, trio.abc.HalfCloseableStream):
                    await stream.send_eof()
                    unread = 0
                    while unread < _FAREWELL_BYTES and (data := await stream.receive_some(16 * 1024)):
                        unread += len(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                await trio.lowlevel.checkpoint()
            await stream.aclose()
        await trio.aclose_forcefully(stream)


def _first_line(failures: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _peer(stream: trio.abc.Stream) -> tuple[str, int] | None:
    if not isinstance(stream, trio.SocketStream):
        return None
    try:
        address = stream.socket.getpeername()
    except OSError:
        return None
    return (address[0], address[1]) if isinstance(address, tuple) else None


def _peer_text(stream: trio.abc.Stream) -> str:
    peer = _peer(stream)
    return f"{peer[0]}:{peer[1]}" if peer else ""
