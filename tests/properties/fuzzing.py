"""Anything at all, said to a running session by somebody with the carrier's own signature.

One bystander talks with the agent all the while; around them calls come in whose media streams say things
that are nearly right, and webhooks that tell them. The clock is virtual, the wires and the app are the real
ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from urllib.parse import unquote

import attrs
import httpx2
import trio

from patter_trio import Patter
from patter_trio.testing import Caller, CallOutcome, Exchange, MemoryLine, open_exchange, run_virtual

from ..calls.exchanged import Later, Way
from ..calls.ring import NUMBER, URL, agent

__all__ = ["Fuzzed", "Said", "Stranger", "anything", "fuzz", "said_by", "some_text"]

_BYSTANDER = Caller().waits_for_agent().says("are you open on sunday").waits_for_agent().waits(2).hangs_up()


@attrs.frozen
class Stranger:
    """Somebody with a carrier's key, who signs what they like.

    Args:
        way: the carrier, from both sides.
        offer: the address and the body that offer the call of this number to us.
        stream_in: the media socket's address in our reply to that, or in what was asked of the carrier.
        headers_of: the headers of the upgrade to it.
        opening: the messages that begin the stream of the call of this number.
        sign: headers for a webhook with this body.
        webhooks: what the last part of a webhook's address may be.
        events: names of the messages on the media stream.
        keys: names of their fields.
        values: values that these fields may really have.
        body: the body of a webhook that is nearly right.
    """

    way: Way
    offer: Callable[[int], tuple[str, bytes]]
    stream_in: Callable[[bytes, Sequence[bytes]], str]
    headers_of: Callable[[str], dict[str, str]]
    opening: Callable[[int], Sequence[str]]
    sign: Callable[[str, bytes], dict[str, str]]
    webhooks: Sequence[str]
    events: Sequence[str]
    keys: Sequence[str]
    values: Sequence[Any]
    body: Callable[[Random], bytes]


class _Obliging(httpx2.AsyncBaseTransport):
    """The carrier's REST API, which also does whatever is asked of a stranger's call."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.orders: list[bytes] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if "stranger" not in unquote(request.url.path):
            return await self._exchange.transport.handle_async_request(request)
        await trio.lowlevel.checkpoint()
        self.orders.append(await request.aread())
        return httpx2.Response(200, json={"data": {"result": "ok"}}, request=request)


@attrs.frozen
class Said:
    """What one stranger says: on a media stream, and by webhooks."""

    messages: tuple[str, ...]
    webhooks: tuple[tuple[str, bytes], ...]


@attrs.frozen
class Fuzzed:
    """What became of it: the bystander's call, the statuses of the webhooks, what was left."""

    outcome: CallOutcome
    statuses: tuple[int, ...]
    malformed: int
    reasons: tuple[str, ...]
    tasks_left: int
    lines_left: int


