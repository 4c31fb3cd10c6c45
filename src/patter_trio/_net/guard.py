"""HTTP to addresses that users or models may influence, and that must not reach into our own network.

The name is resolved once, every address it has is checked, and the connection goes to one of those that
were: nobody can answer the check with one address and the connection with another. TLS and the ``Host``
header keep the name. Redirects are not followed, no proxy is used (it would resolve for itself), and no
other scheme than HTTP is spoken. ``guarded_websocket.py`` does the same for WebSockets.
"""

from __future__ import annotations

import functools
import logging
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any, TypeVar

import httpcore2
import httpx2
import trio

from ..errors import PatterConfigError, PatterConnectionError
from .addresses import blocked_address, blocked_name, read_address

__all__ = [
    "BlockedAddressError",
    "check_headers",
    "check_url",
    "first_to_answer",
    "open_guarded_client",
    "resolve_public",
    "system_tls",
    "url_problem",
]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")

_log = logging.getLogger("patter_trio.net")

# A dead address must not use up the time of the ones behind it.
_PATIENCE_SECONDS = 2.0

_KEEPALIVE_SECONDS = 120.0

_HTTP = ("http", "https")

StreamT = TypeVar("StreamT")


class BlockedAddressError(PatterConnectionError):
    """A name leads to an address that may not be called."""


def url_problem(url: str, *, allow_private: bool = False, schemes: tuple[str, ...] = _HTTP) -> str | None:
    """What forbids a web address as it is written, or ``None``; no name is resolved for this."""
    try:
        parts = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError, ValueError):
        return "it is not a web address"
    if parts.scheme not in schemes:
        return f"only {' and '.join(schemes)} are called"
    if not parts.host:
        return "it names no host"
    return _host_problem(parts.host, allow_private)


def _host_problem(host: str, allow_private: bool) -> str | None:
    address = read_address(host)
    if address is None:
        why = blocked_name(host, allow_private=allow_private)
    else:
        why = blocked_address(address, allow_private=allow_private)
    return f"its host is {why}" if why else None


def check_url(
    url: str,
    *,
    allow_private: bool = False,
    what: str = "the web address",
    schemes: tuple[str, ...] = _HTTP,
) -> None:
    """Refuses an address that may not be called, as it is written.

    Raises:
        PatterConfigError: it may not be called. The address itself is not shown: it may hold keys.
    """
    problem = url_problem(url, allow_private=allow_private, schemes=schemes)
    if problem:
        private = problem.endswith("private")
        raise PatterConfigError(
            f"{what} may not be called: {problem}",
            hint="allow_private=True is for services of your own network" if private else None,
        )


def check_headers(headers: Any) -> None:
    """Refuses headers that cannot be sent.

    Raises:
        PatterConfigError: they are no names with values, or hold what no header may. The values are not
            shown: they are keys, usually.
    """
    if not isinstance(headers, Mapping):
        raise PatterConfigError("headers must be a mapping of names to values")
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.match(name):
            raise PatterConfigError(f"headers: {name!r} is not the name of a header")
        if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
            raise PatterConfigError(
                f"headers: the value of {name} holds characters that no header may",
                hint="plain ASCII; a key that was read from a file needs .strip()",
            )


async def resolve_public(host: str, port: int, *, allow_private: bool = False) -> list[str]:
    """The addresses of a host, all of them checked; connect to these, not to the name.

    Raises:
        BlockedAddressError: the name, or one of its addresses, may not be called.
        OSError: the name is unknown.
    """
    problem = _host_problem(host, allow_private)
    if problem:
        raise BlockedAddressError(f"{host} may not be called: {problem}")
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is not the name of a host") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        why = blocked_address(ip_address(address), allow_private=allow_private)
        if why:
            # One private address among public ones is a trick, or about to become one. Which address it
            # is stands in our log only: models and callers need not learn it.
            _log.warning("%s leads to %s, which is %s: not called", host, address, why)
            raise BlockedAddressError(f"{host} may not be called: it leads to an address that is {why}")
    if not addresses:
        raise OSError(f"{host!r} has no address")
    return addresses


async def first_to_answer(
    addresses: list[str],
    deadline: float,
    connect: Callable[[str, float], Awaitable[StreamT]],
    failures: tuple[type[Exception], ...],
    failure: Exception,
) -> StreamT:
    """Connects to the addresses in turn until one answers; ``failure`` stands for no time to try any."""
    for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
        patience = deadline - trio.current_time()
        patience = min(patience, _PATIENCE_SECONDS) if left else patience
        if patience <= 0:
            break
        try:
            return await connect(address, patience)
        except failures as error:
            failure = error
    raise failure


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections to checked addresses only."""

    def __init__(self, allow_private: bool, inner: httpcore2.AsyncNetworkBackend | None = None) -> None:
        self._allow_private = allow_private
        self._inner: Any = inner or httpcore2.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        deadline = trio.current_time() + (float("inf") if timeout is None else timeout)
        addresses: list[str] = []
        with trio.move_on_at(deadline):
            try:
                addresses = await resolve_public(host, port, allow_private=self._allow_private)
            except (OSError, BlockedAddressError) as error:
                raise httpcore2.ConnectError(str(error)) from error

        async def connect(address: str, patience: float) -> httpcore2.AsyncNetworkStream:
            stream: httpcore2.AsyncNetworkStream = await self._inner.connect_tcp(
                address,
                port,
                timeout=None if patience == float("inf") else patience,
                local_address=local_address,
                socket_options=socket_options,
            )
            return stream

        late = httpcore2.ConnectTimeout("resolving the name took too long")
        failures = (httpcore2.ConnectError, httpcore2.ConnectTimeout)
        return await first_to_answer(addresses, deadline, connect, failures, late)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.ConnectError("sockets of this machine may not be called")

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class _GuardedTransport(httpx2.AsyncHTTPTransport):
    """The library's transport over our backend, which its own constructor does not take."""

    def __init__(self, backend: httpcore2.AsyncNetworkBackend) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=system_tls(),
            max_connections=None,
            keepalive_expiry=_KEEPALIVE_SECONDS,
            http1=True,
            http2=False,
            network_backend=backend,
        )


@functools.cache
def system_tls() -> ssl.SSLContext:
    """The certificates that this machine trusts."""
    # Loading the certificates blocks for tens of milliseconds: once per process, not per client.
    return httpx2.create_ssl_context(trust_env=True)


@asynccontextmanager
async def open_guarded_client(
    *,
    allow_private: bool = False,
    timeout: float = 10.0,
    headers: Mapping[str, str] | None = None,
    backend: httpcore2.AsyncNetworkBackend | None = None,
) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client that reaches public addresses only; what it refuses is a ``httpx2.ConnectError``.

    Args:
        allow_private: loopback and private networks may be called too, metadata services still not.
        timeout: seconds of silence after which a request is given up; connecting has at most 5 s of it.
        headers: sent with every request.
        backend: opens the connections to checked addresses, in place of the real network.
    """
    async with httpx2.AsyncClient(
        transport=_GuardedTransport(_GuardedBackend(allow_private, backend)),
        timeout=httpx2.Timeout(timeout, connect=min(timeout, 5.0)),
        headers=dict(headers or {}),
        follow_redirects=False,
        trust_env=False,
    ) as client:
        yield client
