"""Channels that drop, facts that wait, a clock for many, and the border to foreign code."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import trio
import trio.testing

from patter_trio._actors.channels import Level, LossySender, open_lossy_channel
from patter_trio._actors.leg import Leg
from patter_trio._actors.ticker import Ticker
from patter_trio._foreign import call_back, foreign
from patter_trio._wire.twilio import TwilioWire
from patter_trio._wire.twilio_far import FarStream
from patter_trio.errors import AuthenticationError, CarrierStalledError, VoiceError
from patter_trio.testing import run_virtual


async def test_the_oldest_gives_way_and_is_counted() -> None:
    sender: LossySender[int]
    sender, receive = open_lossy_channel(2)
    with sender:
        for number in range(5):
            sender.push(number)
        assert sender.statistics().current_buffer_used == 2
    assert [number async for number in receive] == [3, 4]
    assert sender.dropped == 3


async def test_a_level_wakes_all_who_wait_for_it() -> None:
    level, woken = Level(0), []

    async def wait(least: int) -> None:
        woken.append((least, await level.wait_for(lambda value: value >= least)))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for least in (1, 2, 3):
                nursery.start_soon(wait, least)
            await trio.testing.wait_all_tasks_blocked()
            level.set(2)
            await trio.testing.wait_all_tasks_blocked()
            assert sorted(woken) == [(1, 2), (2, 2)]
            level.set(3)
    assert sorted(woken) == [(1, 2), (2, 2), (3, 3)]


def test_every_player_is_ticked_each_20_ms_and_spread_over_the_slots() -> None:
    ticks: dict[int, list[float]] = {number: [] for number in range(8)}

    async def main() -> None:
        ticker = Ticker()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticker.run)
            for number in ticks:
                nursery.start_soon(_player, ticker, ticks[number].append, 1.0)
            await trio.sleep(2.0)
            before = {number: len(times) for number, times in ticks.items()}
            await trio.sleep(1.0)
            assert before == {number: len(times) for number, times in ticks.items()}
            nursery.cancel_scope.cancel()

    run_virtual(main)
    phases = set()
    for times in ticks.values():
        assert len(times) == pytest.approx(50, abs=1)
        gaps = [b - a for a, b in zip(times, times[1:], strict=False)]  # noqa: RUF007
        assert gaps == pytest.approx([0.02] * len(gaps))
        phases.add(round(times[0] % 0.02, 3))
    assert len(phases) == 4


async def _player(ticker: Ticker, tick: Callable[[float], None], seconds: float) -> None:
    with ticker.paced(tick):
        await trio.sleep(seconds)


def test_foreign_failures_become_ours_with_their_cause() -> None:
    with (
        pytest.raises(VoiceError, match="the voice failed: KeyError") as caught,
        foreign(VoiceError, "the voice"),
    ):
        raise KeyError("x")
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_group_is_unwrapped_to_what_happened_first() -> None:
    with pytest.raises(VoiceError, match="wrong key") as caught, foreign(VoiceError, "the voice"):
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [AuthenticationError("wrong key")])])
    assert isinstance(caught.value.__cause__, AuthenticationError)


def test_our_own_error_passes_as_it_is() -> None:
    ours = VoiceError("mine")
    with pytest.raises(VoiceError) as caught, foreign(VoiceError, "the voice"):
        raise ours
    assert caught.value is ours


async def test_cancellation_passes_the_border() -> None:
    with trio.move_on_after(0) as scope, foreign(VoiceError, "the voice"):
        await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_callbacks_of_both_kinds_are_called_and_their_failures_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def later(value: int) -> int:
        return value + 1

    def fail() -> None:
        raise ValueError("no")

    assert await call_back(later, 1, name="later", deadline=1) == 2
    assert await call_back(int, "3", name="now", deadline=1) == 3
    with caplog.at_level(logging.WARNING):
        assert await call_back(fail, name="the callback", deadline=1) is None
    assert "the callback failed: ValueError('no')" in caplog.text


class _Socket:
    """Takes what it is told to take."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.room = True
        self.opened = trio.Event()

    async def receive(self) -> str:
        await trio.sleep_forever()
        raise AssertionError

    def send_nowait(self, message: str) -> bool:
        if self.room:
            self.taken.append(message)
        return self.room

    async def send(self, message: str) -> None:
        await self.opened.wait()
        self.taken.append(message)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def _leg() -> tuple[Leg, _Socket]:
    wire = TwilioWire()
    stream, call, account = ("MZ" + "0" * 32, "CA" + "0" * 32, "AC" + "0" * 32)
    for message in FarStream(stream, call_sid=call, account_sid=account).opening({}):
        wire.decode(message)
    socket = _Socket()
    return Leg(socket, wire), socket


def kinds(messages: list[str]) -> list[str]:
    return [
        next(kind for kind in ("media", "mark", "clear") if f'"{kind}"' in message) for message in messages
    ]


def test_what_the_socket_takes_goes_out_at_once() -> None:
    leg, socket = _leg()
    leg.post_audio(b"\xff" * 160, 1)
    leg.post_mark("1.1", 1)
    assert kinds(socket.taken) == ["media", "mark"]
    assert leg.queued == 0


def test_a_clear_drops_what_the_queue_holds_of_the_turn_and_nothing_overtakes() -> None:
    async def main() -> list[str]:
        leg, socket = _leg()
        socket.room = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leg.write)
            leg.post_audio(b"\xff" * 160, 1)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(5):
                leg.post_audio(b"\xff" * 160, 1)
            socket.room = True
            assert leg.clear(1) == 5
            leg.post_mark("barrier", 1)
            socket.opened.set()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        return kinds(socket.taken)

    assert run_virtual(main) == ["media", "clear", "mark"], "the frame that was being sent is sent whole"


def test_a_carrier_that_takes_nothing_is_stalled() -> None:
    async def main() -> float:
        leg, socket = _leg()
        socket.room = False
        leg.post_audio(b"\xff" * 160, 1)
        with pytest.raises(CarrierStalledError):
            await leg.write()
        return trio.current_time()

    assert run_virtual(main) == pytest.approx(1.5)
