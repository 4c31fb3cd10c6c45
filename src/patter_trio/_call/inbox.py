"""What the agent has to attend to, in order: the caller's utterances, and what it is told to say or do."""

from __future__ import annotations

from collections import deque

import attrs
import trio

from .._turns.endpointing import Utterance
from .._turns.keys import Stroke
from ..errors import PatterError
from .clip import Clip

__all__ = ["Agenda", "Held", "Inbox", "Keys", "Leave", "Say"]


@attrs.frozen
class Say:
    """Fixed words; ``interruptible`` is whether the caller may take the floor from them."""

    text: str
    interruptible: bool = True


@attrs.define(eq=False)
class Keys:
    """Keys to press; whoever asked for them waits until they were, or learns by ``error`` why not.

    They are ``wanted`` for as long as somebody waits.
    """

    strokes: tuple[Stroke, ...]
    wanted: bool = True
    done: trio.Event = attrs.field(factory=trio.Event)
    error: PatterError | None = None


@attrs.frozen
class Held:
    """The caller was put on hold: only to be noticed."""


@attrs.frozen
class Leave:
    """The call is to end, for this reason, with a goodbye if there is one."""

    reason: str


Agenda = Utterance | Say | Clip | Keys | Held | Leave


class Inbox:
    """What is on its way to the conversation; what comes during a turn waits here."""

    def __init__(self, items: trio.MemoryReceiveChannel[Agenda]) -> None:
        self._items = items
        self._early: deque[Agenda] = deque()
        self._passed: list[Utterance] = []

    async def next(self) -> Agenda:
        """What is next.

        Raises:
            trio.EndOfChannel: the caller is gone, nothing more will come.
        """
        if not self._early:
            return await self._items.receive()
        item = self._early.popleft()
        # Everything that was said over one turn gets one answer.
        while isinstance(item, Utterance) and self._early and isinstance(self._early[0], Utterance):
            item = _joined(item, self._early.popleft())
        return item

    def put_back(self, item: Agenda) -> None:
        """What :meth:`next` gave is next again: now is not the time for it."""
        if not isinstance(item, Held):
            self._early.appendleft(item)

    async def gather(self) -> None:
        """Takes in what comes, for later, until the call is to end.

        Raises:
            trio.EndOfChannel: the caller is gone, nothing more will come.
        """
        while not any(isinstance(item, Leave) for item in self._early):
            item = await self._items.receive()
            if isinstance(item, Utterance) and self._early and isinstance(self._early[-1], Utterance):
                # One answer for all of it, and a caller who talks for an hour fills nothing.
                self._early[-1] = _joined(self._early[-1], item)
            elif not isinstance(item, Held):
                self._early.append(item)

    @property
    def has_work(self) -> bool:
        """Whether something waits that the agent will answer, or the end of the call."""
        return any(isinstance(item, Utterance | Leave) for item in self._early)

    async def peek(self) -> Utterance:
        """Waits for the next utterance with words to arrive, and leaves it for :meth:`next`.

        One without words that comes here was a noise that did not take the floor: it is nobody's to answer.
        """
        while True:
            item = await self._items.receive()
            if isinstance(item, Held):
                continue
            if not isinstance(item, Utterance):
                self._early.append(item)
            elif item.says_something:
                self._early.append(item)
                return item

    def take_waiting(self) -> list[Utterance]:
        """The utterances that are here already; what else is here stays."""
        while True:
            try:
                self._early.append(self._items.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                break
        waiting = [item for item in self._early if isinstance(item, Utterance)]
        self._early = deque(item for item in self._early if not isinstance(item, Utterance))
        return waiting

    def pass_over(self, utterance: Utterance) -> None:
        """These words, which came by :meth:`peek`, are not to take the floor."""
        self._early.remove(utterance)
        self._passed.append(utterance)

    def take_passed(self, spoke_until: float) -> list[Utterance]:
        """The words that were passed over in a turn whose sound went on until then.

        What was said as it ended is more than a sign of listening: it goes back, and is answered.
        """
        passed, self._passed = self._passed, []
        replies = [utterance for utterance in passed if _ended(utterance) > spoke_until - _AS_IT_ENDED]
        self._early.extendleft(reversed(replies))
        return [utterance for utterance in passed if utterance not in replies]


# "Shall I book it?" – "Yes": it comes about as the agent ends.
_AS_IT_ENDED = 1.0


def _ended(utterance: Utterance) -> float:
    if utterance.speech_ended is None:
        return utterance.committed_at
    return utterance.speech_ended - utterance.trailing_silence


def _joined(first: Agenda, second: Agenda) -> Utterance:
    assert isinstance(first, Utterance)
    assert isinstance(second, Utterance)
    text = " ".join(filter(None, [first.text, second.text]))
    keys = first.has_keys or second.has_keys
    unworded = first.unworded or second.unworded
    return attrs.evolve(
        second, text=text, speech_started=first.speech_started, has_keys=keys, unworded=unworded
    )
