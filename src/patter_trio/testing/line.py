"""The ways by which a simulated carrier reaches a server: in memory, so that calls run in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import attrs
import trio

from ..errors import PatterConnectionError

__all__ = ["ASGIApp", "Line", "LineSocket", "MemoryLine", "UpgradeRefusedError", "WebhookAnswer"]

ASGIMessage = MutableMapping[str, Any]
ASGIApp = Callable[
    [ASGIMessage, Callable[[], Awaitable[ASGIMessage]], Callable[[ASGIMessage], Awaitable[None]]],
    Awaitable[None],
]

# About 20 kB of media messages, or 1.3 s of sound: what the buffers of a socket may hold.
_SOCKET_MESSAGES = 64
_ANSWER_SECONDS = 10.0
_END_SECONDS = 30.0
_CLIENT = ("192.0.2.1", 40000)


class UpgradeRefusedError(PatterConnectionError):
    """The server was reached and did not accept the media socket."""


@attrs.frozen
class WebhookAnswer:
    """What the server answered to a webhook."""

    status: int
    body: bytes = b""


class LineSocket(Protocol):
    """The carrier's end of a media socket."""

    async def send(self, message: str) -> None:
        """Sends a text message, waiting for room.

        Raises:
            trio.BrokenResourceError: the far side is gone.
        """
        ...

    async def receive(self) -> str | bytes:
        """The next message.

        Raises:
            trio.EndOfChannel: the server closed, or the connection broke.
        """
        ...

    def close_sending(self) -> None:
        """Ends the carrier's sending side without a goodbye; what the server sends can still be read."""
        ...

    def abort(self) -> None:
        """Makes the connection break without a goodbye when its block is left, which must be at once."""
        ...


class Line(Protocol):
    """A way to reach a server."""

    @property
    def public_url(self) -> str:
        """The origin under which the server is known to the carrier, e.g. ``https://voice.example.test``."""
        ...

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Posts a webhook to a public URL."""
        ...

    def open_media(self, url: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager[LineSocket]:
        """Opens a media socket at a public URL; leaving the block closes it with a goodbye.

        Raises:
            UpgradeRefusedError: the server refuses it.
        """
        ...


class MemoryLine:
    """Calls an ASGI app in this process: no sockets, so the call runs on a ``MockClock`` too.

    What the app raises is not hidden: it comes out of the call.

    Args:
        app: any ASGI app that serves the webhook and the media socket, such as ``session.app``.
        public_url: the origin that the app believes to have; signatures are made over it.
    """

    def __init__(self, app: ASGIApp, public_url: str = "https://voice.example.test") -> None:
        self._app = app
        self._public_url = public_url.rstrip("/")

    @property
    def public_url(self) -> str:
        """The origin under which the app is known to the carrier."""
        return self._public_url

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Posts a webhook."""
        parts: list[ASGIMessage] = []
        requests: list[ASGIMessage] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> ASGIMessage:
            await trio.lowlevel.checkpoint()
            return requests.pop() if requests else {"type": "http.disconnect"}

        async def send(message: ASGIMessage) -> None:
            await trio.lowlevel.checkpoint()
            parts.append(message)

        await self._app({**_scope("http", url, headers), "method": "POST"}, receive, send)
        status = next((part["status"] for part in parts if part["type"] == "http.response.start"), 500)
        return WebhookAnswer(
            status, b"".join(part.get("body", b"") for part in parts if part["type"] == "http.response.body")
        )

    @asynccontextmanager
    async def open_media(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[LineSocket]:
        """Opens a media socket.

        Raises:
            UpgradeRefusedError: the app refuses it, or does not answer within 10 seconds.
            trio.TooSlowError: the app did not end within 30 seconds after the socket closed.
        """
        scope = {**_scope("websocket", url, headers), "subprotocols": []}
        scope["extensions"] = {"websocket.http.response": {}}
        socket = _MemorySocket()
        async with trio.open_nursery() as nursery:
            ended = trio.Event()
            nursery.start_soon(self._serve, scope, socket, ended)
            with trio.move_on_after(_ANSWER_SECONDS):
                await socket.answered.wait()
            if not socket.answered.is_set():
                socket.refusal = f"the media socket was not answered within {_ANSWER_SECONDS:g} s"
                nursery.cancel_scope.cancel()
            if socket.refusal is None:
                try:
                    yield socket
                finally:
                    socket.close()
            with trio.fail_after(_END_SECONDS):
                await ended.wait()
        if socket.refusal is not None:
            raise UpgradeRefusedError(socket.refusal)

    async def _serve(self, scope: ASGIMessage, socket: _MemorySocket, ended: trio.Event) -> None:
        await self._app(scope, socket.app_receive, socket.app_send)
        socket.app_end()
        ended.set()


def _scope(kind: str, url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    parts = urlsplit(url)
    secure = parts.scheme in ("https", "wss")
    names: Sequence[tuple[str, str]] = (("host", parts.netloc), *headers.items())
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": parts.scheme,
        "path": unquote(parts.path) or "/",
        "raw_path": (parts.path or "/").encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in names],
        "client": _CLIENT,
        "server": (parts.hostname or "", parts.port or (443 if secure else 80)),
    }


class _MemorySocket:
    """A WebSocket between carrier and app: a bounded channel each way, and the answer to the upgrade."""

    def __init__(self) -> None:
        self._to_app, self._app_inlet = trio.open_memory_channel[str](_SOCKET_MESSAGES)
        self._to_carrier, self._carrier_inlet = trio.open_memory_channel[str | bytes](_SOCKET_MESSAGES)
        self.answered = trio.Event()
        self.refusal: str | None = None
        self._connect_sent = False
        self._close_code = 1000

    async def send(self, message: str) -> None:
        try:
            await self._to_app.send(message)
        except trio.ClosedResourceError:
            raise trio.BrokenResourceError("the media socket is closed") from None

    async def receive(self) -> str | bytes:
        return await self._carrier_inlet.receive()

    def close_sending(self) -> None:
        self._close_code = 1006
        self._to_app.close()

    def abort(self) -> None:
        self._close_code = 1006

    def close(self) -> None:
        self._to_app.close()
        self._carrier_inlet.close()

    async def app_receive(self) -> ASGIMessage:
        if not self._connect_sent:
            self._connect_sent = True
            await trio.lowlevel.checkpoint()
            return {"type": "websocket.connect"}
        try:
            return {"type": "websocket.receive", "text": await self._app_inlet.receive()}
        except (trio.EndOfChannel, trio.ClosedResourceError):
            return {"type": "websocket.disconnect", "code": self._close_code, "reason": ""}

    async def app_send(self, message: ASGIMessage) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            text = message.get("text")
            try:
                await self._to_carrier.send(text if text is not None else message["bytes"])
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # ASGI: sending after a disconnect raises a subclass of OSError.
                raise ConnectionResetError("the carrier closed the media socket") from None
            return
        await trio.lowlevel.checkpoint()
        if kind == "websocket.accept":
            self.answered.set()
        elif kind == "websocket.close":
            self._refuse(403)
            self._to_carrier.close()
            self._app_inlet.close()
        elif kind == "websocket.http.response.start":
            self._refuse(message["status"])

    def app_end(self) -> None:
        """The app returned: an upgrade it did not answer is an error of its own, an open socket breaks."""
        self._refuse(500)
        self._to_carrier.close()
        self._app_inlet.close()

    def _refuse(self, status: int) -> None:
        if not self.answered.is_set():
            self.refusal = f"the media socket was refused with HTTP {status}"
            self.answered.set()
