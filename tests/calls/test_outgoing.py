"""Calls that go out: who picks up, what is said to them, and that nobody waits for ever."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
import trio

from patter_trio import Agent, MachineDetectionResult, Session
from patter_trio.errors import CapacityError, PatterConfigError, ProviderError
from patter_trio.telephony import CallOffered, CallOrder, GreetingEnded, MachineVerdict, Placed
from patter_trio.testing import Caller, ScriptedLLM, ScriptedTTS, run_virtual

from .dialled import THEM, Callee, Dialled, Exchange, open_house, person
from .ring import NUMBER, agent

HELLO = Caller().waits(0.3).says("hello").waits_for_agent()
GOODBYE = HELLO.hangs_up()


def house(
    body: Callable[[Session, Exchange], Awaitable[None]],
    *callees: Callee,
    who: Agent | None = None,
    exchange: Exchange | None = None,
    **options: Any,
) -> Exchange:
    """Runs ``body`` with a session whose calls are answered by ``callees``, of whom the first has THEM."""
    exchange = exchange or Exchange()
    exchange.callees = {f"+1555765432{n + 1}": callee for n, callee in enumerate(callees)}

    async def main() -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        async with open_house(exchange, who or agent(), **options) as session:
            await body(session, exchange)
        assert trio.lowlevel.current_statistics().tasks_living == before, "tasks were left behind"

    run_virtual(main)
    return exchange


def machine(
    greeting: float = 4.0,
    *,
    beep: bool = True,
    early: bool = False,
    listens: float = 20.0,
    streams: bool = True,
) -> Callee:
    """An answering machine: it talks, beeps and records; ``early`` when the verdict comes before the end."""

    async def happens(call: Dialled) -> None:
        await trio.sleep(2.0)
        await call.answer()
        words = "you have reached the voice mail of somebody please leave a message after the tone " * 3
        script = Caller().says(words).waits(listens).hangs_up()

        async def judge() -> None:
            if early:
                await trio.sleep(2.0)
                await call.tell(MachineVerdict(call.call_id, "machine", raw="machine"))
            while call.leg is None or not call.leg.phone.utterances:  # noqa: ASYNC110
                await trio.sleep(0.1)
            if not early:
                verdict = MachineVerdict(call.call_id, "machine", greeting_over=True, raw="machine_end_beep")
                await call.tell(verdict)
                await call.tell(verdict)
            elif beep:
                await call.tell(GreetingEnded(call.call_id))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(judge)
            await call.talk(script)
            nursery.cancel_scope.cancel()
        await call.end("completed")

    return happens


# --- people -------------------------------------------------------------------------------------------------


def test_w3_the_agent_and_the_first_message_given_are_the_ones_used() -> None:
    """There: call(agent=) is ignored, the agent of serve() talks."""
    other = agent(ScriptedLLM(["From the other one."]), first_message="I am the other one.")

    async def body(session: Session, exchange: Exchange) -> None:
        first = await session.call(THEM, other)
        second = await session.call("+15557654322", other, first_message="And I am somebody else.")
        assert (await first).outcome == "answered"
        assert (await second.wait_ended()).outcome == "answered"

    talkative = HELLO.says("who is this").waits_for_agent().hangs_up()
    exchange = house(body, person(talkative), person(GOODBYE))
    assert exchange.calls[0].ear.text() == "I am the other one. From the other one."
    assert exchange.calls[1].ear.text() == "And I am somebody else."


def test_a_person_is_greeted_when_the_carrier_knows_them_and_their_hello_is_remembered() -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        outgoing = await session.call(THEM)
        call = await outgoing.wait_up()
        assert call is not None
        assert call.info.direction == "outbound"
        assert (call.info.caller, call.info.callee) == (NUMBER, THEM)
        assert session.calls[outgoing.call_id] is call
        result = await outgoing
        assert result.status == "completed"
        assert result.answered_by == "human"
        assert [entry.text for entry in result.history] == ["hello", "Hello, this is the desk."]
        assert result.duration_seconds > 2
        assert result.metrics is not None
        assert result.metrics.turns == result.turns

    exchange = house(body, person(GOODBYE, verdict=2.0))
    (span,) = exchange.calls[0].ear.agent_speech
    assert 2.0 <= span.start <= 2.3, "rendered while it rang, so it is heard at once"


def test_a_verdict_that_never_comes_keeps_nobody_waiting_for_long() -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        assert (await (await session.call(THEM))).answered_by is None

    exchange = house(body, person(GOODBYE, verdict=None))
    (span,) = exchange.calls[0].ear.agent_speech
    assert 5.0 <= span.start <= 5.3


def test_without_machine_detection_the_agent_speaks_at_once() -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        await (await session.call(THEM, machine_detection=False))

    exchange = house(body, person(Caller().waits_for_agent().hangs_up(), verdict=None))
    (span,) = exchange.calls[0].ear.agent_speech
    assert span.start <= 0.3
    assert not exchange.asked[0].machine_detection


def test_what_is_asked_of_the_carrier() -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        await session.call(
            THEM,
            from_number="+15550009999",
            ring_timeout=40,
            send_digits="ww12",
            variables={"name": "Ada"},
            wait=True,
        )

    exchange = house(body, person(GOODBYE), who=agent(first_message="Is this {name}?", max_duration_s=120.5))
    order = exchange.asked[0]
    assert isinstance(order, CallOrder)
    assert (order.to, order.caller_id, order.ring_seconds) == (THEM, "+15550009999", 40)
    assert (order.machine_detection, order.send_digits, order.max_seconds) == (True, "ww12", 181)
    assert order.stream.url.startswith("wss://voice.example.test/ws/paper/")
    assert exchange.calls[0].ear.text() == "Is this Ada?"


def test_a_carrier_that_names_the_call_later_and_asks_what_to_do() -> None:
    """Plivo gives the id of a request, and wants a document when somebody picks up."""

    async def happens(call: Dialled) -> None:
        from patter_trio.events import CallInfo

        await trio.sleep(1)
        offered = CallOffered(CallInfo(call.call_id, NUMBER, THEM, "outbound", "paper"))
        reply = await call.tell(offered, "answer")
        found = re.fullmatch("<Stream>(.*)</Stream>", reply.body)
        assert found is not None
        assert found[1] == call.order.stream.url
        await call.talk(GOODBYE)

    async def body(session: Session, exchange: Exchange) -> None:
        outgoing = await session.call(THEM)
        assert outgoing.call_id == ""
        assert (await outgoing).call_id == exchange.calls[0].call_id == outgoing.call_id

    house(body, happens, exchange=Exchange(without_ids=True))


def test_a_stream_that_starts_before_the_carrier_has_said_which_call_it_is() -> None:
    class Slow(Exchange):
        async def place(self, order: CallOrder) -> Placed:
            placed = await super().place(order)
            await trio.sleep(3)
            return placed

    async def body(session: Session, exchange: Exchange) -> None:
        assert (await (await session.call(THEM))).outcome == "answered"

    house(body, person(GOODBYE, rings=0.5), exchange=Slow())


# --- nobody -------------------------------------------------------------------------------------------------


def over(ended_as: Any, *, told: bool = True, rings: float = 3.0) -> Callee:
    async def happens(call: Dialled) -> None:
        await trio.sleep(rings)
        await call.end(ended_as, told=told, detail=f"it was {ended_as}")

    return happens


@pytest.mark.parametrize(
    ("ended_as", "outcome"),
    [("busy", "busy"), ("no_answer", "no_answer"), ("failed", "failed"), ("canceled", "canceled")],
)
def test_a_call_that_nobody_takes(ended_as: str, outcome: str) -> None:
    """What is over without an answer, as each carrier words it."""
    ends: list[Any] = []

    async def body(session: Session, exchange: Exchange) -> None:
        result = await (await session.call(THEM))
        assert (result.outcome, result.status, result.reason) == (outcome, ended_as, "not_taken")
        assert result.error_message == f"it was {ended_as}"
        assert list(session.results) == [result]
        assert (session.counts.placed, session.counts.not_taken) == (1, 1)
        assert session.counts.prewarmed_in_vain == 1

    house(body, over(ended_as), on_call_end=ends.append)
    assert [(end["result"].outcome, end["metrics"]) for end in ends] == [(outcome, None)]


def test_a_call_that_is_over_in_the_ordinary_way_and_was_never_answered() -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        assert (await (await session.call(THEM))).outcome == "no_answer"

    house(body, over("completed"))


@pytest.mark.parametrize("ended_as", ["busy", "no_answer"])
def test_a_lost_webhook_hangs_nobody(ended_as: str) -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        started = trio.current_time()
        result = await (await session.call(THEM, ring_timeout=20))
        assert result.outcome == ended_as
        assert 29 <= trio.current_time() - started <= 31
        assert ("read", Placed(exchange.calls[0].call_id)) in exchange.asked

    house(body, over(ended_as, told=False))


def test_a_telephone_that_rings_for_ever_is_given_up() -> None:
    async def rings(call: Dialled) -> None:
        await trio.sleep_forever()

    async def body(session: Session, exchange: Exchange) -> None:
        result = await (await session.call(THEM))
        assert (result.outcome, result.error_message) == ("no_answer", "it rang for too long")
        assert ("cancel", Placed(exchange.calls[0].call_id)) in exchange.asked

    house(body, rings)


def test_an_answered_call_whose_stream_never_comes_is_hung_up() -> None:
    async def mute(call: Dialled) -> None:
        await call.answer()
        await trio.sleep_forever()

    async def body(session: Session, exchange: Exchange) -> None:
        started = trio.current_time()
        result = await (await session.call(THEM))
        assert (result.outcome, result.error_message) == ("failed", "no media stream came")
        assert trio.current_time() - started <= 31
        assert ("cancel", Placed(exchange.calls[0].call_id)) in exchange.asked

    house(body, mute)


def test_a_call_can_be_given_up_while_it_rings() -> None:
    async def rings(call: Dialled) -> None:
        await trio.sleep_forever()

    async def body(session: Session, exchange: Exchange) -> None:
        outgoing = await session.call(THEM)
        await trio.sleep(4)
        await outgoing.hangup()
        assert (await outgoing).outcome == "canceled"
        assert await outgoing.wait_up() is None

    house(body, rings)


def test_a_session_that_ends_leaves_no_telephone_ringing() -> None:
    async def rings(call: Dialled) -> None:
        await trio.sleep_forever()

    async def body(session: Session, exchange: Exchange) -> None:
        await session.call(THEM)
        await trio.sleep(2)

    exchange = house(body, rings)
    assert exchange.asked[-1] == ("cancel", Placed(exchange.calls[0].call_id))


def test_a_session_that_is_cancelled_leaves_none_either() -> None:
    async def rings(call: Dialled) -> None:
        await trio.sleep_forever()

    exchange = Exchange({THEM: rings})

    async def main() -> None:
        with trio.move_on_after(5):
            async with open_house(exchange, agent()) as session:
                await (await session.call(THEM))

    run_virtual(main)
    assert exchange.asked[-1] == ("cancel", Placed(exchange.calls[0].call_id))


def test_what_the_carrier_refuses_is_raised_and_takes_no_line() -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        for _ in range(3):
            with pytest.raises(ProviderError, match="21211"):
                await session.call(THEM)
        exchange.refuses = None
        assert (await (await session.call(THEM))).outcome == "answered"

    house(body, person(GOODBYE), exchange=Exchange(refuses=ProviderError("21211")), max_calls=1)


@pytest.mark.parametrize(
    ("to", "options", "says"),
    [
        ("5551234567", {}, "cannot be called"),
        ("+0555", {}, "cannot be called"),
        ("+1555123456789012", {}, "cannot be called"),
        (THEM, {"from_number": "anonymous"}, "cannot be shown"),
        (THEM, {"ring_timeout": 2}, "ring_timeout"),
    ],
)
def test_what_cannot_be_meant_is_not_asked(to: str, options: dict[str, Any], says: str) -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        with pytest.raises(PatterConfigError, match=says):
            await session.call(to, **options)

    assert not house(body).asked


def test_lines_are_counted_for_calls_that_go_out_too() -> None:
    async def rings(call: Dialled) -> None:
        await trio.sleep_forever()

    async def body(session: Session, exchange: Exchange) -> None:
        await session.call(THEM)
        with pytest.raises(CapacityError, match="lines are taken"):
            await session.call("+15557654322")

    exchange = house(body, rings, rings, max_calls=1)
    assert len(exchange.calls) == 1


def test_w19_many_calls_at_once_go_out_at_the_carriers_pace() -> None:
    """There: serve() blocks, so that call() behind it can never run."""
    at: list[float] = []

    class Clocked(Exchange):
        async def place(self, order: CallOrder) -> Placed:
            at.append(trio.current_time())
            return await super().place(order)

    async def body(session: Session, exchange: Exchange) -> None:
        async def one(number: str) -> None:
            assert (await (await session.call(number))).outcome == "answered"

        async with trio.open_nursery() as nursery:
            for number in exchange.callees:
                nursery.start_soon(one, number)
        assert len(session.results) == 9

    house(body, *[person(GOODBYE)] * 9, exchange=Clocked(calls_per_second=2.0))
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert min(gaps) >= 0.499


# --- machines -----------------------------------------------------------------------------------------------


def test_a_machine_is_left_the_message_after_its_greeting_and_only_once() -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        result = await (await session.call(THEM, voicemail_message="Please call {desk} back."))
        assert (result.outcome, result.reason, result.message_left) == ("voicemail", "machine", True)
        assert result.answered_by == "machine"
        assert [entry.text for entry in result.history if entry.role == "assistant"] == [
            "Please call us back."
        ]

    exchange = house(body, machine(), who=agent(variables={"desk": "us"}))
    call = exchange.calls[0]
    assert call.ear.text() == "Please call us back."
    assert call.leg is not None
    assert call.ear.agent_speech[0].start >= call.leg.phone.utterances[0].end
    assert not call.spoken


@pytest.mark.parametrize("beep", [True, False])
def test_a_verdict_before_the_end_of_the_greeting_waits_for_it(beep: bool) -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        assert (await (await session.call(THEM, voicemail_message="Please call back."))).message_left

    exchange = house(body, machine(early=True, beep=beep))
    call = exchange.calls[0]
    assert call.leg is not None
    waited = call.ear.agent_speech[0].start - call.leg.phone.utterances[0].end
    assert 0 <= waited <= (0.5 if beep else 5.0)
    assert call.ear.text() == "Please call back."


def test_a_machine_without_a_message_hears_nothing_and_is_hung_up() -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        result = await (await session.call(THEM))
        assert (result.outcome, result.message_left) == ("voicemail", False)

    exchange = house(body, machine(early=True))
    assert exchange.calls[0].ear.text() == ""
    assert exchange.calls[0].ear.now < 4, "hung up at the verdict"


def test_a_machine_that_is_known_late_is_not_talked_to_any_longer() -> None:
    async def happens(call: Dialled) -> None:
        await call.answer()
        async with trio.open_nursery() as nursery:

            async def judge() -> None:
                await trio.sleep(7.0)
                await call.tell(MachineVerdict(call.call_id, "machine", greeting_over=True))

            nursery.start_soon(judge)
            await call.talk(Caller().waits(30).hangs_up())

    async def body(session: Session, exchange: Exchange) -> None:
        long = "One two three four five six seven eight nine ten. " * 5
        result = await (await session.call(THEM, first_message=long, voicemail_message="Please call back."))
        assert (result.outcome, result.message_left) == ("voicemail", True)

    exchange = house(body, happens)
    heard = exchange.calls[0].ear.text()
    assert heard.endswith("Please call back.")
    assert 3 <= len(heard.split()) < 25
    assert exchange.calls[0].leg is not None
    assert exchange.calls[0].leg.received.frames_after_clear == 0


def test_a_fax_is_left_nothing() -> None:
    async def happens(call: Dialled) -> None:
        await call.answer()
        await call.tell(MachineVerdict(call.call_id, "fax"))
        await call.talk(Caller().waits(30).hangs_up())

    async def body(session: Session, exchange: Exchange) -> None:
        result = await (await session.call(THEM, voicemail_message="Please call back."))
        assert (result.answered_by, result.message_left) == ("fax", False)

    assert house(body, happens).calls[0].ear.text() == ""


def test_where_no_stream_is_up_the_carriers_own_voice_leaves_the_message() -> None:
    async def happens(call: Dialled) -> None:
        await call.answer()
        await trio.sleep(3)
        await call.tell(MachineVerdict(call.call_id, "machine", greeting_over=True))
        while not call.spoken:  # noqa: ASYNC110
            await trio.sleep(1)
        await call.talk(Caller().waits(20).hangs_up())
        await call.end("completed")

    async def body(session: Session, exchange: Exchange) -> None:
        result = await (await session.call(THEM, voicemail_message="Please call back."))
        assert (result.outcome, result.message_left) == ("voicemail", True)

    exchange = house(body, happens)
    assert exchange.calls[0].spoken == ["Please call back."]
    assert exchange.calls[0].ear.text() == "", "and ours never says it a second time"


def test_w21_every_call_has_its_own_message_and_callback() -> None:
    """There: the voicemail slot is one for the whole server, and calls overwrite each other's."""
    told: dict[str, list[str]] = {"a": [], "b": []}
    everybody: list[MachineDetectionResult] = []

    async def body(session: Session, exchange: Exchange) -> None:
        async def one(number: str, name: str) -> None:
            await (
                await session.call(
                    number,
                    voicemail_message=f"This is {name}.",
                    on_machine_detection=lambda verdict: told[name].append(verdict.classification),
                )
            )

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, THEM, "a")
            nursery.start_soon(one, "+15557654322", "b")

    exchange = house(
        body,
        machine(),
        machine(early=True),
        on_machine_detection=everybody.append,
    )
    assert sorted(call.ear.text() for call in exchange.calls) == ["This is a.", "This is b."]
    assert told == {"a": ["machine"], "b": ["machine"]}
    assert len(everybody) == 2


