"""Whole calls in virtual time: minutes of conversation in milliseconds, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TypeVar, TypeVarTuple

import trio
import trio.testing

__all__ = ["run_virtual"]

Args = TypeVarTuple("Args")
Result = TypeVar("Result")


def run_virtual(
    async_fn: Callable[[*Args], Awaitable[Result]], *args: *Args, seed: int | None = None
) -> Result:
    """Runs an async function on a clock that jumps to the next deadline whenever nothing else can happen.

    Args:
        async_fn: what to run, as with :func:`trio.run`; its first moment is 0.
        args: its arguments.
        seed: makes trio schedule its tasks in the same order for the same seed. This uses names that are
            private to trio; where a release of trio does not have them, the order is trio's own.
    """
    with _schedule(seed):
        return trio.run(async_fn, *args, clock=trio.testing.MockClock(autojump_threshold=0))


@contextmanager
def _schedule(seed: int | None) -> Iterator[None]:
    scheduler = _scheduler() if seed is not None else None
    if scheduler is None:
        yield
        return
    order, ruled = scheduler._r, scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    scheduler.__dict__.update(_r=random.Random(seed), _ALLOW_DETERMINISTIC_SCHEDULING=True)
    try:
        yield
    finally:
        scheduler.__dict__.update(_r=order, _ALLOW_DETERMINISTIC_SCHEDULING=ruled)


def _scheduler() -> ModuleType | None:
    """Trio's module with the run loop, if it still holds the two names that make its order a given one."""
    try:
        module = import_module("trio._core._run")
    except ImportError:
        return None
    names = ("_r", "_ALLOW_DETERMINISTIC_SCHEDULING")
    return module if all(hasattr(module, name) for name in names) else None
