"""OpenAI's Chat Completions stream, and what its many imitators make of it.

The body is server-sent events: ``data: <JSON chunk>`` lines, comments that begin with ``:``, and in the end
``data: [DONE]``, which some servers forget. Tolerated as seen in the field: a tool call whole in one chunk,
its ``index`` missing or always 0, its ``id`` or name repeated, its arguments as an object; usage on any
chunk, or on each, or in Groq's ``x_groq``; ``null`` wherever something is optional. Reasoning and padding
are never text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from ..errors import AuthenticationError, LanguageModelError, RateLimitError
from ..events import LLMChunk
from .rate_limits import seconds_to_wait
from .said import said_by

__all__ = ["ChatStream", "refusal_error"]

_LINE_LIMIT = 1024 * 1024
"""Bytes without an end of line after which a peer is not streaming chat; real chunks are below 10 KiB."""

_GONE_CODES = ("model_not_found", "model_decommissioned", "model_not_available")


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _CachedTokens(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _CachedTokens | None = None


class _Groq(msgspec.Struct):
    usage: _Usage | None = None
    error: Any = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    x_groq: _Groq | None = None
    error: Any = None
    status_code: int | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class ChatStream:
    """One answer: bytes of the body in, :class:`LLMChunk` out, ``usage`` and one ``done`` last.

    Attributes:
        ended: whether ``[DONE]`` came.
    """

    def __init__(self) -> None:
        self.ended = False
        self._finished = False
        self._rest = b""
        self._usage: _Usage | None = None
        self._tools = _ToolPlaces()

    def feed(self, data: bytes) -> Iterator[LLMChunk]:
        """What these bytes complete, cut wherever they were. What stands before an error comes before it.

        Raises:
            LanguageModelError: the far end reports an error, or what it sends is no chat stream.
            RateLimitError: it reports that there were too many requests or tokens.
        """
        # Lines end as SSE says, not as str.splitlines() does: JSON may hold U+2028 and its like unescaped.
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        if len(self._rest) > _LINE_LIMIT:
            raise LanguageModelError("the endpoint streamed a line without an end")
        for line in lines:
            if not self.ended:
                yield from self._read(line)

    def finish(self) -> Iterator[LLMChunk]:
        """The end of an answer whose body ended; nothing more after ``[DONE]``.

        Raises:
            LanguageModelError: the body ended cleanly and the answer did not: some gateways die that way.
        """
        last, self._rest = self._rest, b""
        if last and not self.ended:
            yield from self._read(last)
        if self.ended:
            return
        if not self._finished:
            raise LanguageModelError("the endpoint stopped in the middle of its answer", temporary=True)
        yield from self._end()

    def _read(self, line: bytes) -> Iterator[LLMChunk]:
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            yield from self._end()
        elif data:
            yield from self._read_chunk(data)

    def _read_chunk(self, data: bytes) -> Iterator[LLMChunk]:
        try:
            chunk = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LanguageModelError(f"the endpoint streamed something that is no chunk: {error}") from error
        failure = chunk.error or (chunk.x_groq and chunk.x_groq.error)
        if failure:
            if chunk.status_code == 429:
                raise RateLimitError(f"the endpoint gave up while streaming: {_said(failure)}")
            raise LanguageModelError(f"the endpoint failed while streaming: {_said(failure)}", temporary=True)
        for choice in chunk.choices or ():
            if choice.delta is not None:
                yield from self._read_delta(choice.delta)
            self._finished = self._finished or bool(choice.finish_reason)
        self._usage = chunk.usage or (chunk.x_groq and chunk.x_groq.usage) or self._usage

    def _read_delta(self, delta: _Delta) -> Iterator[LLMChunk]:
        # A refusal is what the model says in place of an answer: the caller must hear it, not silence.
        for text in (delta.content, delta.refusal):
            if text:
                yield LLMChunk("text", content=text)
        for call in delta.tool_calls or ():
            yield self._tools.place(call)

    def _end(self) -> Iterator[LLMChunk]:
        self.ended = True
        if self._usage is not None:
            details = self._usage.prompt_tokens_details
            yield LLMChunk(
                "usage",
                input_tokens=self._usage.prompt_tokens or 0,
                output_tokens=self._usage.completion_tokens or 0,
                cache_read_tokens=(details.cached_tokens or 0) if details else 0,
            )
        yield LLMChunk("done")


class _ToolPlaces:
    """Gives each tool call of an answer an index of its own, whatever the server numbers them."""

    def __init__(self) -> None:
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int | None, int] = {}
        self._count = 0

    def place(self, call: _ToolCall) -> LLMChunk:
        """The fragment under its call's index; id and name stand on the first fragment only."""
        index = self._by_id.get(call.id) if call.id else self._by_index.get(call.index)
        first = index is None
        if index is None:
            index, self._count = self._count, self._count + 1
        if call.id:
            self._by_id[call.id] = index
        # A fragment without an index belongs to the call that was spoken of last.
        self._by_index[call.index] = self._by_index[None] = index
        function = call.function or _Function()
        return LLMChunk(
            "tool_call",
            index=index,
            id=(call.id or "") if first else "",
            name=(function.name or "") if first else "",
            arguments=_arguments(function.arguments),
        )


def _arguments(given: Any) -> str:
    if given is None:
        return ""
    return given if isinstance(given, str) else msgspec.json.encode(given).decode()


def refusal_error(
    status: int, body: bytes, headers: Mapping[str, str] | None = None, *, model_hint: str | None = None
) -> AuthenticationError | RateLimitError | LanguageModelError:
    """The exception for a request that was answered with ``status`` instead of a stream.

    Args:
        status: the answer's status.
        body: the beginning of its body.
        headers: its headers, with names in lower case; they may say when to ask again.
        model_hint: what to do when the endpoint does not have the model.
    """
    said = _said(body.decode(errors="replace"))
    if status in (401, 403):
        # What it said may hold the key.
        return AuthenticationError(f"the endpoint refused the key ({status})", hint="check api_key=")
    if status == 429 and "insufficient_quota" in said:
        return AuthenticationError(
            "the endpoint's account has no credit left (429)", hint="check its billing"
        )
    if status == 429:
        return RateLimitError(
            f"the endpoint asks for fewer requests: {said}", retry_after=seconds_to_wait(headers or {})
        )
    gone = status == 404 or any(code in said for code in _GONE_CODES)
    return LanguageModelError(
        f"the endpoint answered {status}: {said}",
        hint=model_hint if gone else None,
        temporary=status in (408, 409, 498) or status >= 500,
    )


def _said(error: Any) -> str:
    """One line of what an error object, or the body that holds one, says; some servers do not nest it."""
    if isinstance(error, str):
        with suppress(msgspec.MsgspecError):  # plain text, or a page
            error = msgspec.json.decode(error)
    inner = error["error"] if isinstance(error, dict) and "error" in error else error
    return said_by(inner, "code", "type")
