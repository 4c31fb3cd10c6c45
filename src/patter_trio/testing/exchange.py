"""The telephone exchange that simulated carriers share: subscribers, legs, webhooks; a vendor gives the skin.

One block hosts a vendor's REST API and runs every call, in both directions::

    async with open_exchange(SimulatedTwilio(), line) as exchange:
        exchange.book["+15550100001"] = AnsweringMachine("not at home")
        ...  # whoever is tested places a call at exchange.url, or by exchange.transport in virtual time
        await exchange.wait_quiet()
        assert exchange.book["+15550100001"].messages == ["call us back"]
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Protocol

import trio

from .caller import Caller
from .conditions import LineConditions
from .detection import MachineDetection
from .farwire import FarWire
from .instructions import Document, OpenStream
from .legevents import LegEvent
from .legs import Direction, Instruct, Leg
from .line import Line
from .outcome import CallOutcome
from .post import Post, Webhook
from .rest import serve_api
from .restapi import RestApi, RestTransport
from .rooms import Room, Seat
from .subscribers import Person, Subscriber, Unreachable
from .wordsound import FRAME_SECONDS

__all__ = ["Exchange", "Skin", "Vendor", "open_exchange"]

# Above what scripts and agents number their utterances with.
_CARRIER_SERIALS = 1_000_000


class Skin(Protocol):
    """What a vendor makes of an exchange: ids, REST, webhooks, media. Everything but ``offer`` is pure."""

    @property
    def rest(self) -> RestApi:
        """The vendor's REST API: :meth:`RestApi.carry_out` acts by ``exchange.place`` and on the legs."""
        ...

    @property
    def number(self) -> str:
        """The number of ours that is called, where a call does not say."""
        ...

    @property
    def caller(self) -> str:
        """Who calls it, where a call does not say."""
        ...

    @property
    def lead_limit(self) -> float:
        """Seconds of unplayed audio above which the server counts as unpaced."""
        ...

    @property
    def stays_when_done(self) -> bool:
        """Whether a call without instructions waits for more (Telnyx) instead of ending (Twilio, Plivo)."""
        ...

    def leg_id(self, number: int) -> str:
        """The id of the exchange's n-th leg."""
        ...

    async def offer(self, leg: Leg) -> Document | None:
        """Asks the server what to do with a call that comes in: ``leg.exchange.post.ask(…)``.

        Returns its instructions; ``()`` where they come by the REST API; ``None`` after ending the leg.
        """
        ...

    def webhooks(self, leg: Leg, event: LegEvent) -> Iterable[Webhook]:
        """What the server is told of an event, signed."""
        ...

    def far_wire(self, leg: Leg, order: OpenStream, number: int) -> tuple[str, FarWire]:
        """The id and the carrier's side of the leg's n-th media stream."""
        ...

    def media_headers(self, leg: Leg, url: str) -> Mapping[str, str]:
        """The headers of a media socket's upgrade."""
        ...


class Vendor(Protocol):
    """A simulated carrier, which puts a skin on an exchange."""

    def open_skin(self, exchange: Exchange) -> Skin:
        """The vendor's face of this exchange."""
        ...


