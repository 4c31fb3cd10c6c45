"""The instruction that calls another number and connects the two."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar

import attrs
import trio

from .instructions import Document
from .legevents import DialEnded
from .rooms import Room

if TYPE_CHECKING:
    from .legs import Leg

__all__ = ["Dial"]


@attrs.frozen
class Dial:
    """Calls another number and connects the two when it answers.

    Args:
        number: who is called.
        caller_id: what is shown; the leg's own caller, if empty.
        ring_seconds: how long it may ring.
        max_seconds: how long they may talk.
        first: gets what the other leg does before the two are connected, if anything.
        answers_late: whether the calling leg is answered only when the other one is.
        then: gets the instructions that replace those behind this one, from how it went; ``None`` to go on.
        details: the vendor's own record, given to the other leg and to :class:`DialEnded`.
    """

    number: str
    caller_id: str = ""
    ring_seconds: float = 30.0
    max_seconds: float | None = None
    first: Callable[[Leg], Awaitable[Document | None]] | None = attrs.field(default=None, repr=False)
    answers_late: bool = False
    then: Callable[[Leg, DialEnded], Awaitable[Document | None]] | None = attrs.field(
        default=None, repr=False
    )
    details: object = None
    ends_itself: ClassVar[bool] = False

    async def perform(self, leg: Leg) -> Document | None:
        """Calls, connects, waits until one of the two hangs up."""
        if not self.answers_late:
            leg.answer()
        room, bridged = Room(), trio.Event()
        child = leg.exchange.place(
            self.number,
            self.caller_id or leg.caller,
            self._instruct(room, bridged),
            direction="dialled",
            parent=leg,
            ring_seconds=self.ring_seconds,
            max_seconds=self.max_seconds,
            details=self.details,
        )
        try:
            await _either(bridged, child.over)
            if bridged.is_set():
                leg.answer()
                leg.transferred_to = self.number
                with room.enter() as seat, leg.connected(seat):
                    await child.over.wait()
        finally:
            child.hang_up()
            assert child.ended is not None
            answered = child.answered_at is not None
            ended = DialEnded(child, answered, child.ended.cause, child.ended.seconds, self.details)
            leg.tell(ended)
        return None if self.then is None else await self.then(leg, ended)

    def _instruct(self, room: Room, bridged: trio.Event) -> Callable[[Leg], Awaitable[Document | None]]:
        async def instruct(child: Leg) -> Document:
            before = None if self.first is None else await self.first(child)
            return (*(before or ()), _Bridge(room, bridged))

        return instruct


@attrs.frozen
class _Bridge:
    room: Room
    bridged: trio.Event
    ends_itself: ClassVar[bool] = False

    async def perform(self, leg: Leg) -> Document | None:
        with self.room.enter() as seat, leg.connected(seat):
            self.bridged.set()
            await trio.sleep_forever()


async def _either(*events: trio.Event) -> None:
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)
