"""A reply that is begun before the caller's words are final, and kept only if they stay what they are.

It is a turn like any other, run behind its closed gate in the conversation's nursery. When the utterance is
committed with the same words, the gate opens; with other words the turn's scope is cancelled and joined, and
nobody ever hears of it. What it may have ready is bounded by the turn's own channels: about 3.5 s of sound.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import trio

from .._actors.channels import Level
from .._text.words import normalise
from .._turns.endpointing import CallerWords
from .._turns.usage import Usage
from .turn import Turn

__all__ = ["Preempted", "Preemption", "PreemptionCounts"]

# Where a sentence ends in the scripts that recognisers write.
_ENDS = (".", "!", "?", "…", "。", "！", "？", "।")


@attrs.frozen
class PreemptionCounts:
    """What came of replies that were begun early.

    Args:
        hits: the words stayed the same, and the reply was used.
        misses: it was not.
        wasted: what the misses cost.
    """

    hits: int = 0
    misses: int = 0
    wasted: Usage = attrs.field(factory=Usage)


@attrs.define(eq=False)
class Preempted:
    """A reply that was begun early."""

    turn: Turn
    joined: trio.Event = attrs.field(factory=trio.Event)
    claimed: trio.Event = attrs.field(factory=trio.Event)


class Preemption:
    """Begins replies to words that have been stable for ``stable`` seconds.

    Args:
        words: what the caller says.
        stable: seconds without a change that make words stable; words that end a sentence, or are final, are
            at once.
        budget: how many replies of a call may be of no use before no more are begun.
    """

    def __init__(self, words: Level[CallerWords], stable: float, budget: int) -> None:
        self._words = words
        self._stable = stable
        self._budget = budget
        self._allowed = Level(False)
        self._running: Preempted | None = None
        self.counts = PreemptionCounts()

    async def run(self, begin: Callable[[str], tuple[Turn, Callable[[], Awaitable[None]]]]) -> None:
        """Begins a reply whenever the words stand still while nobody is answering, until cancelled.

        ``begin`` opens the turn that answers some words, and says how it is run.
        """
        tried = ""
        while self.counts.misses < self._budget:
            text = await self._stable_words(tried)
            tried = normalise(text)
            turn, run = begin(text)
            preempted = self._running = Preempted(turn)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._drop_when_words_change, preempted, tried)
                await run()
                preempted.joined.set()
                await preempted.claimed.wait()
                nursery.cancel_scope.cancel()
            if self._words.value.committed:
                tried = ""

    async def _stable_words(self, tried: str) -> str:
        while True:
            await self._allowed.wait_for(bool)
            words = await self._words.wait_for(
                lambda words: not words.committed and normalise(words.text) not in ("", tried)
            )
            if not (words.is_final or words.text.endswith(_ENDS)):
                with trio.move_on_after(self._stable):
                    await self._words.wait_for(
                        lambda latest: latest.text != words.text or latest.is_final  # noqa: B023
                    )
                    continue
            if self._allowed.value:
                return words.text

    async def _drop_when_words_change(self, preempted: Preempted, text: str) -> None:
        await self._words.wait_for(lambda words: not words.committed and normalise(words.text) != text)
        if not preempted.claimed.is_set():
            self._lose(preempted)

    def allow(self) -> None:
        """Nobody is answering: the next stable words may be."""
        self._allowed.set(True)

    async def claim(self, user_text: str) -> Preempted | None:
        """The reply to exactly these words, if one was begun; any other one is cancelled and has joined."""
        self._allowed.set(False)
        preempted = self._running
        if preempted is None:
            return None
        if not preempted.claimed.is_set() and normalise(preempted.turn.user_text) == normalise(user_text):
            self._running = None
            preempted.claimed.set()
            self.counts = attrs.evolve(self.counts, hits=self.counts.hits + 1)
            return preempted
        self._lose(preempted)
        await preempted.joined.wait()
        return None

    def _lose(self, preempted: Preempted) -> None:
        if self._running is preempted:
            self._running = None
        if not preempted.claimed.is_set():
            preempted.claimed.set()
            preempted.turn.scope.cancel()
            self.counts = attrs.evolve(
                self.counts,
                misses=self.counts.misses + 1,
                wasted=self.counts.wasted + preempted.turn.tally.all_wasted(),
            )
