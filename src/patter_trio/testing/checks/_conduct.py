"""What the checks share: a plain failure, a deadline, a provider opened as a session would, tasks counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar, cast

import trio

from ...abc import Opens
from ...events import CallInfo

__all__ = ["CALL", "conduct", "expect", "expect_name", "feed", "no_task_left", "opened"]

Thing = TypeVar("Thing")

CALL = CallInfo("check-1", caller="+15550100001", callee="+15550100002")
_SETTLE_SECONDS = 2.0


def expect(condition: object, otherwise: str) -> None:
    """Raises AssertionError with ``otherwise`` unless the condition holds."""
    if not condition:
        raise AssertionError(otherwise)


def expect_name(name: object) -> None:
    """Raises AssertionError unless the provider's name is a text that says something."""
    expect(isinstance(name, str) and name, f"name is a short text, not {name!r}")


async def conduct(what: str, check: Callable[[], Awaitable[None]], timeout: float) -> None:
    """Runs one part of a check.

    Raises:
        AssertionError: it failed (alone, out of however many groups), or took longer than ``timeout``.
    """
    try:
        with trio.fail_after(timeout):
            await check()
    except trio.TooSlowError:
        raise AssertionError(f"{what}: not done within {timeout:g} s") from None
    except BaseExceptionGroup as group:
        failure = next(_failures(group), None)
        if isinstance(failure, trio.TooSlowError):
            raise AssertionError(f"{what}: not done within {timeout:g} s") from None
        if failure is not None:
            raise failure from None
        raise


def _failures(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """What in a group, or in groups within it, is a failure of the check rather than of the provider."""
    for inner in group.exceptions:
        if isinstance(inner, BaseExceptionGroup):
            yield from _failures(inner)
        elif isinstance(inner, AssertionError | trio.TooSlowError):
            yield inner


@asynccontextmanager
async def opened(provider: Thing | Opens[Thing]) -> AsyncIterator[Thing]:
    """The provider as a call gets it: what its ``open()`` yields, if it has one."""
    opener: Callable[[], AbstractAsyncContextManager[Any]] | None = getattr(provider, "open", None)
    if opener is None:
        yield cast("Thing", provider)
        return
    async with opener() as live:
        yield cast("Thing", live)


@asynccontextmanager
async def no_task_left(what: str) -> AsyncIterator[None]:
    """Fails when more tasks are alive some time after the block than were before it."""
    before = trio.lowlevel.current_statistics().tasks_living
    yield
    with trio.move_on_after(_SETTLE_SECONDS):
        while trio.lowlevel.current_statistics().tasks_living > before:  # noqa: ASYNC110 (nothing tells)
            await trio.sleep(0.01)
    left = trio.lowlevel.current_statistics().tasks_living - before
    expect(left <= 0, f"{what} leaves {left} task(s) running")


async def feed(outlet: trio.MemorySendChannel[Thing], items: Iterable[Thing]) -> None:
    """Sends the items, and closes; the far side may leave before their end."""
    try:
        async with outlet:
            for item in items:
                await outlet.send(item)
    except trio.BrokenResourceError:
        return
