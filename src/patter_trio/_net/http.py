"""What the HTTP clients of this package share.

``http`` is the library of a client: :mod:`httpx2`, or the older ``httpx`` where a vendor's SDK insists on it.
Both name what they share alike.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from typing import Any

import httpx2

__all__ = ["is_web_address", "open_body", "open_client", "read_beginning"]

# A warm connection must outlive the caller's pauses; the libraries' own 5 s does not.
_KEEPALIVE_SECONDS = 120.0


def open_client(
    http: Any = httpx2,
    *,
    timeout: float | None,
    connect_timeout: float = 10.0,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """A client of ``http`` that keeps its connections warm; to be entered.

    ``timeout`` is for each silence of the far end; ``None`` where whoever asks has deadlines of its own.

    HTTP/1.1 only: a stream that is cancelled on HTTP/2 runs on at the far end and is billed. Without a limit
    of connections nobody waits for one, and the older library's pool is poisoned by those who stop waiting.
    """
    return http.AsyncClient(
        headers=dict(headers or {}),
        timeout=http.Timeout(timeout, connect=min(timeout or connect_timeout, connect_timeout)),
        limits=http.Limits(max_connections=None, keepalive_expiry=_KEEPALIVE_SECONDS),
        http2=False,
        event_hooks={"request": [partial(_plain_body, http)]},
    )


async def _plain_body(http: Any, request: Any) -> None:
    """Has the request's body sent by an iterator in place of a generator.

    A request that is cancelled while it is being sent leaves a generator to the collector, which trio warns
    of.
    """
    request.stream = _plain_body_kind(http)(request.content)


@cache
def _plain_body_kind(http: Any) -> Any:
    return type("PlainBody", (_PlainBody, http.AsyncByteStream), {})


class _PlainBody:
    def __init__(self, content: bytes) -> None:
        self._parts = iter((content,))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for part in self._parts:
            return part
        raise StopAsyncIteration


@asynccontextmanager
async def open_body(response: Any, http: Any = httpx2) -> AsyncIterator[AsyncIterable[bytes]]:
    """The body of a streamed response, piece by piece; leaving in the middle of it hangs up."""
    received = response.aiter_bytes()
    try:
        yield received
    finally:
        await response.aclose()
        # The transport leaves a generator of its own to the collector (httpx2 2.16, which trio warns of);
        # read on, it ends at the closed connection.
        with suppress(http.HTTPError, http.StreamError):
            async for _ in received:
                pass


async def read_beginning(received: AsyncIterable[bytes], limit: int) -> bytes:
    """The first ``limit`` bytes of a body, read until at least that many came or it ended."""
    body = b""
    async for data in received:
        body += data
        if len(body) >= limit:
            break
    return body[:limit]


def is_web_address(url: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Whether the text is a whole URL of one of these schemes."""
    try:
        parts = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError):
        return False
    return parts.scheme in schemes and bool(parts.host)
