"""A session behind a simulated carrier: REST, signed webhooks and media streams, in virtual time or not."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from patter_trio import Agent, Patter, Plivo, Session, Telnyx, Twilio
from patter_trio.abc import Carrier
from patter_trio.testing import (
    Exchange,
    Line,
    LoopbackLine,
    MemoryLine,
    SimulatedPlivo,
    SimulatedTelnyx,
    SimulatedTwilio,
    open_exchange,
    run_virtual,
)

from .ring import NUMBER, URL, agent

__all__ = ["VENDORS", "House", "Later", "Way", "at_the_exchange", "over_sockets"]

THEM = "+15557654321"
DESK = "+15557650000"


@attrs.frozen
class Way:
    """A carrier, from both sides."""

    name: str
    simulated: Callable[[], Any]
    carrier: Callable[[Any, dict[str, Any]], Carrier]


def _twilio(simulated: SimulatedTwilio, way_in: dict[str, Any]) -> Carrier:
    return Twilio(
        account_sid=simulated.account_sid,
        auth_token=simulated.auth_token,
        calls_per_second=50.0,
        **way_in,
    )


def _telnyx(simulated: SimulatedTelnyx, way_in: dict[str, Any]) -> Carrier:
    return Telnyx(
        simulated.api_key,
        simulated.connection_id,
        simulated.public_key,
        calls_per_second=50.0,
        **way_in,
    )


def _plivo(simulated: SimulatedPlivo, way_in: dict[str, Any]) -> Carrier:
    return Plivo(simulated.auth_id, simulated.auth_token, calls_per_second=50.0, **way_in)


VENDORS = [
    Way("twilio", lambda: SimulatedTwilio(number=NUMBER, caller=THEM), _twilio),
    Way("telnyx", lambda: SimulatedTelnyx(number=NUMBER, caller=THEM), _telnyx),
    Way("plivo", lambda: SimulatedPlivo(number=NUMBER, caller=THEM), _plivo),
]


@attrs.frozen
class House:
    """What a test has in its hands."""

    exchange: Exchange
    session: Session
    way: Way


class Later:
    """The app of a session that is opened after the exchange."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@asynccontextmanager
async def _open(way: Way, who: Agent | None, options: dict[str, Any]) -> AsyncIterator[House]:
    later, simulated = Later(), way.simulated()
    line: Line = MemoryLine(later, URL)
    async with open_exchange(simulated, line, port=None) as exchange:
        carrier = way.carrier(simulated, {"transport": exchange.transport})
        async with Patter(carrier, NUMBER, URL).session(who, port=None, **options) as session:
            later.app = session.app
            yield House(exchange, session, way)


def at_the_exchange(
    way: Way, body: Callable[[House], Awaitable[None]], who: Agent | None = None, **options: Any
) -> None:
    """Runs ``body`` in virtual time; afterwards nothing of it is left."""

    async def main() -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        async with _open(way, who or agent(), options) as house:
            await body(house)
            with trio.fail_after(120):
                await house.exchange.wait_quiet()
        assert trio.lowlevel.current_statistics().tasks_living == before, "tasks were left behind"

    run_virtual(main)


@asynccontextmanager
async def over_sockets(way: Way, who: Agent, **options: Any) -> AsyncIterator[House]:
    """The same in real time, over sockets of this machine."""
    simulated = way.simulated()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    async with open_exchange(simulated, LoopbackLine(f"http://127.0.0.1:{port}")) as exchange:
        carrier = way.carrier(simulated, {"base_url": exchange.url})
        async with Patter(carrier, NUMBER).session(who, port=port, **options) as session:
            yield House(exchange, session, way)
            await exchange.wait_quiet()
