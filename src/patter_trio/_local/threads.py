"""The threads in which models run, shared by all calls of a session."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import trio

__all__ = ["busy", "in_thread"]

T = TypeVar("T")

# Belongs to one trio.run: a thread that outlives its run could never give its place back to a global one.
_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("patter_trio_local_threads")


def _threads() -> trio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        # As many inferences at once as cores: more of them would all be later.
        limiter = trio.CapacityLimiter(max(1, os.cpu_count() or 1))
        _limiter.set(limiter)
        return limiter


def busy() -> bool:
    """Whether all threads are taken, so that work nobody waits for should not be started now."""
    return _threads().available_tokens < 1


async def in_thread(function: Callable[[], T]) -> T:
    """Runs a blocking ``function`` in a thread, off the path between carrier, detector and player.

    A cancelled caller goes on at once; the thread finishes what it does and keeps its place until then, so
    a function that may take long must be told to stop.
    """
    return await trio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=_threads())
