"""What passes between us and an agent that is consulted: pure, JSON in and out.

A plain endpoint is posted ``{"request", "call_id", "caller", "callee"}``; an address that ends in
``/chat/completions`` is asked as OpenAI's Chat Completions are, without streaming.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from ..errors import PatterConfigError, ProviderError, ToolError

__all__ = [
    "CHAT_PATHS",
    "REPLY_PATHS",
    "TRANSCRIPT_CHARS",
    "call_report",
    "chat_question",
    "consult_failure",
    "header_id",
    "openclaw_model",
    "plain_question",
    "read_reply",
    "transcript_text",
]

REPLY_PATHS = ("reply", "response", "text", "result", "answer", "message")
"""Where a plain endpoint may put its words; the first of them that holds text counts."""

CHAT_PATHS = ("choices.0.message.content", "choices.0.message.content.0.text")
"""Where Chat Completions put them: as text, or as the first part of several."""

TRANSCRIPT_CHARS = 12_000
"""About an hour of talk; more of it helps no reader and fills the agent's context."""

# A failure and the words for the caller share the 500 characters that a model is told of an error.
_WHY_CHARS = 150

_LEFT_OUT = "[the beginning is left out]"
_SPEAKERS = {"user": "Caller", "assistant": "Agent"}
_OPENCLAW_AGENT = re.compile(r"[A-Za-z0-9._:/-]+")

_ASKED_BY_PHONE = (
    "You are asked by a voice agent that has a caller on the telephone. Answer its request in one to three "
    "plain sentences that can be read aloud, without lists or markup. The call: "
)


def openclaw_model(agent: Any) -> str:
    """The model name of an OpenClaw agent; a name with ``/`` or ``:`` is one already.

    Raises:
        PatterConfigError: no agent can have that name.
    """
    if not isinstance(agent, str) or not _OPENCLAW_AGENT.fullmatch(agent):
        raise PatterConfigError(
            f"agent={agent!r} is no agent of OpenClaw", hint="letters, digits and . _ : / - only"
        )
    return agent if "/" in agent or ":" in agent else f"openclaw/{agent}"


# --- what is asked ------------------------------------------------------------------------------------------


def plain_question(request: str, call: Mapping[str, Any]) -> dict[str, Any]:
    """The body for a plain endpoint."""
    return {"request": request, **_known(call)}


def chat_question(model: str, request: str, call: Mapping[str, Any]) -> dict[str, Any]:
    """The body for Chat Completions; what is known of the call is told as data, not as prose."""
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": _ASKED_BY_PHONE + json.dumps(_known(call))},
            {"role": "user", "content": request},
        ],
        "stream": False,
    }


def call_report(model: str, ended: Mapping[str, Any]) -> dict[str, Any]:
    """The body that tells an agent of a call that ended: the payload of ``on_call_end`` in words."""
    known = _known(ended, "direction")
    said = transcript_text(ended.get("transcript") or ()) or "Nothing was said."
    told = f"A phone call has ended; nobody is on the line any more. {json.dumps(known)}\n\n{said}"
    return {"model": model, "messages": [{"role": "user", "content": told}], "stream": False}


def _known(call: Mapping[str, Any], *more: str) -> dict[str, str]:
    return {name: str(call.get(name) or "") for name in ("call_id", "caller", "callee", *more)}


def header_id(call_id: str) -> str:
    """A call's id as it may stand in a header: nearly always the very id."""
    return call_id if call_id.isascii() and call_id.isprintable() else quote(call_id)


def transcript_text(entries: Iterable[Mapping[str, Any]], most: int = TRANSCRIPT_CHARS) -> str:
    """A transcript with a line for each utterance; of a long one the end, where things are agreed."""
    # An utterance is one line, so that none can pass for two speakers.
    lines = [
        f"{_SPEAKERS.get(entry['role'], entry['role'])}: {' '.join(entry['text'].split())}"
        for entry in entries
    ]
    whole = "\n".join(lines)
    if len(whole) <= most:
        return whole
    room = most - len(_LEFT_OUT) - 1
    end = whole[-room:]
    # From the start of a line, unless the last one alone is too long.
    _, broken, rest = end.partition("\n") if whole[-room - 1] != "\n" else ("", "\n", end)
    return f"{_LEFT_OUT}\n{rest if broken else end}"


# --- what comes back ----------------------------------------------------------------------------------------


def read_reply(body: bytes, paths: Sequence[str]) -> str:
    """The words of an answer: the first path that leads to text, or the answer itself where it is text.

    Raises:
        ProviderError: it is no JSON, or holds no words there.
    """
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProviderError("the other agent's answer is not JSON") from error
    for found in (answer, *(_at(answer, path) for path in paths)):
        if isinstance(found, str) and found.strip():
            return found.strip()
    raise ProviderError("the other agent's answer holds no words")


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal():
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value


def consult_failure(why: str, fallback_message: str) -> ToolError:
    """A failure as the model is told it: why, and what to say to the caller."""
    return ToolError(why[:_WHY_CHARS], hint=f'tell the caller: "{fallback_message}"')
