"""What a frame's way through the engine costs, step by step, in microseconds of a busy loop.

A 20 ms frame comes in as a text message (decode), becomes linear sound (g711), goes to the detector, on to
the recogniser through a channel; an answer's frame is taken from the playout's queue, is noted in the ledger,
becomes a message (encode) and goes to the socket. Beside them what trio itself costs: a hop through a
channel, a wait for a level, a tick of the shared ticker with 1, 10 and 100 players.

Each step is repeated in batches; p50, p99 and max are over the batches, per single step. The ticks run on a
virtual clock: what is timed is the work, not the waiting. Everything else is the real clock.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import Any

import trio
import trio.testing
from websockets.protocol import State
from websockets.server import ServerProtocol

from _picture import Bar, bars, save
from _report import machine, print_machine, print_rows, read_options, row_of, write_report
from patter_trio._actors.channels import Level, LossySender, open_lossy_channel
from patter_trio._actors.leg import Leg
from patter_trio._actors.ticker import Ticker
from patter_trio._audio import g711
from patter_trio._net.frames import FrameSocket
from patter_trio._net.pipes import pipe_over
from patter_trio._turns.edges import SpeechTracker
from patter_trio._turns.ledger import Ledger
from patter_trio._turns.playout import Playout
from patter_trio._wire.twilio import TwilioWire
from patter_trio._wire.twilio_far import FarStream
from patter_trio.abc import DetectorThresholds, SpeechDetector
from patter_trio.errors import MissingExtraError
from patter_trio.events import MULAW_8K
from patter_trio.testing import ScriptedVAD, speak_words
from patter_trio.vad import EnergyVAD, SileroVAD

STREAM = "MZ" + "0" * 32
SOUND = speak_words("one two three four five six seven eight")
FRAMES = [SOUND[start : start + 160] for start in range(0, len(SOUND), 160)]
LINEAR = [g711.decode(frame, MULAW_8K) for frame in FRAMES]
BATCH = 50

Now = Callable[[], float]
now: Now = time.perf_counter  # noqa: TID251  # times this process, outside of any call


def timed(step: Callable[[int], Any], seconds: float) -> list[float]:
    """Microseconds of one ``step(number)``, a value per batch."""
    found: list[float] = []
    until, number = now() + seconds, 0
    while now() < until or len(found) < 3:
        began = now()
        for _ in range(BATCH):
            step(number)
            number += 1
        found.append((now() - began) / BATCH * 1e6)
    return found[1:]


async def timed_async(step: Callable[[int], Awaitable[Any]], seconds: float) -> list[float]:
    found: list[float] = []
    until, number = now() + seconds, 0
    while now() < until or len(found) < 3:
        began = now()
        for _ in range(BATCH):
            await step(number)
            number += 1
        found.append((now() - began) / BATCH * 1e6)
    return found[1:]


# --- steps of a frame's way ---------------------------------------------------------------------------------


def started_wire() -> tuple[TwilioWire, FarStream]:
    wire, far = TwilioWire(), FarStream(STREAM, call_sid="CA" + "0" * 32, account_sid="AC" + "0" * 32)
    for message in far.opening({}):
        wire.decode(message)
    return wire, far


def detectors() -> dict[str, Any]:
    found: dict[str, Any] = {"scripted": ScriptedVAD(), "energy": EnergyVAD()}
    try:
        found["silero"] = SileroVAD()
    except MissingExtraError as error:
        print(f"without Silero: {error}")
    return found


def in_steps(seconds: float) -> dict[str, list[float]]:
    wire, far = started_wire()
    messages = [far.media(frame, number) for number, frame in enumerate(FRAMES)]
    tracker = SpeechTracker(DetectorThresholds(), 0.02)
    found = {
        "in_wire_decode": timed(lambda n: wire.decode(messages[n % len(messages)]), seconds),
        "in_g711_decode": timed(lambda n: g711.decode(FRAMES[n % len(FRAMES)], MULAW_8K), seconds),
        "in_speech_tracker": timed(lambda n: tracker.feed(float(n % 40 < 30)), seconds),
    }
    for name, vad in detectors().items():
        detector = vad.open_detector(8000)
        found[f"in_detector_{name}"] = timed(feeding(detector), seconds)
    return found


def feeding(detector: SpeechDetector) -> Callable[[int], Any]:
    return lambda number: detector.feed(LINEAR[number % len(LINEAR)])


class NullSocket:
    """Takes everything; what is left is our own cost."""

    async def receive(self) -> str:
        raise trio.EndOfChannel

    def send_nowait(self, message: str) -> bool:
        return True

    async def send(self, message: str) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def playing(sound: bytes) -> Playout:
    playout = Playout(MULAW_8K, Ledger(1, 8000), lead=0.1)
    playout.push(sound)
    return playout


def out_steps(seconds: float) -> dict[str, list[float]]:
    wire, _ = started_wire()
    leg = Leg(NullSocket(), wire)
    # About what the player may hold: two seconds of sound.
    playout = playing(SOUND)

    def take(number: int) -> None:
        for _ in playout.due(number * 0.02):
            playout.push(FRAMES[number % len(FRAMES)])

    return {
        "out_playout_and_ledger": timed(take, seconds),
        "out_wire_encode": timed(lambda n: wire.encode_audio(FRAMES[n % len(FRAMES)]), seconds),
        "out_leg_and_encode": timed(lambda n: leg.post_audio(FRAMES[n % len(FRAMES)], 1), seconds),
    }


async def socket_steps(seconds: float) -> dict[str, list[float]]:
    """One message through our port's WebSocket code over loopback TCP; the far end only reads bytes."""
    wire, _ = started_wire()
    message = wire.encode_audio(FRAMES[0])
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    far = await trio.open_tcp_stream(*listener.socket.getsockname()[:2])
    near = await listener.accept()
    protocol = ServerProtocol()
    protocol.state = State.OPEN
    socket = FrameSocket(pipe_over(near, read_size=4096), protocol, close_deadline=0.1)
    found: list[float] = []
    until = now() + seconds
    while now() < until or len(found) < 3:
        began = now()
        for _ in range(BATCH):
            assert socket.send_nowait(message)
        found.append((now() - began) / BATCH * 1e6)
        read = 0
        while read < BATCH * len(message):
            read += len(await far.receive_some())
    await far.aclose()
    await socket.abandon()
    await listener.aclose()
    return {"out_socket_send": found[1:]}


