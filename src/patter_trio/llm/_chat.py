"""A model that is connected: requests out, chunks in, with deadlines and connections that stay warm."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import attrs
import trio

from .._net.http import read_beginning
from .._wire.chat_completions import ChatStream, refusal_error
from ..errors import LanguageModelError, RateLimitError
from ..events import LLMChunk, Message
from ._asking import read_tail
from ._line import Line
from ._patience import Patience
from ._spares import Spares, open_spares

__all__ = ["ChatModel", "ChatSettings", "open_chat"]

# More than any error object has; longer bodies are hung up on.
_ERROR_BYTES = 16 * 1024

# A caller waits on the line: an endpoint that wants longer is not asked again.
_LONGEST_RETRY_WAIT = 1.5
_FIRST_RETRY_WAIT = 0.2


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
    async with open_spares(line.warm) as spares:
        yield ChatModel(settings, line, spares)


@attrs.frozen
class ChatModel:
    """A model that speaks Chat Completions, connected; shared by all calls of a session."""

    settings: ChatSettings
    line: Line = attrs.field(repr=False)
    _spares: Spares = attrs.field(repr=False)

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
        settings = self.settings
        patience = Patience(self.model, first=settings.first_token_timeout, whole=settings.turn_timeout)
        with patience.waiting(), self._spares.lent() as connection:
            async with AsyncExitStack() as stack:
                received = await self._reach(stack, body, headers)
                async for data in received:
                    for chunk in answer.feed(data):
                        with patience.handing_over(chunk):
                            yield chunk
                    if answer.ended:
                        break
                for chunk in answer.finish():
                    with patience.handing_over(chunk):
                        yield chunk
                await read_tail(received, connection)

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
