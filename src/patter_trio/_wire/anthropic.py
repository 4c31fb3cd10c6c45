"""Anthropic's Messages stream: server-sent events in, :class:`LLMChunk` out.

A message is a row of blocks: text, tool calls whose arguments come in pieces, and thinking, which is not
spoken. Its first event counts the input, its last but one the output and why it stopped; ``message_stop``
ends it. An ``error`` event may come instead of any of them. ``input_tokens`` of our ``usage`` chunk is all
input, as with the other providers; on this wire it is what the cache neither gave nor took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from ..errors import AuthenticationError, LanguageModelError, PatterError, RateLimitError
from ..events import LLMChunk
from .event_stream import EventStream
from .rate_limits import seconds_to_wait
from .said import one_line, said_by

__all__ = ["MessageStream", "refusal_error", "unwelcome"]


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Message(msgspec.Struct):
    usage: _Usage | None = None


class _Block(msgspec.Struct):
    type: str = ""
    id: str | None = None
    name: str | None = None
    text: str | None = None
    input: Any = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class _StopDetails(msgspec.Struct):
    category: str | None = None
    explanation: str | None = None


class _Delta(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode

Keep = Callable[[str, Sequence[dict[str, Any]]], None]


@attrs.define
class _ToolUse:
    """A tool call that is being written."""

    place: int
    input: Any
    begun: bool = False


class MessageStream:
    """One answer: bytes of the body in, chunks out, ``usage`` and one ``done`` last.

    Args:
        keep: told the thinking that came before a tool call, by the call's id.

    Attributes:
        ended: whether ``message_stop`` came.
    """

    def __init__(self, keep: Keep) -> None:
        self.ended = False
        self._keep = keep
        self._events = EventStream()
        self._usage: dict[str, int] = {}
        self._tools: dict[int, _ToolUse] = {}
        self._tool_count = 0
        self._thought: dict[int, dict[str, Any]] = {}
        self._stopped: _Delta | None = None

    def feed(self, data: bytes) -> Iterator[LLMChunk]:
        """What these bytes complete, cut wherever they were. What stands before an error comes before it.

        Raises:
            LanguageModelError: the model refuses, the far end reports an error, or this is no such stream.
            RateLimitError: it reports that there were too many requests or tokens.
            AuthenticationError: it reports that the key does not do.
        """
        for event in self._events.feed(data):
            if not self.ended:
                yield from self._read(event)

    def finish(self) -> Iterator[LLMChunk]:
        """The end of an answer whose body ended; nothing more after ``message_stop``.

        Raises:
            LanguageModelError: the body ended cleanly and the answer did not.
        """
        for event in self._events.finish():
            if not self.ended:
                yield from self._read(event)
        if self.ended:
            return
        if self._stopped is None:
            raise LanguageModelError("the model stopped in the middle of its answer", temporary=True)
        yield from self._end()

    def _read(self, data: bytes) -> Iterator[LLMChunk]:
        try:
            event = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LanguageModelError(f"the model streamed something that is no event: {error}") from error
        if event.type == "error":
            raise _told_error(event.error, "failed while streaming", temporary=True)
        if event.type == "message_start" and event.message is not None:
            self._count(event.message.usage)
        elif event.type == "content_block_start" and event.content_block is not None:
            yield from self._begin_block(event.index, event.content_block)
        elif event.type == "content_block_delta" and event.delta is not None:
            yield from self._go_on(event.index, event.delta)
        elif event.type == "content_block_stop":
            yield from self._end_block(event.index)
        elif event.type == "message_delta":
            self._count(event.usage)
            if event.delta is not None and event.delta.stop_reason:
                self._stopped = event.delta
        elif event.type == "message_stop":
            yield from self._end()

    def _begin_block(self, index: int, block: _Block) -> Iterator[LLMChunk]:
        if block.type == "text" and block.text:
            yield LLMChunk("text", content=block.text)
        elif block.type == "tool_use":
            place, self._tool_count = self._tool_count, self._tool_count + 1
            self._tools[index] = _ToolUse(place, block.input)
            if self._thought and block.id:
                self._keep(block.id, [self._thought[at] for at in sorted(self._thought)])
                self._thought = {}
            yield LLMChunk("tool_call", index=place, id=block.id or "", name=block.name or "")
        elif block.type == "thinking":
            self._thought[index] = {
                "type": "thinking",
                "thinking": block.thinking or "",
                "signature": block.signature or "",
            }
        elif block.type == "redacted_thinking":
            self._thought[index] = {"type": "redacted_thinking", "data": block.data or ""}

    def _go_on(self, index: int, delta: _Delta) -> Iterator[LLMChunk]:
        tool = self._tools.get(index)
        if delta.text:
            yield LLMChunk("text", content=delta.text)
        elif delta.partial_json and tool is not None:
            tool.begun = True
            yield LLMChunk("tool_call", index=tool.place, arguments=delta.partial_json)
        elif index in self._thought:
            for part in ("thinking", "signature"):
                self._thought[index][part] = self._thought[index].get(part, "") + (getattr(delta, part) or "")

    def _end_block(self, index: int) -> Iterator[LLMChunk]:
        tool = self._tools.pop(index, None)
        if tool is not None and not tool.begun:
            # No piece means no arguments, or all of them where the block began.
            arguments = msgspec.json.encode(tool.input or {}).decode()
            yield LLMChunk("tool_call", index=tool.place, arguments=arguments)

    def _count(self, usage: _Usage | None) -> None:
        """The counts are cumulative, and an event may leave out some of them."""
        if usage is not None:
            self._usage |= {
                name: count for name, count in msgspec.structs.asdict(usage).items() if count is not None
            }

    def _end(self) -> Iterator[LLMChunk]:
        self.ended = True
        if self._usage:
            read = self._usage.get("cache_read_input_tokens", 0)
            written = self._usage.get("cache_creation_input_tokens", 0)
            yield LLMChunk(
                "usage",
                input_tokens=self._usage.get("input_tokens", 0) + read + written,
                output_tokens=self._usage.get("output_tokens", 0),
                cache_read_tokens=read,
                cache_write_tokens=written,
            )
        if self._stopped is not None and self._stopped.stop_reason == "refusal":
            raise _refused(self._stopped.stop_details or _StopDetails())
        yield LLMChunk("done")


def _refused(details: _StopDetails) -> LanguageModelError:
    why = ": ".join(part for part in (details.category, details.explanation) if part)
    return LanguageModelError("the model refused to answer" + (f": {one_line(why)}" if why else ""))


def refusal_error(status: int, body: Any, headers: Mapping[str, str], model: str) -> PatterError:
    """The exception for a request that was answered with ``status`` and the decoded ``body``."""
    error = body.get("error") if isinstance(body, Mapping) else body
    if status in (401, 403):
        # What it said may hold the key.
        return AuthenticationError(f"Anthropic refused the key ({status})", hint="check api_key=")
    if status == 402:
        return AuthenticationError("Anthropic's account has no credit left (402)", hint="check its billing")
    if status == 429:
        return RateLimitError(
            f"Anthropic asks for fewer requests: {_said(error)}", retry_after=seconds_to_wait(headers)
        )
    if status == 404:
        return LanguageModelError(
            f"Anthropic answered 404: {_said(error)}", hint=f"is model={model!r} still served, and to you?"
        )
    return _told_error(error, f"answered {status}", temporary=status in (408, 409) or status >= 500)


def _told_error(error: Any, what: str, *, temporary: bool) -> PatterError:
    kind = error.get("type") if isinstance(error, Mapping) else None
    if kind == "rate_limit_error":
        return RateLimitError(f"Anthropic {what}: {_said(error)}")
    if kind in ("authentication_error", "permission_error", "billing_error"):
        return AuthenticationError(f"Anthropic {what}: {kind}", hint="check api_key= and the account")
    if kind == "overloaded_error":
        return LanguageModelError(f"Anthropic is overloaded: {_said(error)}", temporary=True)
    # What the request itself is to blame for fails again.
    blamed = kind in ("invalid_request_error", "not_found_error", "request_too_large")
    return LanguageModelError(f"Anthropic {what}: {_said(error)}", temporary=temporary and not blamed)


def unwelcome(body: Any, sent: Sequence[str]) -> set[str]:
    """Which of the parameters that were sent a refusal (400) names as those it does not take."""
    error = body.get("error") if isinstance(body, Mapping) else None
    said = str(error.get("message")) if isinstance(error, Mapping) else ""
    return {name for name in sent if name in said}


def _said(error: Any) -> str:
    return said_by(error, "type")
