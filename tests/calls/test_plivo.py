"""Whole calls at Plivo where it differs from the others: marks at a clear, formats, documents it fetches."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from patter_trio import Plivo
from patter_trio.events import LINEAR_8K, LINEAR_16K, AudioFormat
from patter_trio.testing import (
    Caller,
    LineConditions,
    MarksAtClear,
    NoAnswer,
    Person,
    ScriptedLLM,
    SimulatedPlivo,
    WebhookFault,
)

from .exchanged import DESK, THEM, VENDORS, House, at_the_exchange
from .plain_line import KnowingSTT
from .ring import LONG, agent

(PLIVO,) = [way for way in VENDORS if way.name == "plivo"]
INTERRUPTION = (
    Caller()
    .waits_for_agent()
    .says("when are you open")
    .barges_in("and the price of a loaf", after=1.1)
    .waits_for_agent()
    .hangs_up()
)


@pytest.mark.parametrize("policy", ["forgotten", "unanswered", "returned"])
@pytest.mark.parametrize("late", [0.0, 0.5])
def test_history_is_what_was_heard_whatever_becomes_of_marks_at_a_clear(
    policy: MarksAtClear, late: float
) -> None:
    llm = ScriptedLLM([LONG, "Four dollars."])

    async def body(house: House) -> None:
        house.exchange.conditions = LineConditions(
            one_way_delay_ms=60, jitter_ms=20, marks_at_clear=policy, marks_late=late, marks_late_ms=400
        )
        outcome = await house.exchange.call(INTERRUPTION)
        assert outcome.ok, outcome.steps
        assert outcome.frames_after_clear == 0
        assert len(outcome.clears) == 1
        assert not outcome.violations
        (result,) = house.session.results
        said = " ".join(entry.text for entry in result.history if entry.role == "assistant").split()
        # A word that was cut in the middle is heard by half an ear.
        assert said[: len(said) - 3] == outcome.heard.split()[: len(said) - 3]
        assert abs(len(said) - len(outcome.heard.split())) <= 1

    at_the_exchange(PLIVO, body, agent(llm))


@pytest.mark.parametrize("audio", [LINEAR_8K, LINEAR_16K])
def test_a_call_in_another_format_is_understood(audio: AudioFormat) -> None:
    # Word sound is for 8 kHz only, so what is said is known beforehand.
    who = agent(ScriptedLLM(["We open at nine."]), stt=KnowingSTT(["when do you open"]))

    def carrier(simulated: SimulatedPlivo, way_in: dict[str, Any]) -> Plivo:
        return Plivo(simulated.auth_id, simulated.auth_token, audio=audio, **way_in)

    async def body(house: House) -> None:
        script = Caller().waits_for_agent().says("when do you open").waits_for_agent().hangs_up()
        outcome = await house.exchange.call(script)
        assert outcome.ok, outcome.steps
        assert not outcome.violations
        (leg,) = house.exchange.legs.values()
        assert leg.streams[0].received._far.audio == audio
        (result,) = house.session.results
        said = [entry.text for entry in result.history]
        assert said == ["Hello, this is the desk.", "when do you open", "We open at nine."]

    at_the_exchange(attrs.evolve(PLIVO, carrier=carrier), body, who)


def test_a_document_that_is_asked_for_twice_is_given_twice() -> None:
    async def body(house: House) -> None:
        house.exchange.book[DESK] = Person(Caller().says("the desk").waits(1).hangs_up())
        house.exchange.post.fail(WebhookFault("document", gateway_errors=0, copies=2))

        async def give_away() -> None:
            await trio.sleep(6)
            (call,) = house.session.calls.values()
            await call.transfer(DESK)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(give_away)
            outcome = await house.exchange.call(Caller().waits_for_agent().waits(20).hangs_up())
        assert [each.status for each in house.exchange.post.of("document")] == [200, 200]
        assert "the desk" in outcome.ear.text()

    at_the_exchange(PLIVO, body)


def test_a_call_that_still_rings_is_ended_and_no_other_is() -> None:
    async def body(house: House) -> None:
        house.exchange.book |= {THEM: NoAnswer(), DESK: Person(Caller().waits(20).hangs_up())}
        other, outgoing = await house.session.call(DESK), await house.session.call(THEM)
        await trio.sleep(5)
        await outgoing.hangup()
        await outgoing
        by_callee = {leg.callee: leg for leg in house.exchange.legs.values()}
        assert by_callee[THEM].status == "ended"
        assert by_callee[DESK].status == "in_progress"
        deleted = [each.path for each in house.exchange.rest.requests if each.method == "DELETE"]
        assert deleted
        assert not any(path.endswith("/Call/") for path in deleted)
        assert (await other).outcome == "answered"

    at_the_exchange(PLIVO, body)
