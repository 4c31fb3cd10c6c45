"""Any endpoint that speaks OpenAI's Chat Completions: vLLM, Ollama, LM Studio, llama.cpp, a gateway.

The wire: ``POST {base_url}/chat/completions`` with ``stream: true`` answers with server-sent events, one
JSON chunk each, the last one ``[DONE]``; with ``stream_options.include_usage`` the chunk before that one
has no choices and the token counts. HTTP/1.1 only: a stream that is cancelled on HTTP/2 runs on at the far
end and is billed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs
import httpx2
import trio

from .._net.http import open_body, read_beginning
from .._wire.chat_completions import ChatStream, refusal_error
from ..errors import LanguageModelError, PatterConfigError
from ..events import LLMChunk, Message

__all__ = ["LLM", "OpenAICompatibleLLM"]

# Local runtimes are often started without a key; this is what their users write for none.
_NO_KEY = "EMPTY"

# A warm connection must outlive the caller's pauses; the library's own 5 s does not.
_KEEPALIVE_SECONDS = 120.0

# After [DONE] the body should end; a far end that keeps it open costs its connection, not the caller's time.
_TAIL_SECONDS = 0.25

# More than any error object has; longer bodies are hung up on.
_ERROR_BYTES = 16 * 1024


def _stripped(key: str) -> str:
    return key.strip()


@attrs.frozen(kw_only=True)
class OpenAICompatibleLLM:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        base_url: the endpoint up to and including ``/v1``.
        model: the model's name at that endpoint.
        api_key: the key, from ``OPENAI_COMPATIBLE_API_KEY`` when left out; ``"EMPTY"`` or none at all
            sends no ``Authorization`` header.
        timeout: seconds of silence after which a request is given up; connecting has at most 10 s of it.
        extra_headers: sent with every request.
        extra_body: added to every request body: sampling parameters such as ``temperature``.

    Raises:
        PatterConfigError: ``base_url`` or ``model`` is missing, or a value cannot be right.
    """

    base_url: str
    model: str
    api_key: str = attrs.field(
        # A key that was read from a file has an end of line; as a header it would be refused, and shown.
        factory=lambda: os.environ.get("OPENAI_COMPATIBLE_API_KEY", _NO_KEY),
        converter=_stripped,
        repr=False,
    )
    timeout: float = 60.0
    extra_headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)  # keys, at some
    extra_body: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    def __attrs_post_init__(self) -> None:
        if not _is_web_address(self.base_url):
            raise PatterConfigError(
                f"base_url={self.base_url!r} is not a web address", hint="like http://localhost:11434/v1"
            )
        if not self.model:
            raise PatterConfigError("model= is missing")
        if not (self.api_key.isascii() and self.api_key.isprintable()):
            raise PatterConfigError("api_key= holds characters that no key has")
        if not self.timeout > 0:
            raise PatterConfigError(f"timeout={self.timeout!r} must be seconds above 0")

    @property
    def name(self) -> str:
        """``openai_compatible``."""
        return "openai_compatible"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[_Connected]:
        """One HTTP client for all calls of a session, its connections kept warm between turns."""
        headers = dict(self.extra_headers)
        if self.api_key and self.api_key != _NO_KEY:
            headers["Authorization"] = f"Bearer {self.api_key}"
        async with httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(self.timeout, connect=min(self.timeout, 10.0)),
            limits=httpx2.Limits(max_connections=None, keepalive_expiry=_KEEPALIVE_SECONDS),
            http2=False,
        ) as client:
            yield _Connected(self, client)


@attrs.frozen
class _Connected:
    """The model with its HTTP client."""

    settings: OpenAICompatibleLLM
    client: httpx2.AsyncClient

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
            AuthenticationError: the key was refused (401, 403).
            RateLimitError: too many requests (429).
            LanguageModelError: anything else went wrong.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **self.settings.extra_body,
        }
        if tools:
            body["tools"] = list(tools)
        return self._stream(body)

    @trio.as_safe_channel
    async def _stream(self, body: dict[str, Any]) -> AsyncGenerator[LLMChunk, None]:
        url = f"{self.settings.base_url.rstrip('/')}/chat/completions"
        answer = ChatStream()
        try:
            async with (
                self.client.stream("POST", url, json=body) as response,
                open_body(response) as received,
            ):
                if response.status_code != 200:
                    raise refusal_error(response.status_code, await read_beginning(received, _ERROR_BYTES))
                async for data in received:
                    for chunk in answer.feed(data):
                        yield chunk
                    if answer.ended:
                        break
                for chunk in answer.finish():
                    yield chunk
                with trio.move_on_after(_TAIL_SECONDS):
                    async for _ in received:
                        pass
        except httpx2.TimeoutException as error:
            raise LanguageModelError(f"{self.model} at {url} was silent for too long") from error
        except httpx2.ConnectError as error:
            raise LanguageModelError(f"{self.model} at {url} cannot be reached: {error}") from error
        except httpx2.HTTPError as error:
            raise LanguageModelError(f"{self.model} at {url} broke off: {error}") from error


def _is_web_address(url: str) -> bool:
    try:
        parts = httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    return parts.scheme in ("http", "https") and bool(parts.host)


LLM = OpenAICompatibleLLM
