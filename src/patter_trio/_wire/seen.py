"""Webhooks that came before: carriers send them again, and so may anybody who has seen one."""

from __future__ import annotations

from collections import OrderedDict

import attrs

__all__ = ["SeenBefore"]

# The window of signatures is 5 minutes to either side; twice that, so that a copy is known for as long as it
# could be accepted.
_SECONDS = 600.0
_MOST = 20_000


@attrs.define
class SeenBefore:
    """Remembers ids for ten minutes, the latest 20,000 of them at most; pure."""

    _seen: OrderedDict[str, float] = attrs.field(factory=lambda: OrderedDict[str, float]())

    def note(self, event_id: str, now: float) -> bool:
        """Remembers an id; whether it had been seen already."""
        while self._seen and (next(iter(self._seen.values())) < now - _SECONDS or len(self._seen) >= _MOST):
            self._seen.popitem(last=False)
        if event_id in self._seen:
            return True
        self._seen[event_id] = now
        return False
