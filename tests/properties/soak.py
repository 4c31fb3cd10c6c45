"""Many random calls, one after the other, from a printed seed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from random import Random

import attrs

from .promises import breaches
from .scenarios import Scenario, draw_scenario
from .staging import play

__all__ = ["Soaked", "draw_session", "soak"]

# Every so many sessions carry two calls at once.
_TOGETHER = 5


@attrs.frozen
class Soaked:
    """One session of the soak: its number, what was played, how many seconds of calls, what was not kept."""

    number: int
    scenarios: tuple[Scenario, ...]
    seconds: float
    breaches: tuple[str, ...]


def draw_session(seed: int, number: int) -> tuple[Scenario, ...]:
    """The calls of one session, the same for the same seed and number."""
    random = Random(f"{seed}/{number}")
    return tuple(draw_scenario(random) for _ in range(2 if number % _TOGETHER == 0 else 1))


def soak(calls: int, seed: int, *, first: int = 0) -> Iterator[Soaked]:
    """Plays at least ``calls`` random calls; the session of number ``first`` comes first."""
    logging.getLogger("patter_trio").setLevel(logging.CRITICAL)
    number = first
    while calls > 0:
        scenarios = draw_session(seed, number)
        try:
            stage = play(*scenarios)
        except Exception as failure:  # noqa: BLE001  # a call that crashes is a finding; the soak goes on
            yield Soaked(number, scenarios, 0.0, (f"crashed: {failure!r}",))
        else:
            seconds = sum(call.outcome.ear.now for call in stage.calls)
            yield Soaked(number, scenarios, seconds, tuple(breaches(stage)))
        calls -= len(scenarios)
        number += 1
