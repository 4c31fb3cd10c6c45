"""The way over real sockets, in real time: to a server on this machine or elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import httpx2
import trio
from trio.socket import SHUT_WR, SocketType

from .._net.websocket import WebSocket, open_websocket
from ..errors import AuthenticationError, PatterConfigError, PatterConnectionError, RemoteProtocolError
from .line import LineSocket, UpgradeRefusedError, WebhookAnswer

__all__ = ["LoopbackLine"]

_CONNECT_SECONDS = 10.0


class LoopbackLine:
    """Calls a server that listens at ``base_url``.

    Args:
        base_url: where the server really is, e.g. ``http://127.0.0.1:8000``.
        public_url: the origin under which the server believes to be known, over which signatures are made;
            ``base_url`` where there is no other.

    Raises:
        PatterConfigError: a URL that is not one of HTTP.
    """

    def __init__(self, base_url: str, public_url: str | None = None) -> None:
        self._base = urlsplit(base_url)
        self._public_url = (public_url or base_url).rstrip("/")
        for parts in (self._base, urlsplit(self._public_url)):
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise PatterConfigError(f"not an HTTP address: {parts.geturl()!r}")

    @property
    def public_url(self) -> str:
        """The origin under which the server is known to the carrier."""
        return self._public_url

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Posts a webhook.

        Raises:
            PatterConnectionError: the server cannot be reached.
        """
        try:
            async with httpx2.AsyncClient(
                timeout=None, trust_env=False, verify=url.startswith("https")
            ) as client:
                answer = await client.post(self._reachable(url, "http"), content=body, headers=dict(headers))
        except httpx2.TransportError as error:
            raise PatterConnectionError(f"{self._base.netloc} cannot be reached: {error}") from error
        return WebhookAnswer(answer.status_code, answer.content)

    @asynccontextmanager
    async def open_media(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[LineSocket]:
        """Opens a media socket; half of it can only be closed where there is no TLS.

        Raises:
            UpgradeRefusedError: the server refuses it, or cannot be reached any more.
        """
        reachable = self._reachable(url, "ws")
        with suppress(_Cut):
            async with AsyncExitStack() as stack:
                try:
                    stream = await _connect(reachable)
                    twin = stack.enter_context(stream.socket.dup()) if stream else None
                    opening = open_websocket(reachable, headers=headers, stream=stream)
                    socket = _Socket(await stack.enter_async_context(opening), twin)
                except (AuthenticationError, PatterConnectionError, RemoteProtocolError) as error:
                    raise UpgradeRefusedError(str(error)) from error
                yield socket
                if socket.cut:
                    raise _Cut

    def _reachable(self, url: str, scheme: str) -> str:
        """The same path on the server itself, where ``url`` is one of the public origin."""
        asked = urlsplit(url)
        if asked.netloc != urlsplit(self._public_url).netloc:
            return url
        secure = "s" if self._base.scheme == "https" else ""
        return urlunsplit((scheme + secure, self._base.netloc, asked.path, asked.query, ""))


async def _connect(url: str) -> trio.SocketStream | None:
    """Connects, where that is all there is to it: TLS is for the one who opens the WebSocket."""
    parts = urlsplit(url)
    if parts.scheme != "ws" or parts.hostname is None:
        return None
    with trio.move_on_after(_CONNECT_SECONDS):
        try:
            return await trio.open_tcp_stream(parts.hostname, parts.port or 80)
        except OSError as error:
            raise PatterConnectionError(f"{parts.netloc} cannot be reached: {error}") from error
    raise PatterConnectionError(f"{parts.netloc} did not answer within {_CONNECT_SECONDS:g} s")


class _Cut(Exception):  # noqa: N818 (never leaves this module)
    """Leaves the socket's block without a goodbye."""


class _Socket:
    """A WebSocket client as the carrier's end of a media stream."""

    def __init__(self, websocket: WebSocket, twin: SocketType | None) -> None:
        self._websocket = websocket
        self._twin = twin
        self.cut = False

    async def send(self, message: str) -> None:
        try:
            await self._websocket.send(message)
        except PatterConnectionError as error:
            raise trio.BrokenResourceError(str(error)) from error

    async def receive(self) -> str | bytes:
        try:
            return await self._websocket.receive()
        except (PatterConnectionError, RemoteProtocolError) as error:
            raise trio.EndOfChannel(str(error)) from error

    def close_sending(self) -> None:
        if self._twin is None:
            raise PatterConfigError("TLS cannot be closed by half; call the server at an http:// address")
        # The far side may be gone already.
        with suppress(OSError):
            self._twin.shutdown(SHUT_WR)

    def abort(self) -> None:
        self.cut = True
