"""What was said and heard, in order: the memory of a conversation."""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs

from ..events import Role

__all__ = ["History", "HistoryEntry"]


@attrs.frozen
class HistoryEntry:
    """One side's words. ``unheard`` is what the agent had still to say when it was cut; no model sees it.

    ``timestamp`` is wall time in seconds since the epoch.
    """

    role: Role
    text: str
    timestamp: float
    unheard: str = ""
    turn_idx: int = 0


class History:
    """The last ``limit`` entries of a call."""

    def __init__(self, limit: int = 200) -> None:
        self._entries: deque[HistoryEntry] = deque(maxlen=limit)

    def add(self, entry: HistoryEntry) -> None:
        """Commits an entry; one without any words is none."""
        if entry.text or entry.unheard:
            self._entries.append(entry)

    @property
    def entries(self) -> tuple[HistoryEntry, ...]:
        """All entries, oldest first."""
        return tuple(self._entries)

    def messages(self) -> list[dict[str, Any]]:
        """The conversation as a model sees it: only words that were heard, one message a side in turn."""
        messages: list[dict[str, Any]] = []
        for entry in self._entries:
            if not entry.text:
                continue
            if messages and messages[-1]["role"] == entry.role:
                messages[-1]["content"] += f" {entry.text}"
            else:
                messages.append({"role": entry.role, "content": entry.text})
        return messages

    def transcript(self) -> list[dict[str, Any]]:
        """The conversation for callbacks: ``role``, ``text`` and ``timestamp`` of what was heard."""
        return [
            {"role": entry.role, "text": entry.text, "timestamp": entry.timestamp}
            for entry in self._entries
            if entry.text
        ]
