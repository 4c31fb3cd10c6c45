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
import msgspec
import trio

from ..errors import AuthenticationError, LanguageModelError, PatterConfigError, RateLimitError
from ..events import LLMChunk, Message

__all__ = ["LLM", "OpenAICompatibleLLM"]

# Local runtimes are often started without a key; this is what their users write for none.
_NO_KEY = "EMPTY"

# A warm connection must outlive the caller's pauses; the library's own 5 s does not.
_KEEPALIVE_SECONDS = 120.0


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function = msgspec.field(default_factory=_Function)


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _CachedTokens(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _CachedTokens | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = msgspec.field(default_factory=list[_Choice])
    usage: _Usage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


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
        PatterConfigError: ``base_url`` or ``model`` is missing.
    """

    base_url: str
    model: str
    api_key: str = attrs.field(
        factory=lambda: os.environ.get("OPENAI_COMPATIBLE_API_KEY", _NO_KEY), repr=False
    )
    timeout: float = 60.0
    extra_headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    extra_body: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    def __attrs_post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise PatterConfigError(
                f"base_url={self.base_url!r} is not a web address", hint="like http://localhost:11434/v1"
            )
        if not self.model:
            raise PatterConfigError("model= is missing")

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
        try:
            async with self.client.stream("POST", url, json=body) as response:
                if response.status_code != 200:
                    raise _refusal(response.status_code, (await response.aread())[:500])
                finished = False
                async for line in response.aiter_lines():
                    data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                    finished = finished or data == "[DONE]"
                    if data and data != "[DONE]":
                        for chunk in _read(data):
                            finished = finished or chunk.type == "done"
                            yield chunk
            if not finished:
                # The body ended cleanly and the answer did not: some gateways die that way.
                raise LanguageModelError(f"{self.model} at {url} stopped in the middle of its answer")
        except httpx2.TimeoutException as error:
            raise LanguageModelError(f"{self.model} at {url} was silent for too long") from error
        except httpx2.HTTPError as error:
            raise LanguageModelError(f"{self.model} at {url} cannot be reached: {error}") from error


def _read(data: str) -> list[LLMChunk]:
    try:
        chunk = _decode(data)
    except msgspec.MsgspecError as error:
        raise LanguageModelError(f"the endpoint streamed something that is no chunk: {error}") from error
    if chunk.error:
        raise LanguageModelError(f"the endpoint failed while streaming: {chunk.error}")
    found: list[LLMChunk] = []
    for choice in chunk.choices:
        if choice.delta.content:
            found.append(LLMChunk("text", content=choice.delta.content))
        for call in choice.delta.tool_calls or ():
            found.append(
                LLMChunk(
                    "tool_call",
                    index=call.index,
                    id=call.id or "",
                    name=call.function.name or "",
                    arguments=call.function.arguments or "",
                )
            )
        if choice.finish_reason:
            found.append(LLMChunk("done"))
    if chunk.usage is not None:
        details = chunk.usage.prompt_tokens_details
        found.append(
            LLMChunk(
                "usage",
                input_tokens=chunk.usage.prompt_tokens,
                output_tokens=chunk.usage.completion_tokens,
                cache_read_tokens=(details.cached_tokens or 0) if details else 0,
            )
        )
    return found


def _refusal(status: int, body: bytes) -> AuthenticationError | RateLimitError | LanguageModelError:
    said = body.decode(errors="replace").strip()
    if status in (401, 403):
        return AuthenticationError(f"the endpoint refused the key ({status})", hint="check api_key=")
    if status == 429:
        return RateLimitError(f"the endpoint asks for fewer requests: {said}")
    return LanguageModelError(f"the endpoint answered {status}: {said}")


LLM = OpenAICompatibleLLM
