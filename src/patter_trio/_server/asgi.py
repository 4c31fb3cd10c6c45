"""The media socket inside someone else's ASGI server."""

from __future__ import annotations

import trio
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from .house import House, UpgradeRequest
from .request import joined_headers, raw_target

__all__ = ["AsgiSocket", "MediaEndpoint"]

_MESSAGE_LIMIT = 64 * 1024
_CLOSE_DEADLINE = 1.0
_NORMAL = 1000
_TOO_BIG = 1009


class AsgiSocket:
    """A :class:`patter_trio.abc.MediaSocket` over an accepted ASGI WebSocket.

    ASGI cannot send without waiting, so :meth:`send_nowait` never takes anything and the call's writer does
    all the sending.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._ended = False
        # True while somebody waits in receive, and for good once there is nothing more to hear.
        self._deaf = False

    async def receive(self) -> str | bytes:
        """The next message.

        Raises:
            trio.EndOfChannel: the far side closed, or sent more than 64 KiB in one message.
        """
        if self._ended:
            raise trio.EndOfChannel
        event = await self._next_event()
        if event is None:
            raise trio.EndOfChannel
        text, data = event.get("text"), event.get("bytes")
        message: str | bytes = text if text is not None else data or b""
        # A character is at least a byte: no need to encode the text to know that it is too large.
        if len(message) > _MESSAGE_LIMIT:
            await self._close(_TOO_BIG)
            raise trio.EndOfChannel
        return message

    def send_nowait(self, message: str) -> bool:
        """Always ``False``."""
        return False

    async def send(self, message: str) -> None:
        """Sends, waiting for the server.

        Raises:
            trio.BrokenResourceError: the connection is gone.
        """
        if self._ended:
            raise trio.BrokenResourceError("the WebSocket is closed")
        try:
            await self._send({"type": "websocket.send", "text": message})
        except OSError as error:  # what ASGI's specification has a server raise after a disconnect
            self._ended = True
            raise trio.BrokenResourceError("the WebSocket is closed") from error

    async def aclose(self) -> None:
        """Says goodbye, even when the call was cancelled, and waits a moment for the far side's."""
        with trio.move_on_after(_CLOSE_DEADLINE, shield=True):
            if not self._ended:
                await self._close(_NORMAL)
            # Some servers leave tasks behind when an application returns before the disconnect.
            while not self._deaf and await self._next_event() is not None:
                pass

    async def _close(self, code: int) -> None:
        self._ended = True
        try:
            await self._send({"type": "websocket.close", "code": code})
        except OSError:
            self._deaf = True

    async def _next_event(self) -> Message | None:
        """The next message event, ``None`` for the disconnect and ever after."""
        self._deaf = True
        heard = False
        try:
            event = await self._receive()
            heard = event["type"] != "websocket.disconnect"
        finally:
            self._deaf = False
        if heard:
            return event
        self._ended = self._deaf = True
        return None


class MediaEndpoint:
    """The ASGI application behind ``/ws/{kind}/{token}``."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accepts or refuses the upgrade and carries the stream."""
        await receive()  # websocket.connect
        client = scope.get("client")
        upgrade = UpgradeRequest(
            target=raw_target(scope),
            headers=joined_headers(Headers(scope=scope)),
            peer=f"{client[0]}:{client[1]}" if client else "",
        )
        status = self._house.refuse_media(upgrade)
        if status is not None:
            await _refuse(scope, send, status)
            return
        await send({"type": "websocket.accept"})
        socket = AsgiSocket(receive, send)
        try:
            await self._house.run_media(socket, upgrade)
        finally:
            await socket.aclose()


async def _refuse(scope: Scope, send: Send, status: int) -> None:
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})  # the server says 403
        return
    await send({"type": "websocket.http.response.start", "status": status, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b""})
