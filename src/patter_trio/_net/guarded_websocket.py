"""WebSockets to addresses that users may influence, and that must not reach into our own network.

As ``guard.py`` has it for HTTP: the name is resolved once, every address it has is checked, and the
connection goes to one of those; TLS and the ``Host`` header keep the name, and no proxy is used.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2
import trio

from ..errors import PatterConnectionError
from .guard import BlockedAddressError, check_url, first_to_answer, resolve_public, system_tls
from .websocket import WebSocket, open_websocket

__all__ = ["open_guarded_stream", "open_guarded_websocket"]


async def open_guarded_stream(
    url: str,
    *,
    allow_private: bool = False,
    timeout: float = 10.0,
    tls: ssl.SSLContext | None = None,
) -> trio.abc.Stream:
    """Connects to the host of a ``ws://`` or ``wss://`` URL, for :func:`open_websocket` with ``stream=``.

    With ``wss`` the stream is encrypted, and the certificate is checked against the name in the URL.

    Args:
        url: where to; nothing of it is sent.
        allow_private: loopback and private networks may be called too, metadata services still not.
        timeout: seconds for name look-up, TCP and TLS together.
        tls: certificates to trust in place of the system's.

    Raises:
        PatterConfigError: the URL may not be called, as it is written.
        BlockedAddressError: its name leads to an address that may not be called.
        PatterConnectionError: it cannot be reached, or not in time.
    """
    check_url(url, allow_private=allow_private, what="the WebSocket", schemes=("ws", "wss"))
    parts = httpx2.URL(url)
    # Names of other scripts as they are asked for in the network.
    host = parts.raw_host.decode("ascii")
    secure = parts.scheme == "wss"
    with trio.move_on_after(timeout):
        stream = await _connect(host, parts.port or (443 if secure else 80), allow_private, timeout)
        return await _encrypt(stream, host, tls or system_tls()) if secure else stream
    raise PatterConnectionError(f"{host} did not answer within {timeout:g} s")


async def _connect(host: str, port: int, allow_private: bool, timeout: float) -> trio.SocketStream:
    async def connect(address: str, patience: float) -> trio.SocketStream:
        with trio.fail_after(patience):
            return await trio.open_tcp_stream(address, port)

    deadline = trio.current_time() + timeout
    try:
        addresses = await resolve_public(host, port, allow_private=allow_private)
        late = trio.TooSlowError()
        return await first_to_answer(addresses, deadline, connect, (OSError, trio.TooSlowError), late)
    except BlockedAddressError:
        raise
    except OSError as error:
        raise PatterConnectionError(f"{host}:{port} cannot be reached: {error.strerror or error}") from error
    except trio.TooSlowError as error:
        raise PatterConnectionError(f"{host}:{port} did not answer within {timeout:g} s") from error


async def _encrypt(stream: trio.SocketStream, host: str, tls: ssl.SSLContext) -> trio.abc.Stream:
    encrypted = trio.SSLStream(stream, tls, server_hostname=host, https_compatible=True)
    done = False
    try:
        await encrypted.do_handshake()
        done = True
    except (trio.BrokenResourceError, ssl.SSLError) as error:
        raise PatterConnectionError(f"no TLS with {host}: {error.__cause__ or error}") from error
    finally:
        if not done:
            await trio.aclose_forcefully(stream)
    return encrypted


@asynccontextmanager
async def open_guarded_websocket(
    url: str,
    *,
    allow_private: bool = False,
    headers: Mapping[str, str] | None = None,
    connect_timeout: float = 10.0,
    max_size: int = 4 * 1024 * 1024,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[WebSocket]:
    """A WebSocket that reaches public addresses only, otherwise as :func:`open_websocket`.

    Raises:
        PatterConfigError: the URL may not be called, as it is written.
        PatterError: as :func:`open_guarded_stream` and :func:`open_websocket` raise.
    """
    began = trio.current_time()
    stream = await open_guarded_stream(url, allow_private=allow_private, timeout=connect_timeout, tls=tls)
    try:
        left = max(0.0, connect_timeout - (trio.current_time() - began))
        async with open_websocket(
            url, headers=headers, connect_timeout=left, max_size=max_size, stream=stream
        ) as socket:
            yield socket
    finally:
        # Closed already, unless the URL is one that only open_websocket refuses.
        await trio.aclose_forcefully(stream)
