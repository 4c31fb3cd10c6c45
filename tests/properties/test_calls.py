"""Whatever callers, lines and providers do: what must hold for every call, on random calls in virtual time.

The promises are in :mod:`.promises`, the calls in :mod:`.scenarios`. Every test checks all promises; they
differ in the kind of calls. ``PATTER_SOAK=N`` plays N more calls from a printed seed (``PATTER_SOAK_SEED``).
"""

from __future__ import annotations

import logging
import os
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .promises import breaches
from .scenarios import Focus, draw_scenario
from .soak import soak
from .staging import play

SOAK = int(os.environ.get("PATTER_SOAK", "0"))

INTERRUPTIONS = Focus(
    ("barges_in", "barges_in", "says", "waits_for_agent", "waits"), bad_line=0, loss=0, faulty=0, broken=0
)
NOISES = Focus(
    ("coughs_over", "coughs_over", "coughs", "says", "waits"), bad_line=0.2, loss=0, faulty=0, broken=0
)
HANG_UPS = Focus(impatient=1.0)
BAD_LINES = Focus(bad_line=1.0, loss=0.3, faulty=0, broken=0)
BROKEN_PROVIDERS = Focus(bad_line=0, loss=0, faulty=0, broken=1.0)
FAULTY_CARRIERS = Focus(loss=0, faulty=1.0, broken=0)

seeds = st.integers(0, 2**32 - 1)


def random_calls(examples: int) -> settings:
    """A call takes about 0.15 s: no deadline, and too slow is no finding. The same calls on every run."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "patter_trio")


def keeps_every_promise(seed: int, focus: Focus, calls: int = 1) -> None:
    """Plays a session of random calls."""
    random = Random(seed)
    scenarios = [draw_scenario(random, focus) for _ in range(calls)]
    found = breaches(play(*scenarios))
    assert not found, "\n".join([*found, *map(repr, scenarios)])


@random_calls(50)
@given(seeds)
def test_callers_who_interrupt(seed: int) -> None:
    keeps_every_promise(seed, INTERRUPTIONS)


@random_calls(50)
@given(seeds)
def test_callers_among_noise(seed: int) -> None:
    keeps_every_promise(seed, NOISES)


@random_calls(50)
@given(seeds)
def test_callers_who_leave_at_any_moment(seed: int) -> None:
    keeps_every_promise(seed, HANG_UPS)


@random_calls(50)
@given(seeds)
def test_calls_on_bad_lines(seed: int) -> None:
    keeps_every_promise(seed, BAD_LINES)


@random_calls(80)
@given(seeds)
def test_calls_of_faulty_carriers(seed: int) -> None:
    keeps_every_promise(seed, FAULTY_CARRIERS)


@random_calls(50)
@given(seeds)
def test_calls_whose_providers_break(seed: int) -> None:
    keeps_every_promise(seed, BROKEN_PROVIDERS)


@random_calls(30)
@given(seeds)
def test_two_calls_at_once(seed: int) -> None:
    keeps_every_promise(seed, Focus(), calls=2)


@pytest.mark.skipif(not SOAK, reason="PATTER_SOAK=N plays N more random calls")
def test_soak() -> None:
    seed = int(os.environ.get("PATTER_SOAK_SEED") or Random().randrange(2**32))
    print(f"soak: {SOAK} calls, seed {seed}")
    found = [
        f"session {session.number}: {breach}" for session in soak(SOAK, seed) for breach in session.breaches
    ]
    assert not found, "\n".join([f"seed {seed}", *found])
