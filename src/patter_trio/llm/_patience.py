"""How long one answer of a language model is waited for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from ..errors import ModelTimeoutError
from ..events import LLMChunk

__all__ = ["Patience"]


class Patience:
    """The deadlines of one answer, as one scope around everything that waits for the far end.

    Time in which nobody takes the words (they are being spoken) is not the model's, and not counted.

    Args:
        who: the model, for the error.
        first: seconds until the first words or tool call; ``None`` for no limit, as with the others.
        between: seconds from any of them to the next.
        whole: seconds for the whole answer.
    """

    def __init__(
        self, who: str, *, first: float | None, between: float | None = None, whole: float | None
    ) -> None:
        self._who = who
        self._quiet = first or math.inf
        self._between = between or math.inf
        self._whole = whole or math.inf
        self._heard = False
        now = trio.current_time()
        self._end = now + self._whole
        self._scope = trio.CancelScope(deadline=min(now + self._quiet, self._end))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Asks for and takes the answer inside the block.

        Raises:
            ModelTimeoutError: a deadline passed.
        """
        with self._scope:
            yield
        if self._scope.cancelled_caught:
            raise ModelTimeoutError(self._told())

    @contextmanager
    def handing_over(self, chunk: LLMChunk) -> Iterator[None]:
        """Stops the clock while a chunk is taken; words or a tool call renew the patience for the next."""
        since = trio.current_time()
        left, self._scope.deadline = self._scope.deadline - since, math.inf
        yield
        now = trio.current_time()
        self._end += now - since
        if chunk.type in ("text", "tool_call"):
            self._heard, self._quiet = True, self._between
            left = self._quiet
        self._scope.deadline = min(now + left, self._end)

    def _told(self) -> str:
        if self._scope.deadline >= self._end:
            return f"{self._who} did not finish its answer within {self._whole:g} s (turn_timeout=)"
        if self._heard:
            return f"{self._who} fell silent for {self._quiet:g} s within its answer (first_token_timeout=)"
        return f"{self._who} said nothing for {self._quiet:g} s (first_token_timeout=)"
