"""What Gemini's ``generateContent`` is asked: conversation and tools in the shape of its request.

Roles are ``user`` and ``model`` and alternate; a function call comes right after a user's turn and its
response right after the call. An ``id`` goes back only where Gemini gave one: Vertex AI refuses others, and
with models before 3 any. Models from 3 on refuse a call without the signature they gave it; for a call that
another model made Google documents a word that stands in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from ..events import Message
from .chat_messages import Call, Function, read_functions, read_messages

__all__ = ["Kept", "contents_request", "least_thinking"]

Part = dict[str, Any]

_UNSIGNED = "skip_thought_signature_validator"
_generation = re.compile(r"gemini-(\d+)")


@attrs.frozen
class Kept:
    """What Gemini wants back with a function call: its own id and its signature, where it gave them."""

    id: str = ""
    signature: str = ""


def contents_request(
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] | None,
    *,
    model: str,
    kept_with: Callable[[str], Kept | None],
) -> dict[str, Any]:
    """``systemInstruction``, ``contents`` and ``tools`` of a request, those that are not empty.

    Args:
        messages: the conversation in OpenAI's chat shape.
        tools: the tools in OpenAI's function shape.
        model: who is asked.
        kept_with: what was kept with a tool call, by its id.

    Raises:
        LanguageModelError: a message or a tool cannot be said in this shape.
    """
    conversation = read_messages(messages)
    signs = _signs(model)
    contents: list[dict[str, Any]] = []
    responses: list[Part] = []
    for line in conversation.said:
        parts: list[Part] = [{"text": text} for text in line.texts]
        if line.role == "user":
            contents.append({"role": "user", "parts": responses + parts})
            responses = []
            continue
        if responses:
            contents.append({"role": "user", "parts": responses})
            responses = []
        for at, call in enumerate(line.calls):
            kept = kept_with(call.id) or Kept()
            # Of several calls at once only the first one is signed.
            unsigned = _UNSIGNED if signs and at == 0 else ""
            parts.append(_call(call, kept, kept.signature or unsigned))
            responses.append(_response(call, kept))
        contents.append({"role": "model", "parts": parts})
    if responses:
        contents.append({"role": "user", "parts": responses})
    request: dict[str, Any] = {"contents": contents}
    if conversation.system:
        request["systemInstruction"] = {"parts": [{"text": text} for text in conversation.system]}
    declared = [_declaration(function) for function in read_functions(tools)]
    if declared:
        request["tools"] = [{"functionDeclarations": declared}]
    return request


def _signs(model: str) -> bool:
    """Whether the model checks the signatures of its calls: Gemini does from 3 on."""
    found = _generation.search(model)
    return found is not None and int(found[1]) >= 3


def _call(call: Call, kept: Kept, signature: str) -> Part:
    part: Part = {"functionCall": {"name": call.name, "args": call.arguments}}
    if kept.id:
        part["functionCall"]["id"] = kept.id
    if signature:
        part["thoughtSignature"] = signature
    return part


def _response(call: Call, kept: Kept) -> Part:
    response: Part = {"name": call.name, "response": _result(call.result)}
    if kept.id:
        response["id"] = kept.id
    return {"functionResponse": response}


def _result(text: str) -> dict[str, Any]:
    """The result as an object, which the wire insists on."""
    try:
        read = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError):
        read = text
    return read if isinstance(read, dict) else {"output": text}


def _declaration(function: Function) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": function.name, "description": function.description}
    if function.parameters and function.parameters.get("properties"):
        # The other field, ``parameters``, takes a part of OpenAPI's schemas only.
        declaration["parametersJsonSchema"] = {"type": "object", **function.parameters}
    return declaration


def least_thinking(model: str) -> dict[str, Any]:
    """The ``thinkingConfig`` that keeps a caller waiting least, where it is known for the model."""
    found = _generation.search(model)
    if found is None or "flash" not in model:
        return {}
    if int(found[1]) >= 3:
        return {"thinkingLevel": "MINIMAL"}
    return {"thinkingBudget": 0} if "2.5" in model else {}
