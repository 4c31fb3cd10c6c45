"""Which agent takes a call, which call is not taken, and calls that come back from somebody else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from patter_trio import Agent, Call, Session
from patter_trio.errors import PatterConnectionError, ProviderError
from patter_trio.events import CallInfo
from patter_trio.telephony import (
    CallOffered,
    Notice,
    RecordingSaved,
    Refusal,
    TransferEnded,
    TransferOrder,
    WebhookReply,
)
from patter_trio.testing import Caller, ScriptedLLM, run_virtual

from .dialled import THEM, Dialled, Exchange, open_house
from .ring import NUMBER, URL, agent

VOICE = f"{URL}/webhooks/paper/voice"


class Inbound(Dialled):
    """A call that comes in: the stream is opened as the session's answer says."""

    key = ""

    async def offer(self, callee: str = NUMBER) -> WebhookReply:
        info = CallInfo(self.call_id, THEM, callee, "inbound", "paper")
        return await self.carrier.tell(CallOffered(info), VOICE)

    async def come_in(self, script: Caller, callee: str = NUMBER) -> None:
        reply = await self.offer(callee)
        await self.follow(reply, script)

    async def follow(self, reply: WebhookReply, script: Caller) -> None:
        found = re.fullmatch("<Stream>(.*)</Stream>", reply.body)
        assert found is not None, reply
        stream = next(stream for stream in self.carrier.streams if stream.url == found[1])
        self.key = stream.links.token
        await self.stream(stream, script)

    async def report(self, notice: Notice, what: str) -> WebhookReply:
        return await self.carrier.tell(
            notice, f"https://voice.example.test/webhooks/paper/{what}?call={self.key}"
        )


def inbound(exchange: Exchange, number: int = 1) -> Inbound:
    call = Inbound(exchange, None, f"CA{number:032x}")  # type: ignore[arg-type]
    exchange.calls.append(call)
    return call


def house(
    body: Callable[[Session, Exchange], Awaitable[None]], who: Agent | None, **options: Any
) -> Exchange:
    exchange = Exchange()

    async def main() -> None:
        async with open_house(exchange, who, **options) as session:
            await body(session, exchange)

    run_virtual(main)
    return exchange


# --- who takes it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
def test_w25_a_router_chooses_the_agent_by_the_number_that_was_called(is_async: bool) -> None:
    """There: one agent per server, no routing by the number that was called."""
    sales, service = (agent(first_message=f"This is {name}.") for name in ("sales", "service"))
    asked: list[CallInfo] = []

    def choose(info: CallInfo) -> Agent | None:
        asked.append(info)
        return {"+15550000001": sales, "+15550000002": service}.get(info.callee)

    async def choose_later(info: CallInfo) -> Agent | None:
        await trio.sleep(0.5)
        return choose(info)

    script = Caller().waits_for_agent().hangs_up()

    async def body(session: Session, exchange: Exchange) -> None:
        for number, callee in enumerate(["+15550000001", "+15550000002", "+15550000003"], 1):
            await inbound(exchange, number).come_in(script, callee)

    exchange = house(
        body, agent(first_message="This is the desk."), on_call=choose_later if is_async else choose
    )
    assert [call.ear.text() for call in exchange.calls] == [
        "This is sales.",
        "This is service.",
        "This is the desk.",
    ]
    assert asked[0] == CallInfo(f"CA{1:032x}", THEM, "+15550000001", "inbound", "paper")


@pytest.mark.parametrize(
    "refusal", [Refusal("busy"), Refusal("rejected"), Refusal("said", "We are closed today.")]
)
def test_a_router_may_refuse_a_call(refusal: Refusal) -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        assert (await inbound(exchange).offer()).body == "<Reject/>"
        assert not session.results

    assert house(body, agent(), on_call=lambda info: refusal).asked[-1][2] is refusal


async def dawdle(info: CallInfo) -> None:
    await trio.sleep(60)


