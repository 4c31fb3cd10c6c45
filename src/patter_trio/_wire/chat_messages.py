"""Messages and tools in OpenAI's chat shape, read once for the vendors that want them in another.

A conversation comes out as these vendors demand it: system messages by themselves, caller and agent in turn,
the caller first and last, each tool call together with its result. What they would refuse is not in it: a
call without its result, a result without its call, a message without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import msgspec

from ..errors import LanguageModelError
from ..events import Message

__all__ = ["Call", "Conversation", "Function", "Said", "read_functions", "read_messages"]

# Said by nobody: the vendors want to hear from the user first and last, and a phone agent often greets.
_CONNECTED = "[The call is connected.]"
_SILENT = "[The caller says nothing.]"


@attrs.frozen
class Call:
    """A tool call of the agent with what came of it."""

    id: str
    name: str
    arguments: dict[str, Any]
    result: str


@attrs.frozen
class Said:
    """What one side said without the other between; the agent's tool calls stand at the end."""

    role: Literal["user", "assistant"]
    texts: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()


@attrs.frozen
class Conversation:
    """The system messages in order, and what was said."""

    system: tuple[str, ...]
    said: tuple[Said, ...]


@attrs.frozen
class Function:
    """A tool as the model sees it."""

    name: str
    description: str
    parameters: Mapping[str, Any] | None
    strict: bool | None


@attrs.define
class _Asked:
    """A tool call on its way to its result."""

    id: str
    name: str
    arguments: dict[str, Any]
    results: list[str] = attrs.field(factory=list[str])

    def answered(self) -> Call:
        return Call(self.id, self.name, self.arguments, "\n".join(self.results))


def read_messages(messages: Sequence[Message]) -> Conversation:
    """The conversation in ``messages``.

    Raises:
        LanguageModelError: a message has a role or a part that no model of text can be sent.
    """
    system: list[str] = []
    lines: list[tuple[Literal["user", "assistant"], tuple[str, ...], list[_Asked]]] = []
    latest: dict[str, _Asked] = {}
    for message in messages:
        role, texts = message.get("role"), _texts(message.get("content"))
        if role in ("system", "developer"):
            system += texts
        elif role == "user":
            lines.append(("user", texts, []))
        elif role == "assistant":
            asked = [_asked(call) for call in message.get("tool_calls") or ()]
            latest.update({call.id: call for call in asked})
            lines.append(("assistant", texts, asked))
        elif role == "tool":
            # A result belongs to the latest call of its id: some servers count from 0 in every answer.
            call = latest.get(str(message.get("tool_call_id") or ""))
            if call is not None:
                call.results.append(_whole(message.get("content")))
        else:
            raise LanguageModelError(f"a message with role={role!r} cannot be sent to this model")
    said = [
        Said(role, texts, tuple(call.answered() for call in asked if call.results))
        for role, texts, asked in lines
    ]
    return Conversation(tuple(system), _in_turn(said))


def _in_turn(said: list[Said]) -> tuple[Said, ...]:
    joined: list[Said] = []
    for line in said:
        if not (line.texts or line.calls):
            continue
        last = joined[-1] if joined else None
        if last is not None and last.role == line.role and not last.calls:
            joined[-1] = Said(line.role, last.texts + line.texts, line.calls)
        else:
            joined.append(line)
    if not joined or joined[0].role != "user":
        joined.insert(0, Said("user", (_CONNECTED,)))
    if joined[-1].role != "user" and not joined[-1].calls:
        joined.append(Said("user", (_SILENT,)))
    return tuple(joined)


def _texts(content: Any) -> tuple[str, ...]:
    """The texts of a message, without those that hold nothing but white space."""
    return tuple(text for text in _parts(content) if text.strip())


def _whole(content: Any) -> str:
    return "".join(_parts(content))


def _parts(content: Any) -> list[str]:
    if content is None:
        return []
    if isinstance(content, str):
        return [content]
    if not isinstance(content, Sequence):
        raise LanguageModelError(f"a message's content must be text or parts, not {type(content).__name__}")
    return [_text_of(part) for part in content]


def _text_of(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping):
        for key in ("text", "refusal"):
            if isinstance(part.get(key), str):
                return str(part[key])
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise LanguageModelError(f"a message part of type {kind!r} cannot be sent to this model: only text can")


def _asked(call: Mapping[str, Any]) -> _Asked:
    function = call.get("function") or {}
    arguments = _arguments(function.get("arguments"))
    return _Asked(str(call.get("id") or ""), str(function.get("name") or ""), arguments)


def _arguments(given: Any) -> dict[str, Any]:
    """The arguments as an object, which the vendors insist on; what is none is kept under one name."""
    if isinstance(given, Mapping):
        return dict(given)
    if not given:
        return {}
    try:
        read = msgspec.json.decode(given)
    except (msgspec.MsgspecError, UnicodeError, TypeError):
        read = given
    return read if isinstance(read, dict) else {"malformed_arguments": given}


def read_functions(tools: Sequence[Mapping[str, Any]] | None) -> list[Function]:
    """The tools in OpenAI's function shape.

    Raises:
        LanguageModelError: a tool is no function, or has no name.
    """
    return [_function(tool) for tool in tools or ()]


def _function(tool: Mapping[str, Any]) -> Function:
    function = tool.get("function")
    if not isinstance(function, Mapping) or not function.get("name"):
        raise LanguageModelError(
            f"a tool of type {tool.get('type')!r} cannot be sent to this model",
            hint='tools have the shape {"type": "function", "function": {"name": …, "parameters": …}}',
        )
    return Function(
        str(function["name"]),
        str(function.get("description") or ""),
        function.get("parameters"),
        function.get("strict"),
    )