# --- what trio costs ----------------------------------------------------------------------------------------


async def trio_steps(seconds: float) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"trio_checkpoint": await timed_async(_checkpoint, seconds)}
    outlet: LossySender[int]
    outlet, inlet = open_lossy_channel(25)
    back, done = trio.open_memory_channel[int](0)

    async def answer() -> None:
        async for item in inlet:
            await back.send(item)

    async def there_and_back(number: int) -> None:
        outlet.push(number)
        await done.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        # There and back are two hops.
        found["trio_channel_hop"] = [us / 2 for us in await timed_async(there_and_back, seconds)]
        nursery.cancel_scope.cancel()
    found["trio_level_wait"] = await _level_waits(seconds)
    return found


async def _checkpoint(_: int) -> None:
    await trio.lowlevel.checkpoint()


async def _level_waits(seconds: float) -> list[float]:
    asked, answered = Level(0), Level(0)

    async def answer() -> None:
        while True:
            answered.set(await asked.wait_for(lambda value: value > answered.value))

    async def there_and_back(_: int) -> None:
        wanted = asked.value + 1
        asked.set(wanted)
        await answered.wait_for(lambda value: value >= wanted)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        found = [us / 2 for us in await timed_async(there_and_back, seconds)]
        nursery.cancel_scope.cancel()
    return found


def ticks(players: int, seconds: float) -> list[float]:
    """Microseconds per player and tick of whole virtual seconds, every player sending."""
    found: list[float] = []

    async def main() -> None:
        ticker = Ticker()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticker.run)
            until = now() + seconds
            while now() < until or len(found) < 3:
                await _one_second(ticker, players, found)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return found[1:]


async def _one_second(ticker: Ticker, players: int, found: list[float]) -> None:
    with ExitStack() as stack:
        for _ in range(players):
            wire, _far = started_wire()
            stack.enter_context(ticker.paced(_player(Leg(NullSocket(), wire), playing(SOUND))))
        await trio.sleep(0.1)  # the lead is filled
        began = now()
        await trio.sleep(1.0)
        found.append((now() - began) / (50 * players) * 1e6)


def _player(leg: Leg, playout: Playout) -> Callable[[float], None]:
    def tick(at: float) -> None:
        for frame, mark in playout.due(at):
            leg.post_audio(frame, 1)
            if mark is not None:
                leg.post_mark(mark, 1)

    return tick


# --- the report ---------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> None:
    options = read_options(argv, __doc__, calls=(1, 10, 100), seconds=1)
    facts = machine()
    print_machine(
        facts, f"each step for {options.seconds:g} s; --calls is the number of players of the ticker"
    )
    found = {
        **in_steps(options.seconds),
        **out_steps(options.seconds),
        **trio.run(socket_steps, options.seconds),
        **trio.run(trio_steps, options.seconds),
    }
    rows = [row_of(1, metric, values, "us") for metric, values in found.items()]
    print_rows("real clock", rows)
    virtual = [
        row_of(players, "ticker_per_player", ticks(players, options.seconds), "us")
        for players in options.calls
    ]
    print_rows(
        "virtual clock: one tick of one player, the frame it sends included (real microseconds)", virtual
    )
    drawn = [
        Bar(row.metric, row.p50, "us", colour=("in", "out", "trio", "ticker").index(row.metric.split("_")[0]))
        for row in rows
    ]
    drawn += [Bar(f"ticker, {row.calls} player(s)", row.p50, "us", colour=3) for row in virtual]
    shapes, y = bars(drawn, 70)
    save(shapes, y, "A frame's way, microseconds per step (p50)", options.out, "hops")
    write_report(options, "hops", [*rows, *virtual], machine=facts)


if __name__ == "__main__":
    main()
