"""A language model that says what the script says, token by token."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal

import attrs
import trio

from ...errors import LanguageModelError, PatterConfigError
from ...events import LLMChunk, Message

__all__ = ["LLMRequest", "Reply", "ScriptedLLM", "ToolUse"]

_TOKEN = re.compile(r"\S+\s*|\s+")


@attrs.frozen
class ToolUse:
    """A tool call in a reply: the tool's name and its arguments (or their JSON text, right or wrong)."""

    name: str
    arguments: Mapping[str, Any] | str = attrs.field(factory=dict[str, Any])

    def arguments_json(self) -> str:
        """The arguments as they go over the wire."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(dict(self.arguments))


@attrs.frozen
class Reply:
    """One answer of a :class:`ScriptedLLM`.

    Args:
        text: what it says; a token is a word with the white space after it.
        tools: tool calls that follow the text.
        fails_at: the number of the token in whose place ``error`` is raised (0: before the first).
        error: what is raised there.
    """

    text: str = ""
    tools: Sequence[ToolUse] = ()
    fails_at: int | None = None
    error: Exception = attrs.field(factory=lambda: LanguageModelError("the script breaks this answer"))


@attrs.define
class LLMRequest:
    """A request as it came, and what became of it. Times are seconds on the trio clock."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...]
    call_id: str | None
    began: float
    tokens: int = 0
    ended: float | None = None
    outcome: Literal["open", "done", "cancelled", "failed"] = "open"


Script = Sequence[str | Reply] | Callable[[Sequence[Message]], str | Reply]


class ScriptedLLM:
    """Answers from a script: a sequence of replies, or a function from the messages to a reply.

    The last reply of a sequence answers every further request. May be shared by calls.

    Args:
        replies: the script; a plain string is a :class:`Reply` with that text.
        first_token_delay: seconds from the request to the first token.
        token_delay: seconds between tokens.

    Raises:
        PatterConfigError: an empty sequence.
    """

    def __init__(
        self,
        replies: Script,
        *,
        first_token_delay: float = 0.2,
        token_delay: float = 0.02,
        name: str = "scripted",
        model: str = "script",
    ) -> None:
        if not callable(replies) and (isinstance(replies, str) or not replies):
            raise PatterConfigError("replies must be a function or a sequence with at least one reply")
        self._replies = replies
        self.first_token_delay = first_token_delay
        self.token_delay = token_delay
        self.name = name
        self.model = model
        self.requests: list[LLMRequest] = []

    @property
    def open_streams(self) -> int:
        """Answers that are being given now."""
        return self._count("open")

    @property
    def cancelled_streams(self) -> int:
        """Answers that were left before their end."""
        return self._count("cancelled")

    def _count(self, outcome: str) -> int:
        return sum(request.outcome == outcome for request in self.requests)

    def _choose(self, request: LLMRequest) -> Reply:
        if callable(self._replies):
            reply = self._replies(request.messages)
        else:
            reply = self._replies[min(len(self.requests), len(self._replies)) - 1]
        return Reply(reply) if isinstance(reply, str) else reply

    @trio.as_safe_channel
    async def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        call_id: str | None = None,
    ) -> AsyncGenerator[LLMChunk, None]:
        """Answers ``messages``: text chunks, tool calls, usage (in words), ``done``.

        Raises:
            Exception: the ``error`` of the reply, at its token.
        """
        copies = tuple(dict(message) for message in messages)
        request = LLMRequest(copies, tuple(tools or ()), call_id, trio.current_time())
        self.requests.append(request)
        try:
            async with aclosing(self._answer(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
            request.outcome = "done"
        except (GeneratorExit, trio.Cancelled):
            request.outcome = "cancelled"
            raise
        finally:
            if request.outcome == "open":
                request.outcome = "failed"
            request.ended = trio.current_time()

    async def _answer(self, request: LLMRequest) -> AsyncGenerator[LLMChunk, None]:
        reply = self._choose(request)
        tokens = _TOKEN.findall(reply.text)
        await trio.sleep(self.first_token_delay)
        for number, token in enumerate(tokens):
            if number:
                await trio.sleep(self.token_delay)
            if number == reply.fails_at:
                raise reply.error
            request.tokens += 1
            yield LLMChunk("text", content=token)
        if reply.fails_at is not None and reply.fails_at >= len(tokens):
            raise reply.error
        for index, tool in enumerate(reply.tools):
            # The id is unique over the provider's life, as the vendors' are.
            tool_id = f"tool-{len(self.requests)}-{index}"
            yield LLMChunk(
                "tool_call", index=index, id=tool_id, name=tool.name, arguments=tool.arguments_json()
            )
        asked = sum(len(str(message.get("content") or "").split()) for message in request.messages)
        yield LLMChunk("usage", input_tokens=asked, output_tokens=len(tokens))
        yield LLMChunk("done")
