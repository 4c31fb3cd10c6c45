"""Whole calls at each carrier: its REST API, signed webhooks and media streams, in both directions."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import pytest
import trio

from patter_trio import Call, CallResult
from patter_trio.events import DigitReceived
from patter_trio.telephony import RecordingSaved, Refusal
from patter_trio.testing import (
    AnsweringMachine,
    Busy,
    Caller,
    Declines,
    Fax,
    NoAnswer,
    Person,
    ScriptedLLM,
    Unreachable,
    WebhookFault,
)

from .exchange import keys_heard
from .exchanged import DESK, THEM, VENDORS, House, Way, at_the_exchange
from .ring import LONG, NUMBER, agent

ways = pytest.mark.parametrize("way", [pytest.param(way, id=way.name) for way in VENDORS])
MESSAGE = "This is the bakery. Please call us back."
HELLO = Caller().waits(0.4).says("hello").waits_for_agent(quiet=1.2)


# --- calls that come in -------------------------------------------------------------------------------------


@ways
def test_a_whole_call_with_a_question_and_an_interruption(way: Way) -> None:
    llm = ScriptedLLM([LONG, "Four dollars."])

    async def body(house: House) -> None:
        script = (
            Caller()
            .waits_for_agent()
            .says("when are you open")
            .barges_in("and the price of a loaf", after=1.1)
            .waits_for_agent()
            .hangs_up()
        )
        outcome = await house.exchange.call(script)
        assert outcome.ok, outcome.steps
        assert outcome.frames_after_clear == 0
        assert not outcome.violations
        (result,) = house.session.results
        assert (result.outcome, result.reason) == ("answered", "caller_hung_up")
        said = " ".join(entry.text for entry in result.history if entry.role == "assistant")
        assert said.split() == outcome.heard.split(), "history is what the ear received"
        assert result.history[0].text == "Hello, this is the desk."

    at_the_exchange(way, body, agent(llm))


@ways
def test_the_agent_hangs_up_and_the_call_is_over_at_the_carrier_too(way: Way) -> None:
    async def goodbye(event: Any, call: Any) -> str:
        await call.hangup()
        return "Goodbye."

    async def body(house: House) -> None:
        outcome = await house.exchange.call(
            Caller().waits_for_agent().says("that is all").waits_for_hang_up(timeout=10)
        )
        assert outcome.ok, outcome.steps
        (leg,) = house.exchange.legs.values()
        assert leg.status == "ended"
        assert house.session.results[-1].reason == "agent_hung_up"

    at_the_exchange(way, body, agent(on_message=goodbye))


@ways
@pytest.mark.parametrize(
    "refusal", [Refusal("busy"), Refusal("rejected"), Refusal("said", "We are closed today.")]
)
def test_a_call_that_is_not_taken(way: Way, refusal: Refusal) -> None:
    async def body(house: House) -> None:
        outcome = await house.exchange.call(Caller().waits(20).hangs_up())
        assert not house.session.results
        if refusal.reason == "said":
            assert outcome.ear.text() == "We are closed today."
        else:
            assert outcome.ended_by == "refused"

    at_the_exchange(way, body, on_call=lambda info: refusal)


@ways
def test_keys_of_the_caller_reach_the_model_and_the_events(way: Way) -> None:
    llm = ScriptedLLM(["Thank you."])
    events: list[Any] = []

    async def body(house: House) -> None:
        script = Caller().waits_for_agent().presses("42#").waits_for_agent().hangs_up()
        assert (await house.exchange.call(script)).ok
        assert [event.digit for event in events if isinstance(event, DigitReceived)] == ["4", "2", "#"]
        assert llm.requests[-1].messages[-1]["content"] == "[DTMF: 42#]"

    at_the_exchange(way, body, agent(llm), on_event=events.append)


@ways
def test_keys_of_the_agent_reach_the_other_side(way: Way) -> None:
    async def press(event: Any, call: Any) -> str:
        await call.send_dtmf("12#")
        return "Pressed."

    async def body(house: House) -> None:
        script = Caller().waits_for_agent().says("press them").waits_for_agent(quiet=2).hangs_up()
        assert (await house.exchange.call(script)).ok
        (leg,) = house.exchange.legs.values()
        in_band = "".join(key for key, _ in keys_heard(leg.outcome.ear))
        assert (leg.keys_heard, in_band) == (("", "12#") if way.name == "twilio" else ("12#", ""))

    at_the_exchange(way, body, agent(on_message=press))


# --- calls that go out --------------------------------------------------------------------------------------


async def _call(house: House, **options: Any) -> CallResult:
    return await (await house.session.call(THEM, **options)).wait_ended()


@ways
def test_a_person_is_called_and_greeted(way: Way) -> None:
    async def body(house: House) -> None:
        house.exchange.book[THEM] = Person(HELLO.says("who is this").waits_for_agent().hangs_up())
        result = await _call(house, first_message="Good day, this is the bakery.")
        assert (result.outcome, result.status) == ("answered", "completed")
        outcome = house.exchange.outcomes[result.call_id]
        assert outcome.heard == "Good day, this is the bakery. Yes, of course."
        assert not outcome.violations
        assert result.answered_by in ("human", None)

    at_the_exchange(way, body)


@ways
@pytest.mark.parametrize("beep", [True, False])
def test_a_machine_is_left_the_message_completely_and_once(way: Way, beep: bool) -> None:
    machine = AnsweringMachine("nobody is at home please leave a message", beep=beep)

    async def body(house: House) -> None:
        house.exchange.book[THEM] = machine
        result = await _call(house, voicemail_message=MESSAGE)
        assert (result.outcome, result.answered_by, result.message_left) == ("voicemail", "machine", True)
        await house.exchange.wait_quiet()
        assert machine.messages == [MESSAGE]
        assert house.exchange.outcomes[result.call_id].heard == MESSAGE, "and nothing before the beep"

    at_the_exchange(way, body)


@ways
@pytest.mark.parametrize(
    ("subscriber", "outcomes"),
    [
        (Busy(), {"busy"}),
        (Declines(), {"busy", "no_answer", "failed"}),
        (NoAnswer(), {"no_answer"}),
        (Unreachable(), {"failed"}),
    ],
)
def test_a_call_that_nobody_takes(way: Way, subscriber: Any, outcomes: set[str]) -> None:
    async def body(house: House) -> None:
        house.exchange.book[THEM] = subscriber
        result = await _call(house, ring_timeout=10)
        assert result.outcome in outcomes
        assert result.reason == "not_taken"

    at_the_exchange(way, body)


@ways
def test_a_fax_is_left_alone(way: Way) -> None:
    async def body(house: House) -> None:
        house.exchange.book[THEM] = Fax()
        result = await _call(house, voicemail_message=MESSAGE)
        assert house.exchange.outcomes[result.call_id].heard in ("", "Hello, this is the desk.")
        assert result.message_left is False

    at_the_exchange(way, body)


@ways
@pytest.mark.parametrize("subscriber", [Busy(), NoAnswer()])
def test_lost_webhooks_hang_nobody(way: Way, subscriber: Any) -> None:
    async def body(house: House) -> None:
        house.exchange.book[THEM] = subscriber
        for number in range(20):
            house.exchange.post.fail(WebhookFault("status", number, lost=True))
        with trio.fail_after(60):
            result = await _call(house, ring_timeout=10)
        # Plivo names a call in its webhooks only, and cannot be asked by what it says when a call is placed.
        assert result.outcome in (("failed",) if way.name == "plivo" else ("busy", "no_answer"))

    at_the_exchange(way, body)


@ways
def test_webhooks_that_come_twice_late_or_after_an_error_change_nothing(way: Way) -> None:
    async def body(house: House) -> None:
        house.exchange.book[THEM] = Person(HELLO.hangs_up())
        post = house.exchange.post
        for number in range(6):
            post.fail(WebhookFault("status", number, copies=2, delay=0.7 * (number % 3)))
        post.fail(WebhookFault("machine", 0, copies=2))
        result = await _call(house)
        assert result.outcome == "answered"
        assert len(house.session.results) == 1

    at_the_exchange(way, body)


@ways
def test_many_calls_at_once_know_each_other_not(way: Way) -> None:
    machines = {f"+1555765{number:04d}": AnsweringMachine(f"machine {number}") for number in range(12)}

    async def body(house: House) -> None:
        house.exchange.book |= machines

        async def one(number: str) -> None:
            result = await house.session.call(number, voicemail_message=f"A message for {number[-2:]}.")
            assert (await result).message_left

        async with trio.open_nursery() as nursery:
            for number in machines:
                nursery.start_soon(one, number)
        await house.exchange.wait_quiet()
        assert [machine.messages for machine in machines.values()] == [
            [f"A message for {number[-2:]}."] for number in machines
        ]

    at_the_exchange(way, body)


# --- transfers ----------------------------------------------------------------------------------------------


async def _transfer(house: House, mode: Any, human: Any, caller: Caller) -> list[CallResult]:
    """Somebody calls and is given to the desk after some seconds; returns what became of the call."""
    house.exchange.book[DESK] = human

    async def give_away() -> None:
        await trio.sleep(8)
        (call,) = house.session.calls.values()
        await call.transfer(DESK, mode=mode, summary="It is about a bill.")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(give_away)
        await house.exchange.call(caller)
    await house.exchange.wait_quiet()
    return list(house.session.results)


@ways
@pytest.mark.parametrize("mode", ["cold", "warm"])
def test_a_caller_is_given_to_somebody_else(way: Way, mode: str) -> None:
    desk = Person(Caller().waits(7).says("this is a human being").waits(2).hangs_up())

    async def body(house: House) -> None:
        caller = Caller().waits_for_agent().waits(40).hangs_up()
        (result,) = await _transfer(house, mode, desk, caller)
        assert result.reason == "transferred"
        leg = next(iter(house.exchange.legs.values()))
        assert "this is a human being" in leg.phone.ear.text()
        other = next(leg for leg in house.exchange.legs.values() if leg.callee == DESK)
        if mode == "warm":
            assert other.phone.ear.text().startswith("It is about a bill.")

    at_the_exchange(way, body)


@ways
@pytest.mark.parametrize("mode", ["cold", "warm"])
@pytest.mark.parametrize("nobody", [Busy(), NoAnswer(), Declines()])
def test_a_caller_whom_nobody_takes_comes_back_to_the_agent(way: Way, mode: str, nobody: Any) -> None:
    llm = ScriptedLLM(["We open at nine."])

    async def body(house: House) -> None:
        caller = (
            Caller()
            .waits_for_agent()
            .waits_until(lambda ear: "nobody answered" in ear.text(), timeout=60)
            .waits_for_agent()
            .says("when do you open")
            .waits_until(lambda ear: "at nine." in ear.text())
            .hangs_up()
        )
        results = await _transfer(house, mode, nobody, caller)
        assert [result.reason for result in results] == ["transferred", "caller_hung_up"]
        leg = next(iter(house.exchange.legs.values()))
        assert all(step.ok for step in leg.steps), leg.steps
        assert results[-1].history[0].text == "Hello, this is the desk.", "with what was said before"

    at_the_exchange(way, body, agent(llm))


# --- recordings ---------------------------------------------------------------------------------------------


@ways
def test_a_call_is_recorded_and_the_recording_is_fetched(way: Way, tmp_path: Path) -> None:
    saved: list[RecordingSaved] = []

    async def body(house: House) -> None:
        script = Caller().waits_for_agent().says("hello there").waits_for_agent().hangs_up()
        assert (await house.exchange.call(script)).ok
        await house.exchange.wait_until(lambda: bool(saved), timeout=30)
        assert saved[0].call_id == house.session.results[0].call_id
        assert saved[0].error == ""
        await house.session.save_recording(saved[0], tmp_path / "call.wav")

    at_the_exchange(way, body, recording=True, on_recording=saved.append)
    with wave.open(io.BytesIO((tmp_path / "call.wav").read_bytes())) as sound:
        assert sound.getnchannels() == 2
        assert sound.getnframes() / sound.getframerate() > 3


@ways
def test_a_number_is_routed_here_when_that_was_asked_for(way: Way) -> None:
    async def body(house: House) -> None:
        live = house.session._office.live
        assert live is not None
        assert await live.check()
        route = await live.read_number(NUMBER)
        assert route.voice_url.endswith(f"/webhooks/{way.name}/voice")

    at_the_exchange(way, body, configure_number=True)


@ways
def test_calls_on_this_side_are_the_carriers_calls(way: Way) -> None:
    async def body(house: House) -> None:
        house.exchange.book[THEM] = Person(HELLO.waits(2).hangs_up())
        outgoing = await house.session.call(THEM)
        call = await outgoing.wait_up()
        assert isinstance(call, Call)
        assert call.call_id in house.exchange.legs
        assert (call.info.caller, call.info.callee, call.info.direction) == (NUMBER, THEM, "outbound")
        await call.hangup()
        assert (await outgoing).reason == "agent_hung_up"
        await house.exchange.wait_quiet()
        assert house.exchange.legs[outgoing.call_id].status == "ended"

    at_the_exchange(way, body)