class Exchange:
    """Runs the legs of one simulated carrier; made by :func:`open_exchange`.

    Attributes:
        book: who answers at which number; whoever is not in it is unreachable.
        conditions: the line of every leg, and those of single numbers in ``conditions_of``.
        detection: how long the machine detector takes.
        post: the webhooks: their faults and what became of them.
        rest: the REST API: its faults and what was asked of it.
        url: where the REST API listens, for a carrier's ``base_url``.
        transport: the same without a socket, for a carrier's ``transport``.
        legs: every leg by its id, in the order in which they began.
        rooms: the conferences that are going on.
    """

    def __init__(self, vendor: Vendor, line: Line, nursery: trio.Nursery) -> None:
        self.line = line
        self.book: dict[str, Subscriber] = {}
        self.conditions = LineConditions()
        self.conditions_of: dict[str, LineConditions] = {}
        self.detection = MachineDetection()
        self.post = Post(line, nursery)
        self.legs: dict[str, Leg] = {}
        self.rooms: dict[str, Room] = {}
        self.seats: dict[str, Seat] = {}
        self.url = ""
        self._nursery = nursery
        self._numbers = count(1)
        self._serials = count(_CARRIER_SERIALS)
        self.skin = vendor.open_skin(self)
        self.rest = self.skin.rest
        self.transport = RestTransport(self.rest)

    async def call(
        self,
        caller: Caller,
        *,
        from_number: str = "",
        to: str = "",
        patience: float = 60.0,
        conditions: LineConditions | None = None,
    ) -> CallOutcome:
        """Somebody calls a number of ours and follows a script; returns when the call is over.

        Args:
            caller: the script, from the answer on.
            from_number: who calls; the simulated carrier's own caller, if empty.
            to: who is called; the simulated carrier's own number, if empty.
            patience: after so many seconds without an answer they hang up.
            conditions: the line; that of the exchange, if left out.
        """
        leg = self._begin(
            "inbound",
            from_number or self.skin.caller,
            to or self.skin.number,
            Person(caller),
            self.skin.offer,
            ring_seconds=patience,
            conditions=conditions,
        )
        await leg.done.wait()
        return leg.outcome

    def place(
        self,
        to: str,
        caller: str,
        instruct: Instruct,
        *,
        direction: Direction = "outbound",
        parent: Leg | None = None,
        ring_seconds: float = 60.0,
        max_seconds: float | None = None,
        detection: MachineDetection | None = None,
        details: object = None,
    ) -> Leg:
        """Calls a number; the leg goes its way by itself.

        Args:
            to: who is looked up in the book.
            caller: the number that is shown.
            instruct: gets the leg's instructions when it was answered.
            direction: ``dialled`` where another leg's instructions call.
            parent: that leg.
            ring_seconds: how long it may ring.
            max_seconds: how long it may be up.
            detection: how the carrier listens for machines, ``exchange.detection`` as a rule; or not.
            details: the vendor's own record of the call.
        """
        return self._begin(
            direction,
            caller,
            to,
            self.book.get(to, Unreachable()),
            instruct,
            parent=parent,
            ring_seconds=ring_seconds,
            max_seconds=max_seconds,
            detection=detection,
            details=details,
        )

    def _begin(
        self,
        direction: Direction,
        caller: str,
        callee: str,
        subscriber: Subscriber,
        instruct: Instruct,
        *,
        conditions: LineConditions | None = None,
        parent: Leg | None = None,
        ring_seconds: float = 60.0,
        max_seconds: float | None = None,
        detection: MachineDetection | None = None,
        details: object = None,
    ) -> Leg:
        leg = Leg(
            *(self, self.skin.leg_id(next(self._numbers)), direction, caller, callee, subscriber, instruct),
            conditions=conditions or self.conditions_of.get(callee, self.conditions),
            ring_seconds=ring_seconds,
            max_seconds=max_seconds,
            detection=detection,
            parent=parent,
            details=details,
        )
        self.legs[leg.leg_id] = leg
        self._nursery.start_soon(leg.run)
        return leg

    def tell(self, leg: Leg, event: LegEvent) -> None:
        """Sends the webhooks of something that happened to a leg."""
        for webhook in self.skin.webhooks(leg, event):
            self.post.send(webhook)

    def next_serial(self) -> int:
        """A number for what the carrier's own voice says next."""
        return next(self._serials)

    @property
    def outcomes(self) -> dict[str, CallOutcome]:
        """What became of every leg, by its id."""
        return {leg_id: leg.outcome for leg_id, leg in self.legs.items()}

    async def wait_until(self, condition: Callable[[], bool], *, timeout: float = 600.0) -> None:
        """Waits until the condition holds, about the exchange or anything else; looks every 20 ms.

        Raises:
            trio.TooSlowError: it did not hold within ``timeout`` seconds.
        """
        with trio.fail_after(timeout):
            while not condition():  # noqa: ASYNC110 (what changes may be anywhere, in the server too)
                await trio.sleep(FRAME_SECONDS)

    async def wait_quiet(self) -> None:
        """Waits until no leg is up and every webhook was delivered."""
        while not (self.post.quiet.is_set() and all(leg.done.is_set() for leg in self.legs.values())):
            for leg in tuple(self.legs.values()):
                await leg.done.wait()
            await self.post.quiet.wait()


@asynccontextmanager
async def open_exchange(vendor: Vendor, line: Line, *, port: int | None = 0) -> AsyncIterator[Exchange]:
    """Opens an exchange for the length of the block; calls that are up at its end are hung up.

    Args:
        vendor: whose exchange it is.
        line: how its webhooks and media streams reach the server under test.
        port: where its REST API listens on loopback; ``None`` for nowhere.
    """
    async with trio.open_nursery() as nursery:
        exchange = Exchange(vendor, line, nursery)
        if port is None:
            yield exchange
            await _clear(exchange)
        else:
            async with serve_api(exchange.rest, port=port) as exchange.url:
                yield exchange
                await _clear(exchange)


async def _clear(exchange: Exchange) -> None:
    for leg in exchange.legs.values():
        leg.hang_up("carrier")
    await exchange.wait_quiet()
