"""The desk as an ``on_message`` function: understands, remembers each call, and answers.

::

    brain = DeskBrain(today=date(2026, 3, 2))
    await brain.warm()                                  # loads the model off the loop, once
    agent = patter.agent(on_message=brain.on_message, first_message=GREETING, …)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import attrs
import trio

from ..errors import MissingExtraError
from .dialogue import GREETING, Conversation, answer
from .embedding import load_embedding
from .understanding import Classifier

__all__ = ["GREETING", "DeskBrain"]

_THREADS = 2
"""Understanding takes 4-12 ms of one core; more threads than this would only take turns with each other."""


@attrs.define
class DeskBrain:
    """The appointment desk.

    Args:
        today: the date of the calls.
        use_embedding: with ``False``, or where ``patter-trio[local]`` is not installed, rules alone
            understand (about half of free phrasings instead of seven in eight).
        max_calls: conversations remembered at once; past it the one silent for longest is forgotten.
    """

    today: date
    use_embedding: bool = True
    max_calls: int = 500
    _calls: dict[str, Conversation] = attrs.field(init=False, factory=dict[str, Conversation])
    _classifier: Classifier | None = attrs.field(init=False, default=None)
    _understands_by: str = attrs.field(init=False, default="rules")
    _loading: trio.Lock = attrs.field(init=False, factory=trio.Lock)
    _limiter: trio.CapacityLimiter = attrs.field(init=False, factory=lambda: trio.CapacityLimiter(_THREADS))

    @property
    def understands_by(self) -> str:
        """``"embedding"`` once the model is loaded, otherwise ``"rules"``."""
        return self._understands_by

    async def warm(self) -> None:
        """Loads the model in a thread (about two seconds of CPU, once per brain)."""
        async with self._loading:
            if self._classifier is None:
                self._classifier, self._understands_by = await self._in_thread(self._load)

    async def on_message(self, event: Mapping[str, Any]) -> str:
        """Answers one message of a call; of ``event`` the keys ``text`` and ``call_id`` are read.

        Understanding runs in a thread; what the call remembers changes only after it, in one step, so that
        a turn cancelled while thinking leaves no trace.
        """
        await self.warm()
        assert self._classifier is not None
        text, classifier = str(event["text"]), self._classifier
        if self._understands_by == "rules":
            said = classifier.understand(text)
        else:
            said = await self._in_thread(lambda: classifier.understand(text))
        return answer(said, self._conversation(str(event["call_id"])))

    def reply(self, text: str, state: Conversation) -> str:
        """Answers at once, on this thread: for scripts and tests outside a call."""
        if self._classifier is None:
            self._classifier, self._understands_by = self._load()
        return answer(self._classifier.understand(text), state)

    def forget(self, call_id: str) -> None:
        """Drops what is remembered of a call that has ended; a call it never met is fine too."""
        self._calls.pop(call_id, None)

    def __len__(self) -> int:
        """Conversations remembered."""
        return len(self._calls)

    def _conversation(self, call_id: str) -> Conversation:
        known = self._calls.pop(call_id, None) or Conversation.opened(self.today)
        self._calls[call_id] = known
        while len(self._calls) > self.max_calls:
            del self._calls[next(iter(self._calls))]
        return known

    def _load(self) -> tuple[Classifier, str]:
        if self.use_embedding:
            try:
                return Classifier(load_embedding()), "embedding"
            except MissingExtraError:
                pass
        return Classifier(), "rules"

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        # Abandoned on cancel: a caller who interrupts must not wait for a model. The work is pure.
        return await trio.to_thread.run_sync(work, limiter=self._limiter, abandon_on_cancel=True)
