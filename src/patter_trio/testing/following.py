"""A leg follows its instructions one after the other, until it is redirected or over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from .instructions import Document, Instruction
    from .legs import Instruct, Leg

__all__ = ["follow_instructions"]


async def follow_instructions(leg: Leg, instruct: Instruct) -> None:
    """Gets the first instructions of a leg, and follows what it is told until it is over."""
    document = await _cut(leg, lambda: instruct(leg)) or ()
    while not leg.over.is_set():
        if leg.taken.is_set():
            leg.taken = trio.Event()
            document, leg.redirected_to = leg.redirected_to or (), None
        elif document:
            instruction, document = document[0], document[1:]
            replacement = await _perform(leg, instruction)
            document = document if replacement is None else replacement
        elif leg.exchange.skin.stays_when_done:
            await leg.taken.wait()
        else:
            leg.answer()
            leg.hang_up()


async def _perform(leg: Leg, instruction: Instruction) -> Document | None:
    if instruction.ends_itself:
        return await instruction.perform(leg)
    return await _cut(leg, lambda: instruction.perform(leg))


async def _cut(leg: Leg, act: Callable[[], Awaitable[Document | None]]) -> Document | None:
    """Does something until the leg is taken elsewhere, at most."""
    result: Document | None = None
    async with trio.open_nursery() as nursery:

        async def watch(taken: trio.Event) -> None:
            await taken.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch, leg.taken)
        result = await act()
        nursery.cancel_scope.cancel()
    return result
