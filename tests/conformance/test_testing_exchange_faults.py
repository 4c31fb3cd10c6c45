"""What may go wrong between the exchange and our side: webhooks, requests, media; each on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs
import httpx2
import pytest
import trio
from trio.testing import MockClock

from patter_trio.errors import PatterConfigError, PatterConnectionError
from patter_trio.testing import (
    Caller,
    Exchange,
    LineConditions,
    Person,
    RestFault,
    SimulatedTwilio,
    WebhookFault,
    open_exchange,
)
from patter_trio.testing.line import MemoryLine, WebhookAnswer

from .exchange_desk import STREAM, THEIRS, Api, Desk, hook, line_to

SHORT = Person(Caller().says("hello").waits(1).hangs_up())


@asynccontextmanager
async def exchanging(*faults: WebhookFault) -> AsyncIterator[tuple[Exchange, Api, Desk]]:
    desk, twilio = Desk(greeting="good day"), SimulatedTwilio()
    async with open_exchange(twilio, line_to(desk), port=None) as exchange:
        exchange.book[THEIRS] = SHORT
        exchange.post.fail(*faults)
        yield exchange, Api(exchange, twilio), desk


# --- webhooks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (WebhookFault("status", 4, lost=True), ["initiated", "ringing", "in-progress"]),
        (WebhookFault("status", 1, lost=True), ["ringing", "in-progress", "completed"]),
        (WebhookFault("status", lost=True), []),
        (
            WebhookFault("status", 2, copies=2),
            ["initiated", "ringing", "ringing", "in-progress", "completed"],
        ),
        (WebhookFault("status", 2, delay=2.0), ["initiated", "in-progress", "ringing", "completed"]),
        (WebhookFault("status", 4, delay=60.0), ["initiated", "ringing", "in-progress", "completed"]),
        (WebhookFault("machine", lost=True), ["initiated", "ringing", "in-progress", "completed"]),
        (WebhookFault("", 3, lost=True), ["initiated", "ringing", "completed"]),
    ],
)
async def test_webhooks_get_lost_come_twice_and_overtake_each_other(
    fault: WebhookFault, told: list[str], autojump_clock: MockClock
) -> None:
    async with exchanging(fault) as (exchange, api, desk):
        began = trio.current_time()
        sid = await api.place()
        await exchange.wait_quiet()
        assert (trio.current_time() - began > 60) == (fault.delay == 60)
    assert desk.statuses_told() == told
    # The call itself does not care.
    assert exchange.outcomes[sid].ok
    assert [each.note for each in exchange.post.deliveries].count("lost") == (
        4 if fault == WebhookFault("status", lost=True) else int(fault.lost and fault.kind != "machine")
    )


@pytest.mark.parametrize(
    ("fragment", "told", "statuses"),
    [("", 0, [503]), ("#rc=2&rp=5xx", 1, [503, 503, 204]), ("#rc=1&rp=all", 0, [503, 503])],
)
async def test_a_gateway_that_refuses_is_asked_again_as_the_address_says(
    fragment: str, told: int, statuses: list[int], autojump_clock: MockClock
) -> None:
    async with exchanging(WebhookFault("status", gateway_errors=2)) as (exchange, api, desk):
        await api.place(StatusCallback=hook("status") + fragment, StatusCallbackEvent="completed")
        await exchange.wait_quiet()
    assert len(desk.of("status")) == told
    assert [each.status if each.status == 503 else 204 for each in exchange.post.of("status")] == statuses


async def test_a_server_that_answers_5xx_is_asked_again_only_if_that_was_ordered(
    autojump_clock: MockClock,
) -> None:
    async with exchanging() as (exchange, api, desk):
        desk.statuses["status"] = 500
        await api.place(StatusCallbackEvent="completed")
        await api.place(StatusCallbackEvent="completed", StatusCallback=hook("status") + "#rc=3&rp=5xx")
        await exchange.wait_quiet()
    assert len(desk.of("status")) == 1 + 4


@attrs.define(eq=False)
class Down:
    """A line whose server cannot be reached for the first so many webhooks."""

    line: MemoryLine
    times: int

    def __getattr__(self, name: str) -> object:
        return getattr(self.line, name)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        self.times -= 1
        if self.times >= 0:
            raise PatterConnectionError("down")
        return await self.line.post(url, headers, body)


@pytest.mark.parametrize(("times", "heard"), [(1, "good day"), (2, "")])
async def test_a_server_that_is_not_reached_is_tried_once_more(
    times: int, heard: str, autojump_clock: MockClock
) -> None:
    desk = Desk(greeting="good day")
    line: object = Down(line_to(desk), times)
    async with open_exchange(SimulatedTwilio(), line, port=None) as exchange:  # type: ignore[arg-type]
        outcome = await exchange.call(Caller().waits(3).hangs_up())
    assert outcome.heard == heard
    assert (outcome.refusal is None) == bool(heard)


async def test_a_voice_webhook_that_is_slow_delays_no_other_call(autojump_clock: MockClock) -> None:
    async with (
        exchanging(WebhookFault("voice", delay=14), WebhookFault("status", delay=5)) as (
            exchange,
            api,
            desk,
        ),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(exchange.call, Caller().waits(1))
        sid = await api.place()
        await exchange.legs[sid].done.wait()
        assert desk.of("voice") == []
    assert len(desk.of("voice")) == 1


async def test_a_voice_webhook_that_refuses_ends_the_call_with_an_error(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, _, desk):
        desk.statuses["voice"] = 500
        outcome = await exchange.call(Caller().waits_for_hang_up())
    assert (outcome.ended_by, outcome.refusal) == ("refused", "the voice webhook answered HTTP 500")
    assert [each.kind for each in outcome.violations] == ["no TwiML"]


async def test_a_stream_that_is_refused_is_told_and_the_document_goes_on(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, _, desk):
        desk.refuse_media_with = 403
        desk.documents["voice"] = STREAM.replace("</Response>", "<Say>sorry</Say></Response>")
        outcome = await exchange.call(Caller().waits_for_hang_up())
        await exchange.wait_quiet()
    assert outcome.heard == "sorry"
    (told,) = desk.of("stream")
    assert told["StreamEvent"] == "stream-error"
    assert "403" in told["StreamError"]


@pytest.mark.parametrize("wrong", [{"number": -1}, {"copies": 0}, {"delay": -1.0}, {"gateway_errors": -1}])
def test_faults_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WebhookFault("status", **wrong)  # type: ignore[arg-type]


# --- requests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status"),
    [("unauthorized", 401), ("too_many", 429), ("server_error", 503), ("garbage", 200)],
)
async def test_requests_fail_on_demand(fault: str, status: int, autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, api, _):
        exchange.rest.fail(fault)
        assert (await api.ask("GET", ".json"))[0] == status
        assert (await api.ask("GET", ".json"))[0] == 200
        with pytest.raises(PatterConfigError, match="flood"):
            exchange.rest.fail("flood")
    assert len(exchange.rest.requests) == 2


async def test_a_lost_answer_to_an_order_has_the_call_placed_all_the_same(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, api, desk):
        exchange.rest.fail(RestFault.named("cuts", is_carried_out=True))
        with pytest.raises(httpx2.RemoteProtocolError, match="cut"):
            await api.place()
        await exchange.wait_quiet()
    assert len(exchange.legs) == 1
    assert desk.statuses_told()[-1] == "completed"


async def test_an_api_that_hangs_lets_the_client_wait_as_long_as_it_wants(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, api, _):
        exchange.rest.fail("hangs")
        began = trio.current_time()
        with pytest.raises(httpx2.ReadTimeout):
            await api.place()
        assert trio.current_time() - began == pytest.approx(5)
    assert exchange.legs == {}


# --- media --------------------------------------------------------------------------------------------------


async def test_the_line_of_a_number_has_its_own_conditions(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, api, desk):
        exchange.conditions_of[THEIRS] = LineConditions(stops_twice=True, loss=1.0)
        sid = await api.place()
        await exchange.wait_quiet()
        good = await exchange.call(Caller().waits_for_agent().hangs_up())
    assert exchange.outcomes[sid].heard == ""
    assert good.heard == "good day"
    assert desk.stops == 3


async def test_a_socket_that_breaks_is_the_agents_loss(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, _, desk):
        outcome = await exchange.call(Caller().waits(1).drops_socket())
    assert (outcome.ended_by, desk.stops, desk.ends) == ("dropped", 0, 1)
