"""The real Twilio carrier on the exchange: what it asks for is done, and what it is told it reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import attrs
import pytest
import trio
from trio.testing import MockClock

from patter_trio._server.app import build_app
from patter_trio.abc import WebhookRequest
from patter_trio.carriers import Twilio
from patter_trio.events import CallInfo
from patter_trio.telephony import (
    CallOrder,
    CallOver,
    GreetingEnded,
    Links,
    MachineVerdict,
    Notice,
    RecordingSaved,
    StreamOrder,
    TransferEnded,
    TransferOrder,
    WebhookReply,
)
from patter_trio.testing import (
    AnsweringMachine,
    Busy,
    Caller,
    Exchange,
    MemoryLine,
    Person,
    SimulatedTwilio,
    open_exchange,
)

from .exchange_desk import ORIGIN, OTHER, OURS, SOCKET, THEIRS
from .toy_agent import TOKEN, ToyAgent

pytest.importorskip("patter_trio._wire.twiml_rooms", reason="the carrier cannot call out here")

LINKS = Links(ORIGIN, "twilio", "token")
INFO = CallInfo("CA" + "0" * 32, OURS, THEIRS, "inbound")
STREAM = StreamOrder(SOCKET, LINKS, {"token": "t"})
PATIENT = Caller().waits(0.5).says("hello").waits_for_hang_up(timeout=90)


@attrs.define(eq=False)
class House(ToyAgent):
    """Reads webhooks with the real carrier, takes calls, and takes callers back."""

    notices: list[Notice] = attrs.field(factory=list[Notice])
    live: Any = None
    carrier: Any = None

    async def answer_webhook(self, kind: str, what: str, request: WebhookRequest) -> WebhookReply:
        self.carrier.verify(request)
        notice = self.carrier.read_notice(what, request)
        if notice is not None:
            self.notices.append(notice)
        if isinstance(notice, TransferEnded) and not notice.answered:
            info = attrs.evolve(INFO, call_id=notice.call_id)
            return cast("WebhookReply", await self.live.take_back(notice, info, STREAM))
        if what in ("voice", "answer"):
            return cast("WebhookReply", await self.live.answer(INFO, STREAM))
        return WebhookReply(status=204)

    def of(self, kind: type[Any]) -> list[Any]:
        return [notice for notice in self.notices if isinstance(notice, kind)]


@asynccontextmanager
async def housing() -> AsyncIterator[tuple[Exchange, Any, House]]:
    house, twilio = House(greeting="good day"), SimulatedTwilio()
    line = MemoryLine(cast("Any", build_app(house)))
    async with open_exchange(twilio, line, port=None) as exchange:
        settings: dict[str, Any] = {"transport": exchange.transport}
        house.carrier = Twilio(account_sid=twilio.account_sid, auth_token=TOKEN, **settings)
        async with house.carrier.open() as house.live:
            yield exchange, house.live, house


async def test_a_machine_is_called_and_left_a_message(autojump_clock: MockClock) -> None:
    machine = AnsweringMachine("nobody is here")
    async with housing() as (exchange, live, house):
        exchange.book[THEIRS] = machine
        placed = await live.place(CallOrder(THEIRS, OURS, STREAM, machine_detection=True))
        await exchange.wait_until(lambda: bool(house.of(MachineVerdict)))
        assert (await live.read_state(placed)).status == "in_progress"
        await live.speak(placed.call_id, "call us back")
        await exchange.wait_quiet()
        assert (await live.read_state(placed)).ended_as == "completed"
    (verdict,) = house.of(MachineVerdict)
    assert (verdict.verdict, verdict.greeting_over) == ("machine", True)
    assert house.of(GreetingEnded) == []
    assert machine.messages == ["call us back"]
    (over,) = house.of(CallOver)
    assert over.ended_as == "completed"
    assert over.seconds is not None


@pytest.mark.parametrize("mode", ["cold", "warm"])
async def test_a_transfer_that_nobody_takes_comes_back(mode: Any, autojump_clock: MockClock) -> None:
    async with housing() as (exchange, live, house):
        exchange.book |= {OTHER: Busy(), THEIRS: Person(PATIENT)}
        placed = await live.place(CallOrder(THEIRS, OURS, STREAM))
        leg = exchange.legs[placed.call_id]
        await exchange.wait_until(lambda: "good day" in leg.phone.ear.text())
        await live.transfer(placed.call_id, TransferOrder(OTHER, LINKS, mode, OURS, "about a bill"))
        await exchange.wait_until(lambda: leg.phone.ear.text().count("good day") == 2)
        await live.hang_up(placed.call_id)
        await exchange.wait_quiet()
    (ended, *_) = house.of(TransferEnded)
    assert (ended.answered, ended.call_id) == (False, placed.call_id)
    assert len(leg.streams) == 2


@pytest.mark.parametrize("mode", ["cold", "warm"])
async def test_a_transfer_that_somebody_takes_connects_them(mode: Any, autojump_clock: MockClock) -> None:
    human = Person(Caller().waits(4).says("this is a human").waits(2).hangs_up())
    async with housing() as (exchange, live, house):
        exchange.book |= {OTHER: human, THEIRS: Person(PATIENT)}
        placed = await live.place(CallOrder(THEIRS, OURS, STREAM))
        leg = exchange.legs[placed.call_id]
        await exchange.wait_until(lambda: "good day" in leg.phone.ear.text())
        recording_id = await live.start_recording(placed.call_id, LINKS)
        await live.transfer(placed.call_id, TransferOrder(OTHER, LINKS, mode, OURS, "about a bill"))
        await exchange.wait_until(lambda: bool(house.of(TransferEnded)))
        await live.stop_recording(placed.call_id, recording_id)
        await live.hang_up(placed.call_id)
        await exchange.wait_quiet()
        (saved,) = house.of(RecordingSaved)
        async with live.fetch_recording(saved) as pieces:
            sound = b"".join([piece async for piece in pieces])
    assert all(ended.answered for ended in house.of(TransferEnded))
    assert leg.phone.ear.text().endswith("this is a human")
    heard = [one.heard for leg_id, one in exchange.outcomes.items() if leg_id != placed.call_id]
    assert heard == ["about a bill" if mode == "warm" else ""]
    assert sound.startswith(b"RIFF")


async def test_the_account_and_its_numbers(autojump_clock: MockClock) -> None:
    async with housing() as (exchange, live, _):
        assert await live.check() == "Simulated account"
        before = await live.route_number(OURS, f"{ORIGIN}/webhooks/twilio/voice?v=2")
        assert before.voice_url == f"{ORIGIN}/webhooks/twilio/voice"
        assert (await live.read_number(OURS)).voice_url.endswith("?v=2")
        outcome = await exchange.call(Caller().waits_for_agent().hangs_up())
    assert outcome.heard == "good day"


async def test_a_call_is_canceled_while_it_rings(autojump_clock: MockClock) -> None:
    async with housing() as (exchange, live, house):
        exchange.book[THEIRS] = Person(PATIENT, answers_after=20)
        placed = await live.place(CallOrder(THEIRS, OURS, STREAM))
        await trio.sleep(2)
        await live.cancel(placed)
        await live.cancel(placed)
        await exchange.wait_quiet()
    assert [over.ended_as for over in house.of(CallOver)] == ["canceled"]
