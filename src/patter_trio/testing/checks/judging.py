"""What a turn detector must do."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import trio

from ..._audio import g711
from ...abc import Opens, TurnDetector
from ...events import MULAW_8K, TurnWindow
from ..wordsound import speak_words
from ._conduct import conduct, expect, expect_name, no_task_left, opened

__all__ = ["check_turn_detector"]

# Windows may go through a model in batches, whose last bits depend on the batch.
_SAME = 1e-3
_WORDS = "I would like to book"
_RATES = (8000, 16000)


async def check_turn_detector(
    provider: TurnDetector | Opens[TurnDetector],
    *,
    finished: TurnWindow | None = None,
    unfinished: TurnWindow | None = None,
    timeout: float = 30.0,
) -> None:
    """Checks a turn detector.

    Each window has one probability between 0 and 1: silence, noise, speech, no sound at all, half a sample,
    with words and without, at 8 and 16 kHz. The same window has the same one, whatever was asked in between
    or is asked at the same time; a question can be left without a task left and without harm to the next.

    Args:
        provider: settings of the detector.
        finished: a caller who has finished, who must be taken for one.
        unfinished: a caller who has not, who must not.
        timeout: seconds for each part.

    Raises:
        AssertionError: it does not conform.
    """
    windows = [window for rate in _RATES for window in _windows(rate)]
    async with opened(provider) as live:
        expect(isinstance(live, TurnDetector), "a TurnDetector has a name, a threshold and predict(window)")
        expect_name(live.name)
        expect(0 <= live.threshold <= 1, f"threshold lies between 0 and 1, not at {live.threshold}")
        alone: list[float] = []

        async def judges() -> None:
            for window in windows:
                alone.append(await _ask(live, window))

        async def repeats() -> None:
            for number in reversed(range(len(windows))):
                _expect_same(alone[number], await _ask(live, windows[number]), "what was asked before")

        async def keeps_questions_apart() -> None:
            async def ask(number: int) -> None:
                _expect_same(alone[number], await _ask(live, windows[number]), "another question beside it")

            async with trio.open_nursery() as nursery:
                for number in range(len(windows)):
                    nursery.start_soon(ask, number)

        async def may_be_left() -> None:
            for seconds in (0.0, 0.001):
                with trio.move_on_after(seconds):
                    await _ask(live, windows[0])
            _expect_same(alone[0], await _ask(live, windows[0]), "a question that was left")

        async def knows_callers() -> None:
            if finished is not None:
                expect(await _ask(live, finished) >= live.threshold, "a caller who has finished is held")
            if unfinished is not None:
                expect(
                    await _ask(live, unfinished) < live.threshold, "a caller who has not finished is let go"
                )

        async with no_task_left("the turn detector"):
            await conduct("one probability per window", judges, timeout)
            await conduct("the same windows again", repeats, timeout)
            await conduct("questions at once", keeps_questions_apart, timeout)
            await conduct("leaving a question", may_be_left, timeout)
            await conduct("finished and unfinished callers", knows_callers, timeout)


def _windows(rate: int) -> Sequence[TurnWindow]:
    silence = bytes(rate)  # half a second
    speech = g711.decode(speak_words(_WORDS), MULAW_8K)
    sound = {
        "silence": silence,
        "noise": Random(rate).randbytes(2 * rate),
        "speech": speech + silence,
        "eight seconds": (speech * 12 + silence)[-16 * rate :],
        "no sound": b"",
        "half a sample": b"\0",
        "one sample": b"\0\1",
        "an odd length": (speech + silence)[1:],
    }
    windows = [TurnWindow(pcm, rate) for pcm in sound.values()]
    return [*windows, TurnWindow(sound["speech"], rate, _WORDS, "en-GB")]


async def _ask(detector: TurnDetector, window: TurnWindow) -> float:
    answer: Any = await detector.predict(window)
    expect(
        isinstance(answer, float | int) and 0 <= answer <= 1,
        f"predict() gives a probability between 0 and 1, not {answer!r}",
    )
    return float(answer)


def _expect_same(alone: float, other: float, cause: str) -> None:
    expect(abs(alone - other) <= _SAME, f"{cause} changes a probability from {alone:.3f} to {other:.3f}")
