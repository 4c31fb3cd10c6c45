"""What a vendor wants back with a tool call and our messages have no place for.

Claude signs its thinking and Gemini its function calls; both refuse the next request of a tool loop when the
signature is missing. Messages in OpenAI's shape cannot hold it, so the provider remembers it by the call.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ["Keepsakes"]

Kept = TypeVar("Kept")

# Signatures are needed while their turn lasts; this is a hundred calls with ten tool calls each.
_LIMIT = 1000


class Keepsakes(Generic[Kept]):
    """The latest keepsakes of all phone calls of a session; the oldest are forgotten."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[tuple[str | None, str], Kept] = OrderedDict()

    def keep(self, call_id: str | None, tool_call_id: str, what: Kept) -> None:
        """Remembers ``what`` for a tool call within a phone call."""
        self._kept[call_id, tool_call_id] = what
        self._kept.move_to_end((call_id, tool_call_id))
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def find(self, call_id: str | None, tool_call_id: str) -> Kept | None:
        """What was kept, if it was and is not forgotten."""
        return self._kept.get((call_id, tool_call_id))
