"""How a language model is asked over HTTP: the client, how long an answer is waited for, what failed.

The deadlines are scopes around the waiting alone. A caller who listens holds the stream back, and that time
is nobody's fault.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import attrs
import httpx2
import trio

from ..errors import LanguageModelError
from .http import open_body

__all__ = ["Patience", "client_timeout", "open_answer", "open_client", "read_tail"]

# A warm connection must outlive the caller's pauses; the library's own 5 s does not.
_KEEPALIVE_SECONDS = 120.0

# After its answer the body should end; a far end that keeps it open costs its connection, not our time.
_TAIL_SECONDS = 0.25


@asynccontextmanager
async def open_client(
    connect_timeout: float, headers: Mapping[str, str] | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """One HTTP client for all calls of a session, its connections kept warm between turns.

    HTTP/1.1 only: a stream that is cancelled on HTTP/2 runs on at the far end and is billed. The only
    timeout is that of connecting; :class:`Patience` has the others.
    """
    async with httpx2.AsyncClient(
        headers=dict(headers or {}),
        timeout=client_timeout(connect_timeout),
        limits=httpx2.Limits(max_connections=None, keepalive_expiry=_KEEPALIVE_SECONDS),
        http2=False,
    ) as client:
        yield client


def client_timeout(connect_timeout: float) -> httpx2.Timeout:
    """The timeouts of a client whose waiting has scopes of its own."""
    return httpx2.Timeout(None, connect=connect_timeout)


@attrs.define
class Patience:
    """How long one answer is waited for.

    Args:
        who: the model and where it is, for the error.
        quiet: seconds until the first words, and from any of them to the next.
        whole: seconds for the whole answer.
    """

    who: str
    quiet: float
    whole: float
    _quiet_since: float = attrs.field(default=0.0, init=False)
    _waited: float = attrs.field(default=0.0, init=False)
    _heard: bool = attrs.field(default=False, init=False)

    def hear(self) -> None:
        """Something came that is part of the answer."""
        self._heard, self._quiet_since = True, self._waited

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Waits for the far end inside the block.

        Raises:
            LanguageModelError: the patience was over.
        """
        began = trio.current_time()
        quiet, whole = self._quiet_since + self.quiet - self._waited, self.whole - self._waited
        with trio.move_on_after(max(0.0, min(quiet, whole))) as scope:
            yield
        self._waited += trio.current_time() - began
        if scope.cancelled_caught:
            raise LanguageModelError(self._told(quiet < whole))

    async def next_piece(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        """The next piece of the body, or ``None`` at its end.

        Raises:
            LanguageModelError: the patience was over.
        """
        with self.waiting():
            return await anext(pieces, None)

    def _told(self, quiet: bool) -> str:
        if not quiet:
            return f"{self.who} did not finish its answer within {self.whole:g} s (turn_timeout=)"
        if self._heard:
            return f"{self.who} fell silent for {self.quiet:g} s within its answer (first_token_timeout=)"
        return f"{self.who} said nothing for {self.quiet:g} s (first_token_timeout=)"


@asynccontextmanager
async def open_answer(
    ask: Callable[[], Awaitable[httpx2.Response]], patience: Patience
) -> AsyncIterator[tuple[httpx2.Response, AsyncIterable[bytes]]]:
    """The response that ``ask`` gets, and its body; leaving before its end hangs up and costs the connection.

    Raises:
        LanguageModelError: the far end cannot be reached, broke off, or the patience was over.
    """
    with _failures_told(patience.who):
        with patience.waiting():
            response = await ask()
        async with open_body(response) as received:
            yield response, received


async def read_tail(received: AsyncIterable[bytes]) -> bytes:
    """What follows the end of an answer; read to its end, the body leaves its connection to the next turn."""
    tail = b""
    with trio.move_on_after(_TAIL_SECONDS):
        async for data in received:
            tail += data
    return tail


@contextmanager
def _failures_told(who: str) -> Iterator[None]:
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise LanguageModelError(f"{who} cannot be reached: {str(error) or 'no answer'}") from error
    except httpx2.HTTPError as error:
        raise LanguageModelError(f"{who} broke off: {str(error) or type(error).__name__}") from error
