"""A house that echoes media and remembers webhooks, behind a real port on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
from starlette.types import ASGIApp

from patter_trio._server.app import build_app
from patter_trio._server.house import UpgradeRequest
from patter_trio._server.port import PortLimits, PortStats, serve_port
from patter_trio.abc import MediaSocket, WebhookRequest
from patter_trio.telephony import WebhookReply

HASTY = PortLimits(
    head_deadline=0.8, keep_alive=0.8, exchange_deadline=1.6, close_deadline=0.2, accept_backoff=0.01
)


@attrs.define(eq=False)
class EchoHouse:
    """Echoes every message until its stream ends."""

    webhooks: list[WebhookRequest] = attrs.field(factory=list[WebhookRequest])
    upgrades: list[UpgradeRequest] = attrs.field(factory=list[UpgradeRequest])
    refuse_with: int | None = None
    fail_media_with: Exception | None = None
    fail_webhook_with: Exception | None = None
    webhook_takes: float = 0.0
    media_ended: int = 0

    def refuse_media(self, upgrade: UpgradeRequest) -> int | None:
        return 403 if "refused" in upgrade.target else self.refuse_with

    async def run_media(self, socket: MediaSocket, upgrade: UpgradeRequest) -> None:
        self.upgrades.append(upgrade)
        try:
            if self.fail_media_with is not None and "failing" in upgrade.target:
                raise self.fail_media_with
            while True:
                message = await socket.receive()
                text = message if isinstance(message, str) else f"binary {len(message)}"
                if not socket.send_nowait(text):
                    await socket.send(text)
        except (trio.EndOfChannel, trio.BrokenResourceError):
            pass
        finally:
            self.media_ended += 1

    async def answer_webhook(self, kind: str, what: str, request: WebhookRequest) -> WebhookReply:
        self.webhooks.append(request)
        if self.webhook_takes:
            await trio.sleep(self.webhook_takes)
        if self.fail_webhook_with is not None:
            raise self.fail_webhook_with
        return WebhookReply(f"<Response kind={kind!r} what={what!r}/>")

    def health(self) -> Mapping[str, Any]:
        return {"status": "ok"}

    def public_url(self, target: str, *, websocket: bool = False) -> str:
        return f"{'wss' if websocket else 'https'}://voice.example.test{target}"


@attrs.define(eq=False)
class Door:
    """A running port and how to knock at it."""

    port: int
    house: EchoHouse
    stats: PortStats
    listeners: list[trio.SocketListener]
    nursery: trio.Nursery

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def ask(self, request: bytes) -> bytes:
        """The whole answer to bytes that end the connection."""
        stream = await self.connect()
        async with stream:
            await stream.send_all(request)
            return await read_to_end(stream)

    async def close_listeners(self) -> None:
        for listener in self.listeners:
            await listener.aclose()


@asynccontextmanager
async def open_door(
    house: EchoHouse | None = None, limits: PortLimits = HASTY, app: ASGIApp | None = None
) -> AsyncIterator[Door]:
    """A port on loopback for the length of the block; it must have ended by itself soon after."""
    house = house or EchoHouse()
    stats = PortStats()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[None]) -> None:
            await serve_port(
                listeners, app or build_app(house), house, limits=limits, stats=stats, task_status=task_status
            )

        await nursery.start(serve)
        door = Door(port, house, stats, listeners, nursery)
        yield door
        await door.close_listeners()
        await wait_until(lambda: not nursery.child_tasks)


async def wait_until(condition: Callable[[], bool], seconds: float = 5) -> None:
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is far away, in the port's own tasks
            await trio.sleep(0.01)


async def read_to_end(stream: trio.SocketStream) -> bytes:
    """Everything until the peer closes; a reset counts as closing."""
    received = bytearray()
    try:
        while data := await stream.receive_some(65536):
            received += data
    except trio.BrokenResourceError:
        pass
    return bytes(received)


async def reset(stream: trio.SocketStream) -> None:
    """Closes with a TCP reset in place of a goodbye."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await stream.aclose()