def said_by(stranger: Stranger, random: Random, size: int) -> Said:
    """``size`` messages, and a tenth as many webhooks."""
    return Said(
        tuple(_message(stranger, random) for _ in range(size)),
        tuple((_what(stranger, random), stranger.body(random)) for _ in range(max(1, size // 10))),
    )


def anything(random: Random, depth: int = 3) -> Any:
    """Anything that JSON can say."""
    kind = random.randrange(8 if depth else 6)
    match kind:
        case 0:
            return random.choice([None, True, False])
        case 1:
            return random.choice([0, -1, 1 << 70, random.randrange(1 << 16)])
        case 2:
            return random.choice([0.5, -1e308, float("inf"), float("nan")])
        case 3 | 4 | 5:
            return some_text(random)
        case 6:
            return [anything(random, depth - 1) for _ in range(random.randrange(4))]
        case _:
            return {some_text(random): anything(random, depth - 1) for _ in range(random.randrange(4))}


def some_text(random: Random, longest: int = 12) -> str:
    """Characters of every kind, half of a pair and NUL included."""
    kinds = (range(32, 127), range(0x20), range(0x80, 0x800), range(0xD800, 0xE000), range(0x1F600, 0x1F650))
    count = random.randrange(longest)
    return "".join(chr(random.choice(random.choices(kinds, (8, 1, 1, 1, 1))[0])) for _ in range(count))


def _message(stranger: Stranger, random: Random) -> str:
    kind = random.randrange(10)
    if kind < 6:
        event = random.choice(stranger.events)
        inner = _fields(stranger, random, 2) if random.random() < 0.9 else anything(random)
        near = json.dumps({**_fields(stranger, random, 1), "event": event, event: inner})
        return near if random.random() < 0.9 else near[: random.randrange(len(near))]
    if kind < 8:
        return json.dumps(anything(random))
    return some_text(random, 60) if kind < 9 else "[" * random.randrange(2000)


def _fields(stranger: Stranger, random: Random, depth: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for _ in range(random.randrange(7)):
        key = random.choice(stranger.keys) if random.random() < 0.9 else some_text(random)
        if depth and random.random() < 0.2:
            fields[key] = _fields(stranger, random, depth - 1)
        else:
            fields[key] = random.choice(stranger.values) if random.random() < 0.6 else anything(random)
    return fields


def _what(stranger: Stranger, random: Random) -> str:
    if random.random() < 0.9:
        return random.choice(stranger.webhooks)
    return "".join(random.choice("abz/.%") for _ in range(random.randrange(1, 7)))


def fuzz(stranger: Stranger, said: Sequence[Said]) -> Fuzzed:
    """Lets strangers say all that, one call each and all at once, beside somebody who means it."""
    return run_virtual(lambda: _fuzz(stranger, said))


async def _fuzz(stranger: Stranger, said: Sequence[Said]) -> Fuzzed:
    before = trio.lowlevel.current_statistics().tasks_living
    statuses: list[int] = []
    outcomes: list[CallOutcome] = []
    later, simulated = Later(), stranger.way.simulated()
    line = MemoryLine(later, URL)
    async with open_exchange(simulated, line, port=None) as exchange:
        obliging = _Obliging(exchange)
        carrier = stranger.way.carrier(simulated, {"transport": obliging})
        async with Patter(carrier, NUMBER, URL).session(agent(), port=None) as session:
            later.app = session.app

            async def stand_by() -> None:
                outcomes.append(await exchange.call(_BYSTANDER))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(stand_by)
                for number, words in enumerate(said, 1):
                    nursery.start_soon(_be_strange, stranger, line, number, words, obliging.orders, statuses)
            left = len(session.calls)
            malformed = sum(result.counts["malformed"] for result in session.results)
            reasons = tuple(result.reason for result in session.results)
    (outcome,) = outcomes
    tasks = trio.lowlevel.current_statistics().tasks_living - before
    return Fuzzed(outcome, tuple(statuses), malformed, reasons, tasks, left)


async def _be_strange(
    stranger: Stranger,
    line: MemoryLine,
    number: int,
    words: Said,
    orders: Sequence[bytes],
    statuses: list[int],
) -> None:
    await trio.sleep(0.3 * number)
    url, body = stranger.offer(number)
    answer = await line.post(url, stranger.sign(url, body), body)
    assert answer.status in (200, 204), answer
    address = stranger.stream_in(answer.body, orders)
    headers = stranger.headers_of(address)
    async with line.open_media(address, headers) as socket, trio.open_nursery() as nursery:
        nursery.start_soon(_listen, socket)
        for message in (*stranger.opening(number), *words.messages):
            try:
                await socket.send(message)
            except trio.BrokenResourceError:
                break
            await trio.sleep(0.005)
        for what, payload in words.webhooks:
            target = f"{URL}/webhooks/{stranger.way.name}/{what}?call=none"
            got = await line.post(target, stranger.sign(target, payload), payload)
            statuses.append(got.status)
        nursery.cancel_scope.cancel()


async def _listen(socket: Any) -> None:
    while True:
        try:
            await socket.receive()
        except trio.EndOfChannel:
            return
