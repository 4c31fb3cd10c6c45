"""The border to code that is not ours: providers and callbacks of users.

This is the one place around a call where any exception is caught. What a provider raises becomes a typed
error of this package; what a callback raises is logged and forgotten.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio

from .abc import LLMProvider
from .errors import PatterError, ProviderError

__all__ = ["call_back", "foreign", "takes_call_id", "unwrapped"]

_log = logging.getLogger("patter_trio.callbacks")


@contextmanager
def foreign(error: type[ProviderError], what: str) -> Iterator[None]:
    """Turns whatever the code of ``what`` raises into ``error``, with the original as its cause.

    Cancellation passes: it is no ``Exception``.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        cancelled, rest = group.split(trio.Cancelled)
        if cancelled is not None and rest is not None:
            # It failed while it was being cancelled: whoever cancelled it has no use for the failure.
            _log.warning("%s failed while it was being cancelled", what, exc_info=rest)
            raise cancelled from None
        if not isinstance(group, ExceptionGroup):
            raise
        ours = _ours(error, what, group)
        failure = _first(group)
        raise ours from (group if ours is failure else failure)
    except Exception as raised:
        if isinstance(raised, error):
            raise
        raise _ours(error, what, raised) from raised


def _ours(error: type[ProviderError], what: str, raised: Exception) -> ProviderError:
    failure = _first(raised)
    if isinstance(failure, error):
        return failure
    said = str(failure) if isinstance(failure, PatterError) else repr(failure)
    return error(f"{what} failed: {said}")


def _first(failure: Exception) -> Exception:
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    return failure


def unwrapped(failure: BaseException) -> BaseException:
    """What a group stands for when it holds one exception; a group of several stays one."""
    while isinstance(failure, BaseExceptionGroup) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]
    return failure


def takes_call_id(provider: LLMProvider) -> bool:
    """Whether its ``stream()`` can be told which call it answers; some users' classes know no calls."""
    parameters = inspect.signature(provider.stream).parameters
    return "call_id" in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )


async def call_back(
    function: Callable[..., Awaitable[Any] | Any],
    *args: Any,
    name: str,
    deadline: float,
    complained: set[str] | None = None,
) -> Any:
    """Runs a user's callback, sync or async, for at most ``deadline`` seconds; ``None`` if it failed.

    A failure is logged as a warning; where there is a set of names that were ``complained`` about, only the
    first one of each name is.
    """
    try:
        with foreign(ProviderError, name), trio.fail_after(deadline):
            result = function(*args)
            return await result if inspect.isawaitable(result) else result
    except ProviderError as error:
        known = complained is not None and name in complained
        if complained is not None:
            complained.add(name)
        _log.log(logging.DEBUG if known else logging.WARNING, "%s", error, exc_info=error.__cause__)
        return None
