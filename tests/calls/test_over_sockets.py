"""Calls at each carrier over real sockets and in real time, all of them at once."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from patter_trio.events import DigitReceived
from patter_trio.testing import AnsweringMachine, Busy, Caller, NoAnswer, Person, ScriptedLLM

from .exchange import keys_heard
from .exchanged import DESK, VENDORS, House, Way, over_sockets
from .ring import agent

PERSON, MACHINE, BUSY, NOBODY = "+15550000001", "+15550000002", "+15550000003", "+15550000004"
MESSAGE = "This is the bakery. Please call us back."
PATIENCE = 90.0


@pytest.mark.parametrize("way", [pytest.param(way, id=way.name) for way in VENDORS])
async def test_everything_at_once(way: Way) -> None:
    events: list[Any] = []
    llm = ScriptedLLM(["We open at nine."] * 9)
    # Where no carrier says that a greeting is over (Plivo), 3 s of silence do.
    machine = AnsweringMachine("nobody is here", answers_after=1.0, patience=6.0)
    ended: dict[str, Any] = {}

    async def call(house: House, number: str, **options: Any) -> None:
        ended[number] = await (await house.session.call(number, **options))

    async def press_keys(house: House) -> None:
        """Somebody is called, greeted, and hears keys pressed."""
        outgoing = await house.session.call(PERSON)
        running = await outgoing.wait_up()
        assert running is not None
        await trio.sleep(4)
        await running.send_dtmf("12#")
        ended[PERSON] = await outgoing
        leg = house.exchange.legs[outgoing.call_id]
        in_band = "".join(key for key, _ in keys_heard(leg.outcome.ear))
        assert "12#" in (leg.keys_heard, in_band), (leg.keys_heard, in_band)

    async def give_away(house: House) -> None:
        """A caller is given to a desk that is busy, comes back, presses keys and is answered."""
        script = (
            Caller()
            .waits_for_agent()
            .waits_until(lambda ear: "nobody answered" in ear.text(), timeout=40)
            .waits_for_agent()
            .presses("42#")
            .waits_until(lambda ear: "at nine." in ear.text())
            .hangs_up()
        )

        async def transfer() -> None:
            await trio.sleep(5)
            (running,) = (call for call in house.session.calls.values() if call.info.direction == "inbound")
            await running.transfer(DESK)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(transfer)
            outcome = await house.exchange.call(script)
        assert outcome.ok, outcome.steps
        ended["back"] = outcome

    with trio.fail_after(PATIENCE):
        async with (
            over_sockets(way, agent(llm), on_event=events.append) as house,
            trio.open_nursery() as nursery,
        ):
            house.exchange.book |= {
                PERSON: Person(Caller().waits(0.3).says("hello").waits_for_agent().waits(6).hangs_up()),
                MACHINE: machine,
                BUSY: Busy(),
                NOBODY: NoAnswer(),
                DESK: Busy(),
            }
            nursery.start_soon(press_keys, house)
            nursery.start_soon(lambda: call(house, MACHINE, voicemail_message=MESSAGE))
            nursery.start_soon(call, house, BUSY)
            nursery.start_soon(lambda: call(house, NOBODY, ring_timeout=5))
            nursery.start_soon(give_away, house)
    outcomes = {number: ended[number].outcome for number in (PERSON, MACHINE, BUSY, NOBODY)}
    assert outcomes == {PERSON: "answered", MACHINE: "voicemail", BUSY: "busy", NOBODY: "no_answer"}
    assert machine.messages == [MESSAGE]
    assert ended["back"].frames_after_clear == 0
    digits = [event.digit for event in events if isinstance(event, DigitReceived)]
    assert digits == ["4", "2", "#"]
