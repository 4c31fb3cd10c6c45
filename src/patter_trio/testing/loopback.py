"""The way over real sockets, in real time: to a server on this machine or elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import httpx2
import trio

from .._net.websocket import WebSocket, open_websocket
from ..errors import AuthenticationError, PatterConfigError, PatterConnectionError, RemoteProtocolError
from .line import LineSocket, UpgradeRefusedError, WebhookAnswer

__all__ = ["LoopbackLine"]


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
        """Opens a media socket.

        Raises:
            UpgradeRefusedError: the server refuses it, or cannot be reached any more.
        """
        with suppress(_Cut):
            async with AsyncExitStack() as stack:
                opening = open_websocket(self._reachable(url, "ws"), headers=headers)
                try:
                    socket = _Socket(await stack.enter_async_context(opening))
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


class _Cut(Exception):  # noqa: N818 (never leaves this module)
    """Leaves the socket's block without a goodbye."""


class _Socket:
    """A WebSocket client as the carrier's end of a media stream."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
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

    def abort(self) -> None:
        self.cut = True
