"""Several providers in order of preference, as one: checked, opened, and who is left out."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Generic, TypeVar

import attrs
import trio

from .errors import PatterConfigError, PatterError, RateLimitError

__all__ = ["Member", "all_of", "leave_out", "opened", "well_first"]

Live = TypeVar("Live", bound=Any)


def all_of(kind: type[Any], what: str) -> Callable[[Any, attrs.Attribute[Any], tuple[Any, ...]], None]:
    """At least one, and each of them is a ``kind`` or settings of one; ``what`` is that in words."""

    def check(_: Any, attribute: attrs.Attribute[Any], providers: tuple[Any, ...]) -> None:
        if not providers:
            raise PatterConfigError(f"{attribute.name}= is empty", hint=f"pass at least one {what}")
        for provider in providers:
            if not isinstance(provider, kind) and not hasattr(provider, "open"):
                raise PatterConfigError(f"{attribute.name}= holds {provider!r}, which is no {what}")

    return check


@asynccontextmanager
async def opened(providers: Iterable[Any]) -> AsyncIterator[list[Any]]:
    """The providers, each opened if it is settings."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(provider.open()) if hasattr(provider, "open") else provider
            for provider in providers
        ]


@attrs.define
class Member(Generic[Live]):
    """One provider, for all calls, and until when it is left out."""

    live: Live
    out_until: float = float("-inf")


def well_first(members: Sequence[Member[Live]]) -> list[Member[Live]]:
    """All of them in order, those that are left out behind the others."""
    now = trio.current_time()
    return sorted(members, key=lambda member: member.out_until > now)


def leave_out(member: Member[Any], error: PatterError, seconds: float, log: logging.Logger) -> None:
    """A member failed; it is left out for so long, or for longer where its rate limit said so."""
    cause = error if isinstance(error, RateLimitError) else error.__cause__
    asked = cause.retry_after if isinstance(cause, RateLimitError) else None
    wait = max(seconds, asked or 0.0)
    member.out_until = trio.current_time() + wait
    log.warning("%s is left out for %g s: %s", member.live.name, wait, error)
