"""What Anthropic's Messages are asked: conversation and tools in the shape of their request.

``system`` stands apart, roles alternate and begin with ``user``, the results of a turn's tool calls are the
first blocks of the user message right after it, and no tool call id comes twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..events import Message
from .chat_messages import Function, Said, read_functions, read_messages

__all__ = ["messages_request"]

Block = dict[str, Any]

_CACHED = {"cache_control": {"type": "ephemeral"}}
_plain_id = re.compile(r"[a-zA-Z0-9_-]+")


def messages_request(
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] | None,
    *,
    prompt_caching: bool,
    thinking_before: Callable[[str], Sequence[Block] | None],
) -> dict[str, Any]:
    """``system``, ``messages`` and ``tools`` of a request, those that are not empty.

    Args:
        messages: the conversation in OpenAI's chat shape.
        tools: the tools in OpenAI's function shape.
        prompt_caching: whether the system prompt and the last tool end a cached prefix.
        thinking_before: the thinking blocks that stood before a tool call, by its id.

    Raises:
        LanguageModelError: a message or a tool cannot be said in this shape.
    """
    conversation = read_messages(messages)
    system: list[Block] = [{"type": "text", "text": text} for text in conversation.system]
    named = [_tool(function) for function in read_functions(tools)]
    if prompt_caching:
        # The prompt, and all that was added to it: a summary that changes must not cost the prompt's cache.
        for marked in (*system[:1], *system[1:][-1:], *named[-1:]):
            marked.update(_CACHED)
    request: dict[str, Any] = {"messages": _alternating(conversation.said, thinking_before)}
    if system:
        request["system"] = system
    if named:
        request["tools"] = named
    return request


def _alternating(
    said: Sequence[Said], thinking_before: Callable[[str], Sequence[Block] | None]
) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    ids = _Ids()
    results: list[Block] = []
    for line in said:
        texts: list[Block] = [{"type": "text", "text": text} for text in line.texts]
        if line.role == "user":
            written.append({"role": "user", "content": results + texts})
            results = []
            continue
        if results:
            written.append({"role": "user", "content": results})
            results = []
        blocks = texts
        for at, call in enumerate(line.calls):
            own = ids.of(call.id)
            # A message that thinks begins with thinking; what is thought between two calls stays there.
            thinking = list(thinking_before(call.id) or ())
            blocks = blocks + thinking if at else thinking + blocks
            blocks.append({"type": "tool_use", "id": own, "name": call.name, "input": call.arguments})
            results.append({"type": "tool_result", "tool_use_id": own, "content": call.result})
        written.append({"role": "assistant", "content": blocks})
    if results:
        written.append({"role": "user", "content": results})
    return written


class _Ids:
    """Ids as the wire allows them, each once: other servers' ids have other signs, or begin again at 0."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, wanted: str) -> str:
        plain = wanted if _plain_id.fullmatch(wanted) else f"call_{wanted.encode().hex()}"
        given, count = plain, 1
        while given in self._given:
            given, count = f"{plain}_{count}", count + 1
        self._given.add(given)
        return given


def _tool(function: Function) -> Block:
    tool: Block = {
        "name": function.name,
        "input_schema": {"type": "object", **(function.parameters or {})},
    }
    if function.description:
        tool["description"] = function.description
    if function.strict is not None:
        tool["strict"] = function.strict
    return tool