# --- what is prepared while it rings ------------------------------------------------------------------------


TWO = "The desk of the bakery is speaking. May I have a minute of your time?"


def test_the_first_message_is_rendered_once() -> None:
    tts = ScriptedTTS()

    async def body(session: Session, exchange: Exchange) -> None:
        await (await session.call(THEM))

    exchange = house(body, person(GOODBYE), who=agent(tts=tts, first_message=TWO))
    assert exchange.calls[0].ear.text() == TWO
    assert tts.record.sentences == TWO.replace(". ", ".|").split("|")


@pytest.mark.parametrize("settings", [{"prewarm": False}, {"prewarm_first_message": False}])
def test_or_not_at_all_while_it_rings(settings: dict[str, Any]) -> None:
    tts = ScriptedTTS()

    async def body(session: Session, exchange: Exchange) -> None:
        await (await session.call(THEM))

    house(body, over("busy"), who=agent(tts=tts, **settings))
    assert not tts.record.sentences


def test_a_message_that_a_hook_changes_is_spoken_as_it_is_then() -> None:
    tts = ScriptedTTS()

    async def body(session: Session, exchange: Exchange) -> None:
        await (await session.call(THEM))

    who = agent(tts=tts, first_message=TWO, text_transforms=[lambda text: text.replace("bakery", "butcher")])
    exchange = house(body, person(GOODBYE), who=who)
    assert exchange.calls[0].ear.text() == TWO.replace("bakery", "butcher")


def test_a_greeting_that_was_rendered_is_interrupted_as_any_other() -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        result = await (await session.call(THEM))
        assert result.history[1].unheard

    script = (
        Caller().waits(0.3).says("hello").barges_in("stop please", after=1.0).waits_for_agent().hangs_up()
    )
    exchange = house(body, person(script), who=agent(first_message=TWO))
    call = exchange.calls[0]
    assert call.leg is not None
    assert call.leg.received.frames_after_clear == 0
    assert len(call.leg.received.clears) == 1


def test_a_voice_that_fails_while_it_rings_is_asked_again_when_somebody_listens() -> None:
    tts = ScriptedTTS(fails_at=0, failures=1)

    async def body(session: Session, exchange: Exchange) -> None:
        assert (await (await session.call(THEM))).outcome == "answered"

    assert house(body, person(GOODBYE), who=agent(tts=tts)).calls[0].ear.text() == "Hello, this is the desk."
