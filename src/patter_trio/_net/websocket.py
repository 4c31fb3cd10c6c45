"""The WebSocket client for providers: one connection, opened with a deadline, errors in our own words."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.protocol import Event
from websockets.uri import WebSocketURI, parse_uri

from ..errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    RateLimitError,
    RemoteProtocolError,
)
from .frames import FrameSocket
from .pipes import Pipe, pipe_over

__all__ = ["WebSocket", "open_websocket"]

# The library's own would write every header of a handshake where debugging is on: the keys are there.
_log = logging.getLogger("patter_trio.net.websocket")
_log.setLevel(logging.INFO)

_READ_SIZE = 64 * 1024
_QUOTED = 300
"""Bytes of a refusal's body that are repeated in the error: vendors say there what is wrong."""

_CLEAN_CODES = (1000, 1001, 1005)
"""Normal closure, going away, and a close frame without a code (RFC 6455 7.4.1)."""


class WebSocket:
    """An open connection to a provider: messages out, messages in, also by ``async for``.

    Any number of tasks may send; one at a time may receive.
    """

    def __init__(self, frames: FrameSocket, host: str) -> None:
        self._frames = frames
        self._host = host

    @property
    def close_code(self) -> int | None:
        """The code of the provider's close frame (RFC 6455 7.4), ``None`` while there is none."""
        return self._frames.close_code

    @property
    def close_reason(self) -> str:
        """The reason in the provider's close frame."""
        return self._frames.close_reason

    async def send(self, message: str | bytes) -> None:
        """Sends a text or binary message, waiting for room.

        Raises:
            PatterConnectionError: the connection is gone.
        """
        try:
            await self._frames.send(message)
        except trio.BrokenResourceError as error:
            raise self._ending() or PatterConnectionError(f"{self._host} closed the connection") from error

    async def receive(self) -> str | bytes:
        """The next message.

        Raises:
            trio.EndOfChannel: the provider closed with 1000, 1001 or no code.
            PatterConnectionError: it closed with another code, or the connection broke.
            RemoteProtocolError: it sent what the protocol forbids, or a message above ``max_size``.
        """
        try:
            return await self._frames.receive()
        except trio.EndOfChannel:
            ending = self._ending()
            if ending is None:
                raise
            raise ending from None

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    def _ending(self) -> RemoteProtocolError | PatterConnectionError | None:
        broken = self._frames.protocol_error
        if broken is not None:
            return RemoteProtocolError(f"{self._host} broke the WebSocket protocol: {broken}")
        code = self._frames.close_code
        if code is None:
            return PatterConnectionError(f"the connection to {self._host} was lost")
        if code not in _CLEAN_CODES:
            reason = self._frames.close_reason or "no reason given"
            return PatterConnectionError(f"{self._host} closed the connection: {code} {reason}")
        return None


@asynccontextmanager
async def open_websocket(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    connect_timeout: float = 10.0,
    close_timeout: float = 1.0,
    max_size: int = 4 * 1024 * 1024,
    tls: ssl.SSLContext | None = None,
    stream: trio.abc.Stream | None = None,
) -> AsyncIterator[WebSocket]:
    """Connects to ``ws://`` or ``wss://`` for the length of the block.

    Leaving the block normally says goodbye, for at most ``close_timeout``, whatever is still unread; leaving
    it by an exception or a cancellation closes at once.

    Args:
        url: where to, path and query included.
        headers: more request headers, such as the authorization.
        connect_timeout: seconds for name look-up, TCP, TLS and the opening handshake together.
        close_timeout: seconds to wait for the far side's goodbye.
        max_size: largest message taken, in bytes.
        tls: certificates to trust in place of the system's.
        stream: an open connection to use in place of a new one.

    Raises:
        PatterConfigError: the URL is not one of a WebSocket.
        PatterConnectionError: it cannot be reached, took too long, or refused for no better known reason.
        AuthenticationError: it refused with 401 or 403.
        RateLimitError: it refused with 429.
        RemoteProtocolError: what it answered is no WebSocket handshake.
    """
    try:
        address = parse_uri(url)
    except InvalidURI as error:
        raise PatterConfigError(f"not a ws:// or wss:// URL: {error.msg}") from error
    pipe: Pipe | None = None
    opened: FrameSocket | None = None
    left_normally = False
    try:
        with trio.move_on_after(connect_timeout):
            pipe = pipe_over(stream or await _connect(address, tls), read_size=_READ_SIZE)
            opened = await _shake_hands(pipe, address, headers or {}, max_size, close_timeout)
        if opened is None:
            raise PatterConnectionError(f"{address.host} did not answer within {connect_timeout:g} s")
        yield WebSocket(opened, address.host)
        left_normally = True
    finally:
        if opened is None:
            if pipe is not None:
                await pipe.aclose()
        elif left_normally:
            await opened.aclose()
        else:
            await opened.abandon()


async def _connect(address: WebSocketURI, tls: ssl.SSLContext | None) -> trio.abc.Stream:
    try:
        stream = await trio.open_tcp_stream(address.host, address.port)
    except OSError as error:
        raise PatterConnectionError(
            f"{address.host}:{address.port} cannot be reached: {error.strerror or error}"
        ) from error
    if not address.secure:
        return stream
    context = tls or ssl.create_default_context()
    encrypted = trio.SSLStream(stream, context, server_hostname=address.host, https_compatible=True)
    done = False
    try:
        await encrypted.do_handshake()
        done = True
    except (trio.BrokenResourceError, ssl.SSLError) as error:
        raise PatterConnectionError(
            f"no TLS with {address.host}:{address.port}: {error.__cause__ or error}"
        ) from error
    finally:
        if not done:
            await trio.aclose_forcefully(stream)
    return encrypted


async def _shake_hands(
    pipe: Pipe, address: WebSocketURI, headers: Mapping[str, str], max_size: int, close_timeout: float
) -> FrameSocket:
    protocol = ClientProtocol(address, max_size=max_size, logger=_log)
    request = protocol.connect()
    for name, value in headers.items():
        request.headers[name] = value
    protocol.send_request(request)
    events: list[Event] = []
    try:
        await pipe.write(bytearray(b"".join(protocol.data_to_send())))
        while not events and protocol.handshake_exc is None:
            data = await pipe.read()
            if data:
                protocol.receive_data(data)
            else:
                protocol.receive_eof()
            events = protocol.events_received()
    except trio.BrokenResourceError as error:
        raise PatterConnectionError(f"{address.host} broke off the opening handshake") from error
    if protocol.handshake_exc is not None:
        raise _refusal(address.host, protocol.handshake_exc) from protocol.handshake_exc
    frames = FrameSocket(pipe, protocol, close_deadline=close_timeout)
    # Frames that came in the same read as the answer are the first messages.
    frames.take(events)
    return frames


def _refusal(host: str, error: Exception) -> PatterError:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        said = bytes(error.response.body or b"")[:_QUOTED].decode("utf-8", "replace").strip()
        text = f"{host} refused the WebSocket with {status} {error.response.reason_phrase}"
        kind: dict[int, type[PatterError]] = {
            401: AuthenticationError,
            403: AuthenticationError,
            429: RateLimitError,
        }
        return kind.get(status, PatterConnectionError)(f"{text}: {said}" if said else text)
    if isinstance(error.__cause__, EOFError):
        return PatterConnectionError(f"{host} broke off the opening handshake")
    return RemoteProtocolError(f"{host} does not speak WebSocket: {error}")
