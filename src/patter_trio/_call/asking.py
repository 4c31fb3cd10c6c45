"""Asks functions of the user for a decision: what fails or hangs gives no answer and is told once a call."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

import trio

from .._foreign import foreign
from ..errors import ProviderError

__all__ = ["NO_ANSWER", "Asking", "NoAnswer"]

_log = logging.getLogger("patter_trio.callbacks")


class NoAnswer(Enum):
    """The type of :data:`NO_ANSWER`."""

    NO_ANSWER = "no answer"


NO_ANSWER: Final = NoAnswer.NO_ANSWER
"""The function failed, hung, or said something that makes no sense; ``None`` is an answer."""


class Asking:
    """The questions of one call. What to do without an answer is the asker's affair."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._told: set[str] = set()
        self._hung: set[str] = set()

    def now(self, what: str, function: Callable[..., Any], *args: Any) -> Any | NoAnswer:
        """Asks a function that answers at once."""
        try:
            with foreign(ProviderError, what):
                answer = function(*args)
                if inspect.iscoroutine(answer):
                    answer.close()
                    raise TypeError("it is asynchronous, and here it cannot be waited for")
                return answer
        except ProviderError as error:
            return self.no_answer(what, error)

    async def wait(
        self,
        what: str,
        function: Callable[..., Any],
        *args: Any,
        deadline: float,
        once_hung_never_again: bool = False,
    ) -> Any | NoAnswer:
        """Asks a function, sync or async, and waits for at most ``deadline`` seconds."""
        if what in self._hung:
            return NO_ANSWER
        try:
            with foreign(ProviderError, what), trio.move_on_after(deadline):
                answer = function(*args)
                return await answer if inspect.isawaitable(answer) else answer
        except ProviderError as error:
            return self.no_answer(what, error)
        late = f"{what} took longer than {deadline:g} s"
        if once_hung_never_again:
            self._hung.add(what)
            late += " and is left out for the rest of the call"
        return self.no_answer(what, ProviderError(late))

    def no_answer(self, what: str, error: ProviderError | str) -> NoAnswer:
        """Tells, once in a call, why ``what`` has no answer."""
        if what not in self._told:
            self._told.add(what)
            cause = error.__cause__ if isinstance(error, ProviderError) else None
            _log.warning("call %s: %s", self._call_id, error, exc_info=cause)
        return NO_ANSWER
