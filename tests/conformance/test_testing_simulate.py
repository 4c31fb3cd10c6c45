from __future__ import annotations

import pytest
import trio

from patter_trio.testing import run_virtual, simulate


async def race() -> list[int]:
    """The order in which tasks that are ready at the same moment come through."""
    order: list[int] = []

    async def run(number: int) -> None:
        for _ in range(5):
            await trio.sleep(60)
            order.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(run, number)
    return order


def test_five_minutes_pass_at_once_and_begin_at_nothing() -> None:
    async def wait() -> tuple[float, float]:
        began = trio.current_time()
        await trio.sleep(300)
        return began, trio.current_time()

    assert run_virtual(wait) == (0.0, 300.0)


def test_the_same_seed_schedules_in_the_same_order() -> None:
    orders = [run_virtual(race, seed=seed) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_what_was_changed_in_trio_is_put_back() -> None:
    scheduler = simulate._scheduler()
    assert scheduler is not None
    before = (scheduler._r, scheduler._ALLOW_DETERMINISTIC_SCHEDULING)
    run_virtual(race, seed=1)
    assert (scheduler._r, scheduler._ALLOW_DETERMINISTIC_SCHEDULING) == before


def test_another_trio_runs_in_its_own_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "_scheduler", lambda: None)
    assert sorted(run_virtual(race, seed=1)) == sorted(list(range(8)) * 5)
