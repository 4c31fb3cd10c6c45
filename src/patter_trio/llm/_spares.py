"""Connections that are open before they are needed.

A turn that is cancelled takes its connection with it, and the next turn of a caller who interrupts would wait
for a new one: TCP and TLS to a vendor are 50 to 150 ms. So another is opened as soon as one is lost, and the
first of all when the provider is opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import attrs
import httpx2
import trio

from .._net.http import open_body, read_beginning
from ..errors import PatterError
from ._background import Background, open_background

__all__ = ["Loan", "Spares", "knock", "open_spares"]

# When a house hangs up at once, that many connections are replaced at a time.
_AT_ONCE = 4

# Opening a spare connection is a favour; one that takes longer has missed its turn.
_WARM_SECONDS = 5.0

# Read to its end, so that the connection stays; no list of models is as long.
_WARM_BYTES = 1024 * 1024

Warm = Callable[[], Awaitable[None]]


@attrs.define
class Loan:
    """The connection of one answer; ``returned`` once the next one may use it."""

    returned: bool = False


@attrs.define
class Spares:
    """Opens a connection for each one that is lost; ``warm`` makes a request that costs nothing."""

    _background: Background
    _warm: Warm | None
    _opening: int = 0

    def open_one(self) -> None:
        """Opens one in the background."""
        if self._warm is not None and self._opening < _AT_ONCE and self._background.start(self._open):
            self._opening += 1

    async def _open(self) -> None:
        try:
            if self._warm is not None:
                with trio.move_on_after(_WARM_SECONDS):
                    await self._warm()
        finally:
            self._opening -= 1

    @contextmanager
    def lent(self) -> Iterator[Loan]:
        """The connection that the block asks over; one that does not come back is replaced."""
        loan = Loan()
        try:
            yield loan
        except PatterError:
            loan.returned = True  # or never open: a far end that fails is not knocked at once more
            raise
        finally:
            if not loan.returned:
                self.open_one()


@asynccontextmanager
async def open_spares(warm: Warm | None) -> AsyncIterator[Spares]:
    """Spare connections for the length of the block, a first one being opened; without ``warm``, none."""
    async with open_background() as background:
        spares = Spares(background, warm)
        spares.open_one()
        yield spares


async def knock(client: httpx2.AsyncClient, url: str, headers: Mapping[str, str] | None = None) -> None:
    """Asks for something small, so that a connection is open afterwards; never fails."""
    try:
        async with (
            client.stream("GET", url, headers=dict(headers or {})) as answer,
            open_body(answer) as received,
        ):
            await read_beginning(received, _WARM_BYTES)
    except httpx2.HTTPError:
        return