@pytest.mark.parametrize("wrong", [lambda info: 1 / 0, dawdle, lambda info: "sales"])
def test_a_router_that_fails_leaves_the_call_to_the_sessions_agent(wrong: Any) -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        started = trio.current_time()
        await inbound(exchange).come_in(Caller().waits_for_agent().hangs_up())
        assert trio.current_time() - started < 15

    assert house(body, agent(), on_call=wrong).calls[0].ear.text() == "Hello, this is the desk."


def test_a_session_without_an_agent_takes_what_its_router_takes() -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        assert (await inbound(exchange).offer()).body == "<Reject/>"

    assert house(body, None, on_call=lambda info: None).asked[-1][2] == Refusal("busy")


def test_a_call_that_is_offered_again_while_it_runs_is_left_alone() -> None:
    async def body(session: Session, exchange: Exchange) -> None:
        call = inbound(exchange)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.come_in, Caller().waits_for_agent().waits(5).hangs_up())
            await trio.sleep(3)
            assert await call.offer() == WebhookReply(status=204)
        assert [result.outcome for result in session.results] == ["answered"]
        assert [asked[0] for asked in exchange.asked] == ["answer"]

    house(body, agent())


def test_a_call_that_is_offered_again_while_it_is_being_answered_is_answered_once() -> None:
    class Slow(Exchange):
        async def answer(self, info: CallInfo, stream: Any) -> WebhookReply:
            await trio.sleep(2)
            return await super().answer(info, stream)

    exchange = Slow()

    async def main() -> None:
        async with open_house(exchange, agent()) as session:
            call = inbound(exchange)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call.come_in, Caller().waits_for_agent().hangs_up())
                await trio.sleep(1)
                assert await call.offer() == WebhookReply(status=204)
            other = inbound(exchange, 2)
            assert await other.offer() == await other.offer(), "who lost the answer gets it again"
            assert len(session.results) == 1

    run_virtual(main)
    assert [asked[0] for asked in exchange.asked] == ["answer", "answer"]


def test_a_command_that_fails_costs_no_line() -> None:
    class Failing(Exchange):
        fails = 1

        async def answer(self, info: CallInfo, stream: Any) -> WebhookReply:
            self.fails -= 1
            if self.fails >= 0:
                raise ProviderError("not now")
            return await super().answer(info, stream)

    exchange = Failing()

    async def main() -> None:
        async with open_house(exchange, agent(), max_calls=1) as session:
            call = inbound(exchange)
            assert (await call.offer()).status == 503, "the carrier will ask again"
            await call.come_in(Caller().waits_for_agent().hangs_up())
            assert len(session.results) == 1

    run_virtual(main)


# --- calls that come back -----------------------------------------------------------------------------------


def transferring(
    answered: bool, *, again: bool = True, **settings: Any
) -> tuple[Exchange, list[Any], ScriptedLLM]:
    """A caller is given to somebody else, who takes them or does not."""
    results: list[Any] = []
    llm = ScriptedLLM(["I connect you.", "We open at nine."])

    async def body(session: Session, exchange: Exchange) -> None:
        call = inbound(exchange)

        async def transfer() -> None:
            await trio.sleep(6)
            running: Call = session.calls[call.call_id]
            await running.transfer("+15550001111")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(transfer)
            await call.come_in(Caller().waits_for_agent().says("a person please").waits_for_agent().waits(30))
        await trio.sleep(1)
        reply = await call.report(
            TransferEnded(call.call_id, answered, "busy", wants_document=True), "transfer"
        )
        if answered:
            assert "<Hangup/>" in reply.body
        else:
            call.taken = trio.Event()
            await call.follow(
                reply, Caller().waits_for_agent().says("when then").waits_for_agent().hangs_up()
            )
        again_reply = await call.report(
            TransferEnded(call.call_id, answered, wants_document=True), "transfer"
        )
        assert "<Hangup/>" in again_reply.body, "a second report moves nobody"
        results.extend(session.results)

    return house(body, agent(llm, **settings)), results, llm


