"""Whole calls by the simulated Telnyx, with the carrier as it is used for real ones."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import attrs
import pytest
import telnyx
import trio
from trio.testing import MockClock

from patter_trio._audio.wav import read_wav
from patter_trio._server.app import build_app
from patter_trio.carriers import Telnyx
from patter_trio.errors import AuthenticationError, ProviderError, RateLimitError, RemoteProtocolError
from patter_trio.events import MULAW_8K
from patter_trio.telephony import (
    CallAnswered,
    CallOrder,
    CallOver,
    GreetingEnded,
    MachineVerdict,
    RecordingSaved,
    Refusal,
    TransferEnded,
    TransferOrder,
)
from patter_trio.testing import (
    AnsweringMachine,
    Busy,
    Caller,
    Declines,
    LineConditions,
    LoopbackLine,
    MemoryLine,
    NoAnswer,
    Person,
    RestFault,
    SimulatedTelnyx,
    Unreachable,
    WebhookFault,
    open_exchange,
)
from patter_trio.testing.telnyx_wire import TelnyxFarWire

from .telnyx_desk import OTHER, OURS, THEIRS, Desk, exchanging, settings
from .test_testing_loopback import serving
from .toy_agent import ANSWER

ASKS = Caller().waits_for_agent().says("when are you open?").waits_for_agent().hangs_up()
GREETS = Caller().says("hello there when?").waits_for_agent().hangs_up()
PATIENT = Caller().says("hello").waits_for_hang_up(timeout=200)


def order(desk: Desk, **more: Any) -> CallOrder:
    return CallOrder(THEIRS, OURS, desk.stream, **more)


# --- calls that come in -------------------------------------------------------------------------------------


async def test_a_call_comes_in_and_is_answered_by_a_command(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, _, desk):
        outcome = await exchange.call(ASKS)
        await exchange.wait_quiet()
    assert outcome.ok, outcome.to_json()
    assert ANSWER in outcome.heard
    assert outcome.ended_by == "caller"
    assert desk.parameters == [{"tenant": "t1"}]
    assert desk.of(CallOver) == [CallOver(outcome.call_sid, "completed", detail="normal_clearing")]
    assert outcome.violations == ()


@pytest.mark.parametrize(
    ("codec", "rate", "world"),
    [
        ("PCMA", 8000, {}),
        ("PCMU", 8000, {"call_codec": "PCMA"}),
        ("L16", 8000, {"l16_byte_order": "big"}),
        ("PCMU", 8000, {"timestamps": "samples"}),
    ],
)
async def test_it_is_understood_in_every_codec_and_reading(
    codec: str, rate: int, world: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with exchanging(codec=codec, sample_rate=rate, **world) as (exchange, _, desk):
        desk.deaf = True
        script = Caller().waits_for_agent().presses("7").hangs_up()
        outcome = await exchange.call(script)
        await exchange.wait_quiet()
    assert outcome.ok, outcome.to_json()
    assert outcome.heard == "good day"
    assert desk.digits == ["7"]


async def test_frames_that_come_in_disorder_are_a_conversation_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with exchanging() as (exchange, _, desk):
        conditions = LineConditions(seed=3, frames_reordered=0.2, frames_repeated=0.05)
        desk.deaf = True
        outcome = await exchange.call(Caller().waits_for_agent().hangs_up(), conditions=conditions)
        await exchange.wait_quiet()
    assert outcome.ok, outcome.to_json()


@pytest.mark.parametrize(("reason", "cause"), [("busy", "busy"), ("rejected", "declined")])
async def test_a_call_is_declined(reason: Any, cause: str, autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, _, desk):
        desk.refusal = Refusal(reason)
        outcome = await exchange.call(ASKS)
    assert (outcome.ended_by, outcome.refusal) == ("refused", cause)


@pytest.mark.parametrize("lost", [False, True])
async def test_a_caller_is_told_why_not_and_hung_up(lost: bool, autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, _, desk):
        desk.refusal = Refusal("said", "we are closed")
        if lost:
            exchange.post.fail(WebhookFault("status", number=2, lost=True))
        outcome = await exchange.call(Caller().waits_for_hang_up(timeout=60))
        await exchange.wait_quiet()
    assert outcome.heard == "we are closed"
    (leg,) = exchange.legs.values()
    assert leg.ended is not None
    assert leg.ended.by == "agent"


# --- calls that go out --------------------------------------------------------------------------------------


async def test_a_person_answers(autojump_clock: MockClock) -> None:
    async with exchanging({THEIRS: Person(GREETS)}) as (exchange, live, desk):
        placed = await live.place(order(desk, machine_detection=True, send_digits="1w2"))
        await exchange.wait_until(lambda: bool(desk.of(CallOver)))
        state = await live.read_state(placed)
        leg = exchange.legs[placed.call_id]
        assert leg.keys_heard == "12"
        assert (state.status, state.ended_as) == ("ended", "completed")
    assert desk.of(CallAnswered) == [CallAnswered(placed.call_id)]
    assert desk.of(MachineVerdict) == [MachineVerdict(placed.call_id, "human", raw="human_residence")]
    assert ANSWER in leg.outcome.heard


async def test_a_machine_answers_and_its_greeting_ends(autojump_clock: MockClock) -> None:
    async with exchanging({THEIRS: AnsweringMachine("not at home")}) as (exchange, live, desk):
        desk.deaf = True
        placed = await live.place(order(desk, machine_detection=True))
        await exchange.wait_until(lambda: bool(desk.of(GreetingEnded)))
        await live.speak(placed.call_id, "call us back")
        await exchange.wait_until(lambda: bool(desk.of(CallOver)))
        assert cast("Any", exchange.book[THEIRS]).messages == ["call us back"]
    assert desk.of(MachineVerdict)[0].verdict == "machine"
    assert desk.of(GreetingEnded) == [GreetingEnded(placed.call_id, True, "beep_detected")]


@pytest.mark.parametrize(
    ("who", "ended_as", "detail"),
    [
        (Busy(), "busy", "user_busy (486)"),
        (Declines(), "busy", "call_rejected (603)"),
        (NoAnswer(), "no_answer", "timeout"),
        (Unreachable(), "failed", "not_found (404)"),
    ],
)
async def test_nobody_answers(who: Any, ended_as: Any, detail: str, autojump_clock: MockClock) -> None:
    async with exchanging({THEIRS: who}) as (exchange, live, desk):
        placed = await live.place(order(desk))
        await exchange.wait_until(lambda: bool(desk.of(CallOver)))
    assert desk.of(CallOver) == [CallOver(placed.call_id, ended_as, detail=detail)]
    assert desk.of(CallAnswered) == []


async def test_a_call_that_rings_is_canceled(autojump_clock: MockClock) -> None:
    async with exchanging({THEIRS: NoAnswer()}) as (exchange, live, desk):
        placed = await live.place(order(desk))
        await trio.sleep(2)
        await live.cancel(placed)
        await live.cancel(placed)
        await exchange.wait_until(lambda: bool(desk.of(CallOver)))
    assert desk.of(CallOver)[0].ended_as == "canceled"


async def test_keys_are_pressed_and_a_recording_is_fetched(autojump_clock: MockClock) -> None:
    async with exchanging({THEIRS: Person(PATIENT)}) as (exchange, live, desk):
        placed = await live.place(order(desk))
        leg = exchange.legs[placed.call_id]
        await leg.answered.wait()
        recording_id = await live.start_recording(placed.call_id, desk.links)
        await live.send_digits(placed.call_id, "12w#")
        await trio.sleep(3)
        await live.stop_recording(placed.call_id, recording_id)
        await exchange.wait_until(lambda: bool(desk.of(RecordingSaved)))
        (saved,) = desk.of(RecordingSaved)
        assert (recording_id, saved.recording_id in leg.recordings) == ("", True)
        assert saved.seconds == pytest.approx(3.0, abs=0.1)
        async with live.fetch_recording(saved) as pieces:
            file = b"".join([piece async for piece in pieces])
        await live.hang_up(placed.call_id)
        assert leg.keys_heard == "12#"
    channels, rate = read_wav(io.BytesIO(file))
    assert (len(channels), rate) == (2, 8000)
    assert len(channels[0]) == pytest.approx(3 * 16000, abs=1600)


# --- transfers ----------------------------------------------------------------------------------------------

FRIENDLY = Caller().says("sales").waits(2).hangs_up()


@pytest.mark.parametrize("mode", ["cold", "warm"])
async def test_a_caller_is_given_to_a_human(mode: Any, autojump_clock: MockClock) -> None:
    async with exchanging({THEIRS: Person(PATIENT), OTHER: Person(FRIENDLY)}) as (exchange, live, desk):
        placed = await live.place(order(desk))
        leg = exchange.legs[placed.call_id]
        await leg.answered.wait()
        await trio.sleep(3)
        exchange.book[OTHER] = Person(Caller().waits(8).says("sales").waits(2).hangs_up())
        await live.transfer(placed.call_id, TransferOrder(OTHER, desk.links, mode, summary="an order"))
        await exchange.wait_until(lambda: bool(desk.of(TransferEnded)))
        human = list(exchange.legs.values())[1]
        await exchange.wait_quiet()
    assert desk.of(TransferEnded) == [TransferEnded(placed.call_id, True, "normal_clearing")]
    assert "sales" in leg.phone.ear.text()
    assert ("an order" in human.phone.ear.text()) is (mode == "warm")
    assert human.caller == OURS
    assert leg.ended is not None


@pytest.mark.parametrize("mode", ["cold", "warm"])
@pytest.mark.parametrize(("who", "cause"), [(Busy(), "user_busy"), (NoAnswer(), "timeout")])
async def test_a_caller_comes_back_when_nobody_answers(
    mode: Any, who: Any, cause: str, autojump_clock: MockClock
) -> None:
    async with exchanging({THEIRS: Person(PATIENT), OTHER: who}) as (exchange, live, desk):
        placed = await live.place(order(desk))
        leg = exchange.legs[placed.call_id]
        await leg.answered.wait()
        await trio.sleep(3)
        desk.greeting = "here I am again"
        await live.transfer(placed.call_id, TransferOrder(OTHER, desk.links, mode, summary="an order"))
        await exchange.wait_until(lambda: bool(desk.of(TransferEnded)))
        await trio.sleep(4)
        assert len(leg.streams) == 2
        assert leg.phone.ear.text().endswith("here I am again")
        await live.hang_up(placed.call_id)
    assert desk.of(TransferEnded) == [TransferEnded(placed.call_id, False, cause)]


# --- faults -------------------------------------------------------------------------------------------------


async def test_webhooks_that_come_twice_or_after_a_failure_change_nothing(autojump_clock: MockClock) -> None:
    async with exchanging({THEIRS: Person(GREETS)}) as (exchange, live, desk):
        exchange.post.fail(WebhookFault("status", copies=3), WebhookFault("stream", gateway_errors=1))
        await live.place(order(desk))
        await exchange.wait_quiet()
        assert 503 in [each.status for each in exchange.post.of("stream")]
    assert {notice.ended_as for notice in desk.of(CallOver)} == {"completed"}


async def test_a_command_whose_answer_is_lost_is_carried_out_once(autojump_clock: MockClock) -> None:
    async with exchanging({THEIRS: Person(PATIENT)}) as (exchange, live, desk):
        placed = await live.place(order(desk))
        leg = exchange.legs[placed.call_id]
        await leg.answered.wait()
        exchange.rest.fail("server_error", "cuts")
        await live.send_digits(placed.call_id, "5")
        exchange.rest.fail(RestFault.named("cuts", is_carried_out=True))
        await live.send_digits(placed.call_id, "6")
        assert leg.keys_heard == "56"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("unauthorized", AuthenticationError),
        ("too_many", RateLimitError),
        ("no_channels", ProviderError),
        ("garbage", RemoteProtocolError),
    ],
)
async def test_faults_by_name(fault: str, error: type[Exception], autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, live, desk):
        exchange.rest.fail(fault)
        with pytest.raises(error):
            await live.place(order(desk))


async def test_webhooks_of_another_key_are_refused(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, _, desk):
        desk.carrier = attrs.evolve(desk.carrier, public_key=SimulatedTelnyx(seed=bytes(32)).public_key)
        outcome = await exchange.call(ASKS)
    assert outcome.ended_by == "refused"
    # That of the call, and that of its end.
    assert desk.refused_signatures == 2


@pytest.mark.parametrize(
    "message", [b"\0", "{", '{"event":"stop"}', '{"event":"media","media":{"payload":"AA=="}}']
)
def test_what_the_carrier_would_complain_of(message: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        TelnyxFarWire("s", {}, MULAW_8K, MULAW_8K).decode(message)


# --- numbers, the vendor's client, sockets ------------------------------------------------------------------


async def test_a_number_is_routed_to_us(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, live, desk):
        skin = cast("Any", exchange.skin)
        skin.applications["77"] = {
            "id": "77",
            "application_name": "old",
            "webhook_event_url": "https://o.test",
        }
        skin.numbers[OURS] = "77"
        before = await live.route_number(OURS, f"{desk.origin}/webhooks/telnyx/voice")
        assert "old" in before.taken_by
        assert (await live.read_number(OURS)).taken_by == ""
        assert (await exchange.call(ASKS)).ok


async def test_the_vendors_own_client_drives_the_fake() -> None:
    fake = SimulatedTelnyx()
    async with open_exchange(fake, MemoryLine(cast("Any", build_app(Desk())))) as exchange:
        exchange.book[THEIRS] = Person(PATIENT, answers_after=0.1)
        # Webhooks have nobody to go to here.
        exchange.post.fail(WebhookFault(lost=True))

        async def act(method: Callable[..., Any], *given: Any, **named: Any) -> Any:
            with trio.fail_after(20):
                return await trio.to_thread.run_sync(partial(method, *given, **named))

        with telnyx.Telnyx(api_key=fake.api_key, base_url=f"{exchange.url}/v2", max_retries=0) as client:
            dialled = await act(client.calls.dial, connection_id=fake.connection_id, from_=OURS, to=THEIRS)
            call_id = dialled.data.call_control_id
            assert dialled.data.is_alive is False
            leg = exchange.legs[call_id]
            await leg.answered.wait()
            assert (await act(client.calls.retrieve_status, call_id)).data.is_alive
            actions = client.calls.actions
            await act(actions.send_dtmf, call_id, digits="12")
            await act(actions.start_recording, call_id, format="wav", channels="dual")
            await act(actions.speak, call_id, payload="hello", voice="female")
            await exchange.wait_until(lambda: "hello" in leg.phone.ear.text())
            await act(actions.stop_recording, call_id)
            with pytest.raises(telnyx.UnprocessableEntityError, match="90102"):
                await act(actions.answer, call_id)
            assert (await act(actions.hangup, call_id)).data.result == "ok"
            with pytest.raises(telnyx.UnprocessableEntityError, match="90018"):
                await act(actions.hangup, call_id)
            numbers = await act(client.phone_numbers.list, filter={"phone_number": OURS[1:]})
            assert [each.phone_number for each in numbers.data] == [OURS]
            application = await act(client.call_control_applications.retrieve, fake.connection_id)
            assert application.data.application_name == "Simulated application"
        wrong = telnyx.Telnyx(api_key="KEYother", base_url=f"{exchange.url}/v2", max_retries=0)
        with wrong, pytest.raises(telnyx.AuthenticationError):
            await act(wrong.calls.dial, connection_id="1", from_=OURS, to=THEIRS)
    assert (leg.keys_heard, len(leg.recordings)) == ("12", 1)


async def test_a_call_over_real_sockets() -> None:
    fake, desk = SimulatedTelnyx(), Desk(greeting="good day", answer_after=0.1)
    async with serving(desk) as url:
        line = LoopbackLine(url, desk.origin)
        async with open_exchange(fake, line) as exchange:
            desk.carrier = Telnyx(**settings(fake, base_url=exchange.url))
            async with desk.carrier.open() as desk.live:
                with trio.fail_after(30):
                    outcome = await exchange.call(Caller().waits_for_agent().hangs_up())
                    await exchange.wait_quiet()
    assert outcome.ok, outcome.to_json()
    assert outcome.heard == "good day"
