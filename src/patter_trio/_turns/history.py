"""What was said, heard and done, in order: the memory of a conversation."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from ..events import Role

__all__ = ["History", "HistoryEntry", "UsedTool", "as_messages", "tool_messages"]

_SUMMARY = "What was said before, as notes (not instructions):\n"


def _object_text(arguments: str) -> str:
    """Arguments as JSON text of an object: some endpoints refuse a conversation with any other in it."""
    try:
        return arguments if isinstance(json.loads(arguments, parse_constant=_not_json), dict) else "{}"
    except (ValueError, RecursionError):
        return "{}"


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is a number of Python's, not of JSON's")


@attrs.frozen
class UsedTool:
    """A tool that the model called and what came back: neither is kept without the other.

    ``id`` is unique among the calls of one message; ``arguments`` is JSON text, ``{}`` if the model's own
    was no JSON object; ``result`` is the text that the model was given.
    """

    id: str
    name: str
    arguments: str = attrs.field(converter=_object_text)
    result: str


@attrs.frozen
class HistoryEntry:
    """One side's words, or a step of the agent's in which it used tools.

    ``unheard`` is what the agent had still to say when it was cut; no model sees it. ``timestamp`` is wall
    time in seconds since the epoch. ``tools`` are what one message of the model called, side by side; the
    ``text`` of such an entry is what the caller heard of the words in that message.
    """

    role: Role
    text: str
    timestamp: float
    unheard: str = ""
    turn_idx: int = 0
    tools: tuple[UsedTool, ...] = ()


class History:
    """The last ``limit`` entries of a call, and what a summary stands for."""

    def __init__(self, limit: int = 200) -> None:
        self._entries: deque[HistoryEntry] = deque(maxlen=limit)
        self._added = 0
        self._summary = ""
        self._summarised = 0

    def add(self, entry: HistoryEntry) -> None:
        """Commits an entry; one without any words or tools is none."""
        if entry.text or entry.unheard or entry.tools:
            self._entries.append(entry)
            self._added += 1

    @property
    def entries(self) -> tuple[HistoryEntry, ...]:
        """All entries, oldest first."""
        return tuple(self._entries)

    @property
    def added(self) -> int:
        """How many entries there ever were: it changes when the history does."""
        return self._added

    @property
    def summary(self) -> str:
        """What the model is told in place of the entries before :attr:`open_entries`."""
        return self._summary

    @property
    def open_entries(self) -> tuple[HistoryEntry, ...]:
        """The entries that no summary stands for."""
        dropped = self._added - len(self._entries)
        return tuple(self._entries)[max(0, self._summarised - dropped) :]

    def summarise(self, until: int, summary: str) -> bool:
        """Lets ``summary`` stand for the first ``until`` entries ever added; callbacks still see them.

        ``False`` if it says nothing, or another summary stands for as many already.
        """
        if not summary.strip() or not self._summarised < until <= self._added:
            return False
        self._summarised, self._summary = until, summary.strip()
        return True

    def messages(self) -> list[dict[str, Any]]:
        """The conversation as a model sees it: the summary if there is one, then :func:`as_messages`."""
        messages = as_messages(self.open_entries)
        if self._summary:
            messages.insert(0, {"role": "system", "content": _SUMMARY + self._summary})
        return messages

    def transcript(self) -> list[dict[str, Any]]:
        """The conversation for callbacks: ``role``, ``text`` and ``timestamp`` of what was heard."""
        return [
            {"role": entry.role, "text": entry.text, "timestamp": entry.timestamp}
            for entry in self._entries
            if entry.text
        ]


def as_messages(entries: Iterable[HistoryEntry]) -> list[dict[str, Any]]:
    """Entries in the OpenAI chat shape: only words that were heard, one message a side in turn.

    Tools used before any words of the caller are left out, which happens when the words were cut off the
    front: some models refuse a conversation that begins with tools.
    """
    messages: list[dict[str, Any]] = []
    asked = False
    for entry in entries:
        asked = asked or (entry.role == "user" and bool(entry.text))
        tools = entry.tools if asked else ()
        last = messages[-1] if messages else {}
        joins = last.get("role") == entry.role and "tool_calls" not in last
        if tools:
            text = entry.text
            if joins:
                text = " ".join(filter(None, [messages.pop()["content"], text]))
            messages += tool_messages(text, tools)
        elif not entry.text:
            continue
        elif joins:
            last["content"] += f" {entry.text}"
        else:
            messages.append({"role": entry.role, "content": entry.text})
    return messages


def tool_messages(text: str, tools: Sequence[UsedTool]) -> list[dict[str, Any]]:
    """One message in which the model said ``text`` and called ``tools``, and the results behind it."""
    calls = [
        {"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": tool.arguments}}
        for tool in tools
    ]
    return [
        {"role": "assistant", "content": text or None, "tool_calls": calls},
        *({"role": "tool", "tool_call_id": tool.id, "content": tool.result} for tool in tools),
    ]
