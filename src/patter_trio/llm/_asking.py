"""How an answer of a language model is taken off its connection, and what is said when that breaks."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2
import trio

from .._net.http import open_body
from ..errors import LanguageModelError, ModelTimeoutError
from ._spares import Loan

__all__ = ["open_answer", "read_tail", "told_in_our_words"]

# After its answer the body should end; a far end that keeps it open costs its connection, not our time.
_TAIL_SECONDS = 0.25


@asynccontextmanager
async def open_answer(
    ask: Callable[[], Awaitable[httpx2.Response]], who: str
) -> AsyncIterator[tuple[httpx2.Response, AsyncIterable[bytes]]]:
    """The response that ``ask`` gets, and its body; leaving before its end hangs up.

    Raises:
        ModelTimeoutError: connecting took too long.
        LanguageModelError: the far end cannot be reached, or broke off.
    """
    with told_in_our_words(who):
        response = await ask()
        async with open_body(response) as received:
            yield response, received


async def read_tail(received: AsyncIterable[bytes], loan: Loan) -> bytes:
    """What follows the end of an answer; read to its end, the body gives its connection back."""
    tail = b""
    with trio.move_on_after(_TAIL_SECONDS):
        async for data in received:
            tail += data
        loan.returned = True
    return tail


@contextmanager
def told_in_our_words(who: str, http: Any = httpx2) -> Iterator[None]:
    """Turns the failures of an HTTP library into a language model's."""
    try:
        yield
    except http.ConnectTimeout as error:
        raise ModelTimeoutError(f"{who} could not be connected to in time (connect_timeout=)") from error
    except http.TimeoutException as error:
        raise ModelTimeoutError(f"{who} was silent for too long (timeout=)") from error
    except http.ConnectError as error:
        raise LanguageModelError(
            f"{who} cannot be reached: {str(error) or 'no answer'}", temporary=True
        ) from error
    except http.HTTPError as error:
        raise LanguageModelError(
            f"{who} broke off: {str(error) or type(error).__name__}", temporary=True
        ) from error