def test_a_caller_whose_transfer_nobody_takes_comes_back_to_the_agent() -> None:
    exchange, results, llm = transferring(answered=False)
    assert (
        next(asked for asked in exchange.asked if isinstance(asked, TransferOrder)).number == "+15550001111"
    )
    assert exchange.calls[0].ear.text() == (
        "I am sorry, nobody answered there. Can I help you with anything else? We open at nine."
    )
    assert [result.reason for result in results] == ["transferred", "caller_hung_up"]
    told = [message["content"] for message in llm.requests[-1].messages]
    assert "a person please" in told, "the model knows what was said before"
    assert results[-1].history[0].text == "Hello, this is the desk."


def test_what_they_hear_then_is_a_setting() -> None:
    exchange, _, _ = transferring(answered=False, transfer_failed_message="Nobody there.")
    assert exchange.calls[0].ear.text().startswith("Nobody there.")


def test_a_caller_who_was_taken_does_not_come_back() -> None:
    _, results, _ = transferring(answered=True)
    assert [result.reason for result in results] == ["transferred"]


# --- recordings ---------------------------------------------------------------------------------------------


def test_every_call_is_recorded_where_that_was_asked_for_and_the_recording_is_told_of() -> None:
    told: list[RecordingSaved] = []

    async def body(session: Session, exchange: Exchange) -> None:
        call = inbound(exchange)
        await call.come_in(Caller().waits_for_agent().hangs_up())
        saved = RecordingSaved(call.call_id, "RE1", "https://recordings.example.test/RE1", 12.0)
        assert (await call.report(saved, "recording")).status == 204
        await trio.testing.wait_all_tasks_blocked()
        assert list(session.recordings) == [saved]

    exchange = house(body, agent(), recording=True, on_recording=told.append)
    assert ("record", f"CA{1:032x}") in [asked[:2] for asked in exchange.asked]
    assert [saved.recording_id for saved in told] == ["RE1"]


async def test_an_app_that_outlives_its_session_takes_no_webhooks() -> None:
    exchange = Exchange()
    async with open_house(exchange, agent()):
        call = inbound(exchange)
    assert (await call.offer()).status == 503


async def test_a_recording_is_fetched_into_a_file(tmp_path: Path) -> None:
    saved = RecordingSaved("CA1", "RE1", "https://recordings.example.test/RE1")

    class Archive(Exchange):
        breaks = False

        @asynccontextmanager
        async def fetch_recording(self, saved: RecordingSaved) -> AsyncIterator[AsyncIterator[bytes]]:
            yield Pieces([b"RIFF", b"data"], self.breaks)

    exchange = Archive()
    async with open_house(exchange, agent()) as session:
        await session.save_recording(saved, tmp_path / "call.wav")
        assert (tmp_path / "call.wav").read_bytes() == b"RIFFdata"
        exchange.breaks = True
        with pytest.raises(PatterConnectionError):
            await session.save_recording(saved, tmp_path / "other.wav")
    left = await trio.to_thread.run_sync(lambda: [path.name for path in tmp_path.iterdir()])
    assert left == ["call.wav"], "no half of a recording is left"


class Pieces:
    def __init__(self, pieces: list[bytes], breaks: bool) -> None:
        self.pieces, self.breaks = pieces, breaks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if self.breaks:
            raise PatterConnectionError("gone")
        raise StopAsyncIteration


def test_w22_nothing_is_recorded_unless_it_was_asked_for() -> None:
    """There: call logs and telemetry are on unless they are switched off."""

    async def body(session: Session, exchange: Exchange) -> None:
        await inbound(exchange).come_in(Caller().waits_for_agent().hangs_up())

    assert [asked[0] for asked in house(body, agent()).asked] == ["answer"]


def test_a_carrier_that_cannot_record_ends_no_call() -> None:
    class Deaf(Exchange):
        async def start_recording(self, call_id: str, links: Any) -> str:
            raise ProviderError("not allowed")

    exchange = Deaf()

    async def main() -> None:
        async with open_house(exchange, agent(), recording=True) as session:
            await inbound(exchange).come_in(Caller().waits_for_agent().hangs_up())
            assert session.results[-1].outcome == "answered"

    run_virtual(main)
