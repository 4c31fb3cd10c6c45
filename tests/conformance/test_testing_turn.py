from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from patter_trio.abc import TurnDetector
from patter_trio.errors import PatterConfigError, ProviderError
from patter_trio.events import TurnWindow
from patter_trio.testing import ScriptedTurnDetector, run_virtual
from patter_trio.testing.checks import check_turn_detector

WINDOW = TurnWindow(bytes(1600), 8000, "I would like")
OTHER = TurnWindow(bytes(320), 8000, "I would like to book.")


def by_words(window: TurnWindow) -> float:
    return 0.9 if window.transcript.endswith(".") else 0.1


async def ask(detector: TurnDetector, *windows: TurnWindow) -> list[float]:
    return [await detector.predict(window) for window in windows]


# --- the scripted one ---------------------------------------------------------------------------------------


async def test_it_fits_the_protocol_and_conforms(autojump_clock: trio.testing.MockClock) -> None:
    assert isinstance(ScriptedTurnDetector(), TurnDetector)
    assert ScriptedTurnDetector().threshold == 0.5
    assert ScriptedTurnDetector(threshold=0.8).threshold == 0.8
    for detector in (ScriptedTurnDetector(), ScriptedTurnDetector([0.3], delay=0.2)):
        await check_turn_detector(detector)
    await check_turn_detector(ScriptedTurnDetector(by_words), finished=OTHER, unfinished=WINDOW)


async def test_a_sequence_is_answered_in_order_and_its_last_from_then_on() -> None:
    detector = ScriptedTurnDetector([0.1, 0.4, 0.9])
    assert await ask(detector, WINDOW, OTHER, WINDOW, WINDOW) == [0.1, 0.4, 0.9, 0.9]
    assert detector.record.windows == [WINDOW, OTHER, WINDOW, WINDOW]
    assert detector.record.answers == [0.1, 0.4, 0.9, 0.9]


async def test_a_function_sees_the_window() -> None:
    assert await ask(ScriptedTurnDetector(by_words), WINDOW, OTHER) == [0.1, 0.9]


async def test_an_answer_takes_its_delay(autojump_clock: trio.testing.MockClock) -> None:
    began = trio.current_time()
    await ask(ScriptedTurnDetector(delay=0.25), WINDOW)
    assert trio.current_time() - began == pytest.approx(0.25)


async def test_one_question_fails_and_keeps_its_place(autojump_clock: trio.testing.MockClock) -> None:
    error = ProviderError("no more")
    detector = ScriptedTurnDetector([0.1, 0.2, 0.3], delay=0.1, fails_at=1, error=error)
    assert await ask(detector, WINDOW) == [0.1]
    with pytest.raises(ProviderError, match="no more"):
        await detector.predict(WINDOW)
    assert trio.current_time() == pytest.approx(0.2)
    assert await ask(detector, WINDOW) == [0.3]
    assert (detector.record.failures, detector.record.answers) == (1, [0.1, 0.3])
    with pytest.raises(ProviderError, match="script"):
        await ScriptedTurnDetector(fails_at=0).predict(WINDOW)


async def test_a_question_that_is_left_is_counted(autojump_clock: trio.testing.MockClock) -> None:
    detector = ScriptedTurnDetector(delay=1.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, detector, WINDOW)
        nursery.start_soon(ask, detector, WINDOW)
        await trio.sleep(0.5)
        assert detector.record.open_questions == 2
        nursery.cancel_scope.cancel()
    record = detector.record
    assert (record.open_questions, record.cancelled, record.answers) == (0, 2, [])


def test_an_empty_script_is_refused() -> None:
    with pytest.raises(PatterConfigError, match="at least one"):
        ScriptedTurnDetector([])


# --- broken detectors fail the check, each with its own sentence --------------------------------------------


@attrs.define
class Broken:
    answer: Callable[[Broken, TurnWindow], Awaitable[float]]
    threshold: float = 0.5
    name: str = "broken"
    asked: int = 0
    at_once: int = 0

    async def predict(self, window: TurnWindow) -> float:
        self.asked += 1
        self.at_once += 1
        try:
            return await self.answer(self, window)
        finally:
            self.at_once -= 1


async def certain(detector: Broken, window: TurnWindow) -> float:
    await trio.lowlevel.checkpoint()
    return 1.0


async def in_percent(detector: Broken, window: TurnWindow) -> float:
    await trio.lowlevel.checkpoint()
    return 97.0


async def with_a_memory(detector: Broken, window: TurnWindow) -> float:
    await trio.lowlevel.checkpoint()
    return 1 / detector.asked


async def mixed(detector: Broken, window: TurnWindow) -> float:
    await trio.sleep(0.1)
    return 1 / detector.at_once


async def needs_sound(detector: Broken, window: TurnWindow) -> float:
    await trio.lowlevel.checkpoint()
    assert window.pcm, "it needs sound"
    return 0.5


async def never(detector: Broken, window: TurnWindow) -> float:
    await trio.sleep_forever()
    return 0.5


async def stuck_after_a_cancel(detector: Broken, window: TurnWindow) -> float:
    try:
        await trio.sleep(0.1)
    except trio.Cancelled:
        detector.asked = -1000
        raise
    return 1.0 if detector.asked > 0 else 0.2


@pytest.mark.parametrize(
    ("detector", "sentence"),
    [
        (Broken(certain, name=""), "name is a short text"),
        (Broken(certain, threshold=50.0), "threshold lies between 0 and 1"),
        (Broken(in_percent), "a probability between 0 and 1, not 97"),
        (Broken(with_a_memory), "what was asked before changes a probability"),
        (Broken(mixed), "another question beside it changes a probability"),
        (Broken(needs_sound), "it needs sound"),
        (Broken(never), "one probability per window: not done within 5 s"),
        (Broken(stuck_after_a_cancel), "a question that was left changes a probability"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_detector_fails(detector: Broken, sentence: str) -> None:
    async def check() -> None:
        await check_turn_detector(detector, timeout=5)

    with pytest.raises(AssertionError, match=sentence):
        run_virtual(check)


def test_what_is_no_detector_fails() -> None:
    async def check() -> None:
        await check_turn_detector(object())  # type: ignore[arg-type]  # a wrong value is the point

    with pytest.raises(AssertionError, match="a TurnDetector has"):
        run_virtual(check)


@pytest.mark.parametrize(
    ("windows", "sentence"),
    [({"finished": WINDOW}, "who has finished is held"), ({"unfinished": OTHER}, "not finished is let go")],
)
def test_a_detector_that_is_wrong_about_a_caller_fails(windows: dict[str, Any], sentence: str) -> None:
    async def check() -> None:
        await check_turn_detector(ScriptedTurnDetector(by_words), **windows)

    with pytest.raises(AssertionError, match=sentence):
        run_virtual(check)


async def test_a_detector_is_opened_as_a_session_opens_it(autojump_clock: trio.testing.MockClock) -> None:
    opened: list[ScriptedTurnDetector] = []

    class Settings:
        @asynccontextmanager
        async def open(self) -> AsyncIterator[ScriptedTurnDetector]:
            opened.append(ScriptedTurnDetector())
            yield opened[-1]

    await check_turn_detector(Settings())
    assert len(opened) == 1
    assert opened[0].record.windows
