"""The exchange is no vendor's: another skin has other webhooks, and calls that wait for commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest
import trio
from trio.testing import MockClock

from patter_trio.testing import Busy, Caller, Exchange, MemoryLine, Person, open_exchange

from .plain_vendor import PlainVendor

THEIRS = "+15550100001"
PATIENT = Caller().waits_for_hang_up(timeout=60)


class Office:
    """A server that is told, and acts on a call when its webhook comes."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []
        self.sockets: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            self.sockets.append(dict(scope["headers"])[b"authorization"].decode())
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                pass
            return
        self.told.append(msgspec.json.decode((await receive())["body"]))
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b""})

    def what(self, call: str) -> list[str]:
        return [
            said.get("what", "offered") + said.get("cause", "") for said in self.told if said["call"] == call
        ]


@asynccontextmanager
async def exchanging() -> AsyncIterator[tuple[Exchange, Office, httpx2.AsyncClient]]:
    office = Office()
    async with (
        open_exchange(PlainVendor(), MemoryLine(office), port=None) as exchange,
        httpx2.AsyncClient(transport=exchange.transport, base_url="https://api.example.test") as client,
    ):
        yield exchange, office, client


async def command(client: httpx2.AsyncClient, call: str, what: str, **more: str) -> int:
    return (await client.post(f"/calls/{call}/{what}", json=more)).status_code


async def test_a_call_that_comes_in_is_answered_by_a_command_and_stays(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, office, client):

        async def act() -> None:
            await exchange.wait_until(lambda: sorted(office.what("leg-1")) == ["began", "offered"])
            assert exchange.legs["leg-1"].status == "ringing"
            assert await command(client, "leg-1", "answer") == 200
            await trio.sleep(5)
            assert exchange.legs["leg-1"].ended is None
            await command(client, "leg-1", "speak", text="one moment")
            await exchange.wait_until(lambda: office.what("leg-1")[-1] == "spoke")
            await command(client, "leg-1", "stream", url="wss://voice.example.test/ws")
            await exchange.wait_until(lambda: office.sockets == ["plain"])
            await command(client, "leg-1", "speak-over", text="meanwhile")
            await trio.sleep(2)
            await command(client, "leg-1", "hangup")
            assert await command(client, "leg-1", "hangup") == 422

        async with trio.open_nursery() as nursery:
            nursery.start_soon(act)
            outcome = await exchange.call(PATIENT)
        await exchange.wait_quiet()
    assert (outcome.heard, outcome.ended_by) == ("one moment meanwhile", "agent")
    assert office.what("leg-1")[2:] == ["answered", "spoke", "endedcompleted"]


@pytest.mark.parametrize("who", [Busy(), Person(Caller().says("hi").waits(1).hangs_up())])
async def test_a_transfer_that_is_over_leaves_the_call_waiting(
    who: Busy | Person, autojump_clock: MockClock
) -> None:
    async with exchanging() as (exchange, office, client):
        exchange.book |= {THEIRS: Person(PATIENT), "+15550100002": who}
        call = (await client.post("/calls", json={"to": THEIRS})).json()["call"]
        await exchange.wait_until(lambda: "answered" in office.what(call))
        await command(client, call, "dial", to="+15550100002")
        await exchange.wait_until(lambda: len(exchange.legs) == 2)
        await exchange.legs["leg-2"].done.wait()
        await trio.sleep(5)
        assert exchange.legs[call].status == "in_progress"
        await command(client, call, "hangup")
        await exchange.wait_quiet()
    assert office.what("leg-2")[-1] == ("endedbusy" if isinstance(who, Busy) else "endedcompleted")
    assert exchange.outcomes[call].heard == ("" if isinstance(who, Busy) else "hi")


async def test_two_calls_meet_in_a_room_by_command(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, _, client):
        exchange.book |= {THEIRS: Person(Caller().waits(2).says("hello you").waits(1).hangs_up())}
        exchange.book |= {"+15550100002": Person(PATIENT)}
        for number in list(exchange.book):
            call = (await client.post("/calls", json={"to": number})).json()["call"]
            await exchange.legs[call].answered.wait()
            await command(client, call, "join")
        await exchange.legs["leg-1"].done.wait()
        await command(client, "leg-2", "hangup")
        await exchange.wait_quiet()
    assert exchange.outcomes["leg-2"].heard == "hello you"


async def test_a_caller_whom_nobody_answers_hangs_up(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, office, _):
        began = trio.current_time()
        outcome = await exchange.call(PATIENT, patience=7, from_number="+15550100009", to="+15550001235")
        await exchange.wait_quiet()
        assert trio.current_time() - began == 7
    (leg,) = exchange.legs.values()
    assert (leg.caller, leg.callee) == ("+15550100009", "+15550001235")
    assert (outcome.ended_by, outcome.refusal) == ("refused", "canceled")
    assert office.what("leg-1")[-1] == "endedcanceled"
