"""A model that is connected: requests out, chunks in, with deadlines and connections that stay warm."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Protocol

import attrs
import trio

from .._net.http import read_beginning
from .._wire.chat_completions import ChatStream, refusal_error
from ..errors import LanguageModelError, ModelTimeoutError, PatterError, RateLimitError
from ..events import LLMChunk, Message
from ._background import Background, open_background
from ._line import Line

__all__ = ["ChatModel", "ChatSettings", "open_chat"]

# After [DONE] the body should end; a far end that keeps it open costs its connection, not the caller's time.
_TAIL_SECONDS = 0.25

# More than any error object has; longer bodies are hung up on.
_ERROR_BYTES = 16 * 1024

# A caller waits on the line: an endpoint that wants longer is not asked again.
_LONGEST_RETRY_WAIT = 1.5
_FIRST_RETRY_WAIT = 0.2

# When a house hangs up at once, that many connections are replaced at a time.
_SPARES_AT_ONCE = 4


class ChatSettings(Protocol):
    """What a connected model reads of its settings."""

    @property
    def name(self) -> str:
        """The provider's name."""
        ...

    @property
    def model(self) -> str:
        """The model's name."""
        ...

    @property
    def first_token_timeout(self) -> float | None:
        """Seconds until the first words or tool call."""
        ...

    @property
    def turn_timeout(self) -> float | None:
        """Seconds until the end of the answer."""
        ...

    @property
    def max_retries(self) -> int:
        """How often a request that failed before its answer began is made again."""
        ...

    @property
    def model_hint(self) -> str:
        """What to do when the endpoint does not have the model."""
        ...

    def request_body(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None, call_id: str | None
    ) -> dict[str, Any]:
        """The body of a request."""
        ...

    def request_headers(self, call_id: str | None) -> dict[str, str]:
        """The headers of this call's requests."""
        ...


@asynccontextmanager
async def open_chat(settings: ChatSettings, line: Line) -> AsyncIterator[ChatModel]:
    """The model on its line, a first connection being opened in the background."""
    async with open_background() as background:
        spares = _Spares(background, line)
        spares.open_one()
        yield ChatModel(settings, line, spares)


@attrs.define
class _Spares:
    """Opens a connection for each one that a cancelled turn took with it."""

    background: Background
    line: Line
    opening: int = 0

    def open_one(self) -> None:
        """Opens one in the background."""
        if self.opening < _SPARES_AT_ONCE and self.background.start(self._open):
            self.opening += 1

    async def _open(self) -> None:
        try:
            await self.line.warm()
        finally:
            self.opening -= 1


@attrs.frozen
class ChatModel:
    """A model that speaks Chat Completions, connected; shared by all calls of a session."""

    settings: ChatSettings
    line: Line = attrs.field(repr=False)
    _spares: _Spares = attrs.field(repr=False)

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.settings.name

    @property
    def model(self) -> str:
        """The model's name."""
        return self.settings.model

    def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        call_id: str | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterable[LLMChunk]]:
        """Streams the answer; leaving closes the request at once.

        Raises:
            AuthenticationError: the key was refused (401, 403), or the account has no credit.
            RateLimitError: too many requests (429).
            ModelTimeoutError: connecting, the first words, the next ones or the whole took too long.
            LanguageModelError: anything else went wrong.
        """
        settings = self.settings
        return self._stream(
            settings.request_body(messages, tools, call_id), settings.request_headers(call_id)
        )

    @trio.as_safe_channel
    async def _stream(
        self, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncGenerator[LLMChunk, None]:
        answer = ChatStream()
        patience = _Patience(self.settings)
        connection_lost = True
        try:
            with patience.scope:
                async with AsyncExitStack() as stack:
                    received = await self._reach(stack, body, headers)
                    async for data in received:
                        for chunk in answer.feed(data):
                            patience.note(chunk)
                            with patience.paused():
                                yield chunk
                        if answer.ended:
                            break
                    for chunk in answer.finish():
                        with patience.paused():
                            yield chunk
                    with trio.move_on_after(_TAIL_SECONDS):
                        async for _ in received:
                            pass
                        connection_lost = False
        except PatterError:
            connection_lost = False  # or never open: a far end that fails is not knocked at once more
            raise
        finally:
            if connection_lost:
                self._spares.open_one()
        patience.complain()

    async def _reach(
        self, stack: AsyncExitStack, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncIterable[bytes]:
        """The body of an answer that began, after as many tries as the settings allow."""
        retries = 0
        while True:
            try:
                return await self._ask(stack, body, headers)
            except (LanguageModelError, RateLimitError) as error:
                wait = _retry_wait(error, retries)
                if wait is None or retries >= self.settings.max_retries:
                    raise
            retries += 1
            await trio.sleep(wait)

    async def _ask(
        self, stack: AsyncExitStack, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncIterable[bytes]:
        reply = await stack.enter_async_context(self.line.post(body, headers))
        if reply.status == 200:
            return reply.body
        said = await read_beginning(reply.body, _ERROR_BYTES)
        raise refusal_error(reply.status, said, reply.headers, model_hint=self.settings.model_hint)


def _retry_wait(error: LanguageModelError | RateLimitError, retries: int) -> float | None:
    """Seconds until a request is worth another try; ``None`` if it is not, within a caller's patience."""
    wait = _FIRST_RETRY_WAIT * 2**retries * random.uniform(1.0, 1.5)
    if isinstance(error, RateLimitError):
        asked = error.retry_after or 0.0
        # Never before the window opens, and not all at the very moment it does.
        return max(wait, asked + random.uniform(0.0, 0.1)) if asked <= _LONGEST_RETRY_WAIT else None
    return wait if error.temporary else None


class _Patience:
    """The deadlines of one answer, as one scope around everything that waits for the far end.

    Time in which nobody takes the words (they are being spoken) is not the model's, and not counted.
    """

    def __init__(self, settings: ChatSettings) -> None:
        self._settings = settings
        self._began = False
        now = trio.current_time()
        self._end = now + (settings.turn_timeout or math.inf)
        first = now + (settings.first_token_timeout or math.inf)
        self.scope = trio.CancelScope(deadline=min(first, self._end))

    def note(self, chunk: LLMChunk) -> None:
        """A chunk has come; after the first words only the whole answer's deadline is left."""
        if chunk.type in ("text", "tool_call"):
            self._began = True
            self.scope.deadline = self._end

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the clock while a chunk is handed over."""
        since, deadline = trio.current_time(), self.scope.deadline
        self.scope.deadline = math.inf
        yield
        waited = trio.current_time() - since
        self._end += waited
        self.scope.deadline = deadline + waited

    def complain(self) -> None:
        """Raises ModelTimeoutError when a deadline has passed."""
        if self.scope.cancelled_caught:
            model, settings = self._settings.model, self._settings
            if self._began:
                raise ModelTimeoutError(f"{model} did not end its answer within {settings.turn_timeout:g} s")
            limit = min(settings.first_token_timeout or math.inf, settings.turn_timeout or math.inf)
            raise ModelTimeoutError(f"{model} did not begin its answer within {limit:g} s")
