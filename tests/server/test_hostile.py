"""Every hostile opening at once against a port that carries calls meanwhile."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import attrs
import pytest
import trio
import trio_websocket

from patter_trio._net.websocket import open_websocket

from . import hostile_bodies, hostile_frames, hostile_heads, hostile_upgrades
from .echo_house import Door, EchoHouse, open_door, wait_until
from .knocks import HEALTH, Opening, openings_of

OPENINGS = openings_of(hostile_heads, hostile_bodies, hostile_upgrades, hostile_frames)
AT_ONCE = 16
SECONDS_EACH = 12


@attrs.define
class GoodCall:
    """A well-behaved media stream: 50 messages a second, each echoed in order."""

    sent: int = 0
    lost: int = 0
    worst: float = 0.0

    async def _exchange(self, message: str, echo: str | bytes, began: float) -> None:
        self.sent += 1
        self.lost += echo != message
        self.worst = max(self.worst, trio.current_time() - began)
        await trio.sleep(0.02)

    async def over_our_client(self, door: Door, over: trio.Event) -> None:
        async with open_websocket(f"ws://127.0.0.1:{door.port}/ws/twilio/good") as socket:
            while not over.is_set():
                message, began = f"frame {self.sent} " + "x" * 300, trio.current_time()
                await socket.send(message)
                await self._exchange(message, str(await socket.receive()), began)

    async def over_an_independent_client(self, door: Door, over: trio.Event) -> None:
        async with trio_websocket.open_websocket_url(f"ws://127.0.0.1:{door.port}/ws/twilio/good") as socket:
            while not over.is_set():
                message, began = f"frame {self.sent} " + "x" * 300, trio.current_time()
                await socket.send_message(message)
                await self._exchange(message, await socket.get_message(), began)


async def poll_health(door: Door, over: trio.Event) -> None:
    while not over.is_set():
        answer = await door.ask(HEALTH[:-2] + b"Connection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b'{"status":"ok"}')
        await trio.sleep(0.05)


def count_tasks(nursery: trio.Nursery) -> int:
    return sum(1 + sum(count_tasks(inner) for inner in task.child_nurseries) for task in nursery.child_tasks)


def open_descriptors() -> int:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return 0


async def settle(door: Door, tasks: int) -> None:
    await wait_until(lambda: count_tasks(door.nursery) <= tasks and not door.stats.connections_open)


def test_the_corpus_is_large_and_every_opening_has_its_own_name() -> None:
    names = {opening.__name__ for opening in OPENINGS}
    assert len(names) == len(OPENINGS) >= 60


async def test_no_hostile_opening_touches_another_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    openings = OPENINGS.copy()
    random.Random(7).shuffle(openings)
    house = EchoHouse(fail_media_with=RuntimeError("a bug in a call"))
    calls = [GoodCall(), GoodCall()]
    survived: list[str] = []
    async with open_door(house) as door:
        resting, descriptors = count_tasks(door.nursery), open_descriptors()
        over = trio.Event()
        limiter = trio.CapacityLimiter(AT_ONCE)

        async def knock(opening: Opening) -> None:
            name: str = opening.__name__
            async with limiter:
                with trio.move_on_after(SECONDS_EACH) as patience:
                    await opening(door)
                    survived.append(name)
                assert not patience.cancelled_caught, f"the port held on to {name}"

        async with trio.open_nursery() as friends:
            friends.start_soon(calls[0].over_our_client, door, over)
            friends.start_soon(calls[1].over_an_independent_client, door, over)
            friends.start_soon(poll_health, door, over)
            async with trio.open_nursery() as strangers:
                for opening in openings:
                    strangers.start_soon(knock, opening)
            over.set()
        await settle(door, resting)

        assert len(survived) == len(OPENINGS)
        assert [call.lost for call in calls] == [0, 0]
        assert all(call.sent > 50 for call in calls)
        assert (await door.ask(HEALTH)).startswith(b"HTTP/1.1 200")
        await settle(door, resting)
        assert open_descriptors() <= descriptors
        assert house.media_ended == door.stats.media_total == len(house.upgrades)

        stats = door.stats
        assert stats.connections_failed == 1, caplog.text
        assert "a bug in a call" in caplog.text
        assert stats.connections_total > len(OPENINGS)
        assert stats.heads_malformed >= 12
        assert stats.heads_oversized >= 4
        assert stats.heads_timed_out >= 4
        assert stats.exchanges_timed_out >= 2
        assert stats.upgrades_refused >= 12
        assert stats.media_protocol_errors >= 12
        assert stats.messages_oversized >= 3
        assert stats.pongs_dropped > 0
        assert stats.peers_vanished >= 5
        print(
            f"\n{len(survived)} openings, frames {[c.sent for c in calls]}, worst {[c.worst for c in calls]}"
        )
        print(stats)
