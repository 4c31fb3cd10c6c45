"""What the HTTP clients of this package share."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx2

__all__ = ["open_body", "read_beginning"]


@asynccontextmanager
async def open_body(response: httpx2.Response) -> AsyncIterator[AsyncIterable[bytes]]:
    """The body of a streamed response, piece by piece; leaving in the middle of it hangs up."""
    received = response.aiter_bytes()
    try:
        yield received
    finally:
        await response.aclose()
        # The transport leaves a generator of its own to the collector (httpx2 2.16, which trio warns of);
        # read on, it ends at the closed connection.
        with suppress(httpx2.HTTPError, httpx2.StreamError):
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
