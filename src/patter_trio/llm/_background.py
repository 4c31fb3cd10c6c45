"""Work of a provider that goes on beside its answers, and ends with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from .._foreign import unwrapped

__all__ = ["Background", "open_background"]


@attrs.define
class Background:
    """Where such work is started; nothing is any more once the provider is closing."""

    _nursery: trio.Nursery
    _closed: bool = False

    def start(self, work: Callable[..., Awaitable[Any]], *args: Any) -> bool:
        """Starts it, and says whether it did: an answer may outlive its provider by a moment."""
        if not self._closed:
            self._nursery.start_soon(work, *args)
        return not self._closed

    def close(self) -> None:
        """Ends all of it."""
        self._closed = True
        self._nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_background() -> AsyncIterator[Background]:
    """A place for background work, for the length of the block."""
    try:
        async with trio.open_nursery() as nursery:
            background = Background(nursery)
            try:
                yield background
            finally:
                background.close()
    except BaseExceptionGroup as group:
        # One failure is one exception to the owner: nobody outside opened this nursery.
        failure = unwrapped(group)
        if failure is group:
            raise
        raise failure from failure.__cause__
