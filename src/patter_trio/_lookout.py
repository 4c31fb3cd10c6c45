"""Everybody who watches the calls of a session, each attached to a call only if somebody asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ._call.call import Call
from ._callbacks import listeners_for
from ._settings import SessionSettings

__all__ = ["Lookout"]


class Lookout:
    """Has the callbacks, subscribers and instruments of a session listen to its calls."""

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings

    @contextmanager
    def watching(self, call: Call) -> Iterator[None]:
        """While the block runs, whoever wants to know is told of this call."""
        for listener in listeners_for(self._settings, call):
            call.listen(listener)
        with ExitStack() as stack:
            stack.enter_context(self._settings.events.following(call, call.history.transcript))
            yield
