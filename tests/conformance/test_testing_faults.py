"""The faults of carriers, each on its own: that they happen, how often, and from a seed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any, cast

import attrs
import pytest
import trio

from patter_trio._server.app import build_app
from patter_trio._wire.twilio import TwilioWire
from patter_trio.errors import PatterConfigError
from patter_trio.events import AudioReceived, CarrierEvent, MarkPlayed
from patter_trio.testing import (
    Caller,
    CallOutcome,
    LineConditions,
    MarksAtClear,
    MemoryLine,
    SimulatedTwilio,
    run_virtual,
)
from patter_trio.testing.faults import Echoes, Shuffle
from patter_trio.testing.line import ASGIApp, ASGIMessage
from patter_trio.testing.playback import PlaybackBuffer

from .toy_agent import ToyAgent

QUESTION = "when are you open?"
ASK = Caller().waits_for_agent().says(QUESTION).waits_for_agent().hangs_up()
LOUD = b"\x00" * 160
Receive = Callable[[], Awaitable[ASGIMessage]]
Send = Callable[[ASGIMessage], Awaitable[None]]


@attrs.define
class Wiretap:
    """What reached the server of one call, and when it was closed."""

    outcome: CallOutcome | None = None
    events: list[CarrierEvent] = attrs.field(factory=list[CarrierEvent])
    texts: list[str] = attrs.field(factory=list[str])
    close_code: int | None = None

    def kinds(self, kind: str) -> int:
        return sum(f'"event":"{kind}"' in text for text in self.texts)

    @property
    def times(self) -> list[float]:
        return [event.at for event in self.events if isinstance(event, AudioReceived)]

    @property
    def echoes(self) -> list[str]:
        return [event.name for event in self.events if isinstance(event, MarkPlayed)]


def tapped(app: ASGIApp, tap: Wiretap) -> ASGIApp:
    wire = TwilioWire()

    async def listening(scope: ASGIMessage, receive: Receive, send: Send) -> None:
        async def overheard() -> ASGIMessage:
            message: ASGIMessage = await receive()
            if message["type"] == "websocket.receive":
                tap.texts.append(message["text"])
                event = wire.decode(message["text"])
                if event is not None:
                    tap.events.append(event)
            elif message["type"] == "websocket.disconnect":
                tap.close_code = message["code"]
            return message

        await app(scope, overheard, send)

    return listening


def call(conditions: LineConditions, script: Caller = ASK, agent: ToyAgent | None = None) -> Wiretap:
    tap = Wiretap()

    async def place() -> None:
        line = MemoryLine(tapped(build_app(agent or ToyAgent()), tap))
        tap.outcome = await SimulatedTwilio().call(line, script, conditions=conditions)

    run_virtual(place, seed=1)
    return tap


def test_a_good_line_keeps_order_and_count() -> None:
    tap = call(LineConditions(seed=3))
    assert all(after - before == pytest.approx(0.02) for before, after in pairwise(tap.times))
    assert tap.echoes == ["turn-1", "turn-2"]
    assert tap.kinds("stop") == 1
    assert tap.outcome is not None
    assert tap.outcome.ok


def test_frames_are_overtaken_by_few_others_and_none_is_lost() -> None:
    conditions = LineConditions(seed=3, frames_reordered=0.1, reorder_frames=3)
    tap = call(conditions)
    times = tap.times
    numbers = [round(at / 0.02) for at in times]
    overtaken = [sum(other > number for other in numbers[:place]) for place, number in enumerate(numbers)]
    assert max(overtaken) == 3
    assert 0.03 < sum(count > 0 for count in overtaken) / len(numbers) < 0.15
    assert sorted(numbers)[:-5] == list(range(len(numbers) - 5))
    assert times == call(conditions).times
    assert times != call(attrs.evolve(conditions, seed=4)).times


def test_a_share_of_the_frames_comes_twice() -> None:
    tap = call(LineConditions(seed=3, frames_repeated=0.1))
    repeated = len(tap.times) - len(set(tap.times))
    assert 0.05 < repeated / len(tap.times) < 0.15
    assert tap.times == sorted(tap.times)


def test_copies_are_byte_for_byte_the_same() -> None:
    shuffle = Shuffle(LineConditions(frames_repeated=1.0))
    assert list(shuffle.pass_on("one")) == ["one", "one"]


def test_a_carrier_may_never_echo() -> None:
    tap = call(LineConditions(seed=3, marks_lost=1.0))
    assert tap.echoes == []
    assert tap.outcome is not None
    assert tap.outcome.marks == ("turn-1", "turn-2")


def test_some_echoes_get_lost() -> None:
    echoes = Echoes(LineConditions(seed=1, marks_lost=0.3))
    for number in range(1000):
        echoes.send(str(number), 0.0)
    assert 620 < len(list(echoes.due(0.0))) < 780


def test_echoes_come_twice() -> None:
    assert call(LineConditions(seed=3, marks_repeated=1.0)).echoes == ["turn-1", "turn-1", "turn-2", "turn-2"]


def test_late_echoes_come_behind_their_successors() -> None:
    echoes = Echoes(LineConditions(seed=1, marks_late=0.5, marks_late_ms=1000))
    came: list[tuple[float, str]] = []
    for step in range(1000):
        if step < 900:
            echoes.send(str(step), step / 100)
        came += [(step / 100, name) for name in echoes.due(step / 100)]
    names = [int(name) for _, name in came]
    late = [at - int(name) / 100 for at, name in came]
    assert sorted(names) == list(range(900))
    assert names != sorted(names)
    assert 0.9 < max(late) <= 1.01
    assert 0.4 < sum(by > 0 for by in late) / len(late) < 0.6


def test_an_echo_may_come_in_the_next_turn() -> None:
    conditions = LineConditions(seed=2, marks_late=1.0, marks_late_ms=8000)
    tap = call(conditions, Caller(ASK.steps[:-1]).waits(8).hangs_up())
    assert sorted(tap.echoes) == ["turn-1", "turn-2"]
    spoken = [index for index, text in enumerate(tap.texts) if '"event":"mark"' in text]
    assert spoken[0] > 60


def test_a_late_echo_of_a_good_line_is_in_time() -> None:
    tap = call(LineConditions(seed=2, marks_late=1.0, marks_late_ms=0))
    assert tap.echoes == ["turn-1", "turn-2"]


@pytest.mark.parametrize(
    ("policy", "at_clear", "barrier"),
    [("returned", ["b", "c"], ["d"]), ("forgotten", [], ["d"]), ("unanswered", [], [])],
)
def test_carriers_differ_in_what_a_clear_returns(
    policy: MarksAtClear, at_clear: list[str], barrier: list[str]
) -> None:
    buffer = PlaybackBuffer(marks_at_clear=policy)
    buffer.put(LOUD)
    assert buffer.mark("a") == ()
    buffer.put(LOUD * 4)
    buffer.mark("b")
    buffer.put(LOUD * 4)
    buffer.mark("c")
    assert buffer.tick()[1] == ()
    assert buffer.tick()[1] == ("a",)
    assert list(buffer.clear()) == at_clear
    assert [*buffer.mark("d"), *buffer.tick()[1]] == barrier
    buffer.put(LOUD)
    assert buffer.mark("e") == ()
    assert [buffer.tick()[1] for _ in range(2)] == [(), ("e",)], "what follows is answered as ever"
    assert buffer.outstanding == ()


def test_what_was_played_when_the_clear_came_is_answered_by_every_carrier() -> None:
    buffer = PlaybackBuffer(marks_at_clear="unanswered")
    buffer.put(LOUD)
    buffer.mark("sounding")
    buffer.tick()
    assert buffer.clear() == ()
    assert buffer.tick()[1] == ("sounding",)


def test_stop_may_come_twice() -> None:
    agent = ToyAgent()
    tap = call(LineConditions(stops_twice=True), ASK, agent)
    assert tap.kinds("stop") >= 1
    assert agent.stops >= 1
    far = Wiretap()

    async def reads_on(scope: ASGIMessage, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await build_app(ToyAgent())(scope, receive, send)
            return
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def place() -> None:
        script = Caller().waits(0.2).hangs_up()
        await SimulatedTwilio().call(
            MemoryLine(tapped(reads_on, far)), script, conditions=LineConditions(stops_twice=True)
        )

    run_virtual(place)
    assert far.kinds("stop") == 2


def test_a_carrier_that_withholds_everything_sends_it_all_at_once_afterwards() -> None:
    script = Caller().waits_for_agent().stops_sending(1.0).waits_for_agent(timeout=1).hangs_up()
    tap = call(LineConditions(), script)
    heard = [round(at / 0.02) for at in tap.times]
    assert heard == list(range(len(heard))), "nothing was lost"
    assert tap.outcome is not None
    assert not tap.outcome.violations
    assert "withhold everything for 1 s" in tap.outcome.steps[1].step


def test_what_is_withheld_for_too_long_is_lost() -> None:
    tap = call(LineConditions(), Caller().waits_for_agent().stops_sending(4.0).waits(1).hangs_up())
    gaps = [after - before for before, after in pairwise(tap.times)]
    assert max(gaps) == pytest.approx(4.0 - 128 * 0.02, abs=0.1)
    assert tap.outcome is not None
    assert tap.outcome.ok


def test_a_half_closed_socket_can_still_be_written() -> None:
    agent = ToyAgent()
    tap = call(LineConditions(), Caller().waits(0.3).closes_sending(), agent)
    assert tap.outcome is not None
    assert tap.outcome.ok, tap.outcome
    assert tap.outcome.ended_by == "dropped"
    assert (agent.stops, agent.ends) == (0, 1)
    assert tap.close_code == 1006


def test_a_server_that_leaves_its_half_open_is_noticed() -> None:
    async def never_closes(scope: ASGIMessage, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await build_app(ToyAgent())(scope, receive, send)
            return
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        with suppress(ConnectionResetError):
            while True:
                await send({"type": "websocket.send", "text": "still there?"})
                await trio.sleep(0.02)

    async def place() -> CallOutcome:
        return await SimulatedTwilio().call(
            MemoryLine(never_closes), Caller().waits(0.2).closes_sending(timeout=5)
        )

    outcome = run_virtual(place)
    assert [step.ok for step in outcome.steps] == [True, False]
    assert "the end of the connection: not within 5 s" in outcome.steps[1].note
    assert len(outcome.violations) > 100, "the carrier read on"


@pytest.mark.parametrize(
    "fault", ["loss", "frames_reordered", "frames_repeated", "marks_lost", "marks_late", "marks_repeated"]
)
def test_a_share_that_is_none_is_refused(fault: str) -> None:
    with pytest.raises(PatterConfigError, match=fault):
        LineConditions(**cast("Any", {fault: 1.1}))
    with pytest.raises(PatterConfigError, match=fault):
        LineConditions(**cast("Any", {fault: -0.1}))


def test_a_policy_that_no_carrier_has_is_refused() -> None:
    with pytest.raises(ValueError, match="marks_at_clear"):
        LineConditions(marks_at_clear="kept")  # type: ignore[arg-type]
