"""Who has the floor: the only module that cancels a turn.

Two stages. The detector's edge closes the gate at once, so that nothing more is sent; speech that lasts, or
words that a strategy takes for more than a sign of listening, cancel the turn. Its nursery joins, and only
then is the carrier's buffer cleared: no frame of the turn can follow that clear, because the player no longer
exists. Otherwise the gate opens again, and the agent goes on at the very sample where it stopped.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

import attrs
import trio

from .._actors.channels import Level
from .._actors.leg import Leg
from .._actors.observe import Reporter
from .._foreign import call_back
from .._turns.edges import CallerSpeech
from .._turns.endpointing import CallerWords
from .._turns.keys import KeyPresses
from ..abc import BargeInStrategy
from .clip import Clip
from .inbox import Inbox
from .turn import Turn

__all__ = ["BargeInMode", "Floor", "FloorRules", "Hold"]

BargeInMode = Literal["pause_resume", "cancel"]

# A carrier that has not echoed the mark behind a clear by then is believed by the clock instead.
_BARRIER_SECONDS = 1.0


@attrs.frozen
class FloorRules:
    """What takes the floor from an agent; times in seconds.

    Args:
        threshold: voiced speech that does; 0 for an agent that may not be interrupted.
        mode: whether the agent pauses while that is not decided.
        strategies: what decides by words instead; the first that says yes is enough.
        confirm: how long those may hold the agent back.
    """

    threshold: float
    mode: BargeInMode = "pause_resume"
    strategies: tuple[BargeInStrategy, ...] = ()
    confirm: float = 1.5

    def of_a_call(self) -> FloorRules:
        """The same with strategies that no other call shares."""
        return attrs.evolve(self, strategies=copy.deepcopy(self.strategies))


@attrs.frozen(eq=False)
class Hold:
    """The caller is on hold, with music or without."""

    music: Clip | None = None


@attrs.define(eq=False)
class Floor:
    """The rules of one call's floor, at work.

    Args:
        rules: what takes it.
        speech: whether the caller speaks, written by the detector.
        words: what the caller says, written by whoever listens.
        gone: whether the line is gone.
        inbox: the utterances as they are committed.
        keys: the keys that the caller presses.
        hold: whether the caller is on hold, written by whoever puts them there, and at the end of the call.
    """

    rules: FloorRules
    speech: Level[CallerSpeech]
    words: Level[CallerWords]
    gone: Level[bool]
    inbox: Inbox
    leg: Leg
    report: Reporter
    keys: Level[KeyPresses] = attrs.field(factory=lambda: Level(KeyPresses()))
    hold: Level[Hold | None] = attrs.field(factory=lambda: Level[Hold | None](None))

    async def run(self, turn: Turn, body: Callable[[], Awaitable[None]]) -> None:
        """Runs a turn's body and takes the floor from it when the caller does.

        When this returns, the turn's nursery has joined and, if it was cut, ``clear`` has been posted.
        """
        async with trio.open_nursery() as watchers:
            watchers.start_soon(self._watch_line, turn)
            watchers.start_soon(self._watch_hold, turn, self.hold.value if turn.kind == "music" else None)
            if turn.interruptible:
                watchers.start_soon(self._watch_utterances, turn)
                if self.rules.threshold:
                    watchers.start_soon(self._watch_speech, turn)
                    watchers.start_soon(self._watch_keys, turn, self.keys.value)
            await body()
            watchers.cancel_scope.cancel()
        if turn.floor_lost:
            await self._settle(turn)

    # --- hold, confirm or go on -----------------------------------------------------------------------------

    async def _watch_speech(self, turn: Turn) -> None:
        while not turn.floor_lost:
            await self.speech.wait_for(lambda speech: speech.speaking)
            await turn.pressing.wait_for(lambda pressing: not pressing)
            if not self.speech.value.speaking:
                continue
            onset = trio.current_time()
            held = self._hold(turn)
            if self.rules.strategies:
                await self._confirm_by_words(turn, held, onset)
            elif await self._lasts():
                if not await self._cut(turn):
                    # They speak over the very end: only the last mark is missing.
                    turn.gate.set(True)
                return
            else:
                self._go_on(turn, held, onset)

    def _hold(self, turn: Turn) -> bool:
        """Closes the gate at the edge; whether the caller can notice it."""
        if self.rules.mode == "cancel" and turn.audible:
            return False
        turn.gate.set(False)
        if turn.audible:
            # Its echo tells exactly where the caller's ear stopped.
            mark = turn.playout.closing_mark()
            if mark is not None:
                self.leg.post_mark(mark, turn.serial)
            self.report.floor_held(turn.idx)
        return turn.audible

    def _go_on(self, turn: Turn, held: bool, onset: float) -> None:
        turn.gate.set(True)
        if held:
            self.report.floor_released(turn.idx, trio.current_time() - onset)

    async def _lasts(self) -> bool:
        """Whether the caller's voice lasts for as long as it takes."""
        threshold = self.rules.threshold
        speech = await self.speech.wait_for(lambda speech: speech.voiced >= threshold or not speech.speaking)
        return speech.voiced >= threshold

    async def _confirm_by_words(self, turn: Turn, held: bool, onset: float) -> None:
        """Asks the strategies until one says yes, or nothing more will come of this speech."""
        for strategy in self.rules.strategies:
            await self._ask(strategy.reset, strategy)
        with trio.move_on_after(self.rules.confirm) as window:
            if await self._agreed(turn):
                await self._cut(turn)
        if not turn.floor_lost:
            self._go_on(turn, held, onset)
            if window.cancelled_caught:
                # The agent talks on, but a caller who talks on too may still say the word.
                await self._agreed_while_speaking(turn)

    async def _agreed(self, turn: Turn) -> bool:
        """Whether a strategy says yes to what is understood from now on, up to the end of this speech."""
        seen = self.words.value.serial
        while True:
            words = await self.words.wait_for(lambda words: words.serial != seen)  # noqa: B023
            seen = words.serial
            if await self._take_the_floor(turn, words.text, is_interim=not words.is_final):
                return True
            if words.is_final and not self.speech.value.speaking:
                return False

    async def _agreed_while_speaking(self, turn: Turn) -> None:
        async def until_silent() -> None:
            await self.speech.wait_for(lambda speech: not speech.speaking)
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_silent)
            if await self._agreed(turn):
                await self._cut(turn)
            nursery.cancel_scope.cancel()

    async def _take_the_floor(self, turn: Turn, transcript: str, *, is_interim: bool) -> bool:
        """Whether the first strategy says yes to these words."""
        if not transcript:
            return False
        for strategy in self.rules.strategies:
            question = partial(
                strategy.evaluate,
                transcript=transcript,
                is_interim=is_interim,
                agent_speaking=turn.audible,
            )
            if await self._ask(question, strategy):
                return True
        return False

    async def _ask(self, question: Callable[[], object], strategy: BargeInStrategy) -> object:
        name = f"barge-in strategy {type(strategy).__name__}"
        return await call_back(question, name=name, deadline=max(self.rules.confirm, 0.1))

    # --- words ----------------------------------------------------------------------------------------------

    async def _watch_utterances(self, turn: Turn) -> None:
        """Words that are committed during a turn.

        They overtake an answer that nobody has heard yet. Where strategies decide, they decide on these too:
        the recogniser may have been slower than the hold.
        """
        by_words = bool(self.rules.threshold and self.rules.strategies)
        while True:
            try:
                utterance = await self.inbox.peek()
            except trio.EndOfChannel:
                return
            # A sound that was too short to take the floor, of which nobody knows yet what it says.
            short = utterance.unworded and not utterance.has_keys and bool(self.rules.threshold)
            if utterance.has_keys:
                takes = bool(self.rules.threshold) or not turn.audible
            elif by_words:
                takes = await self._take_the_floor(turn, utterance.text, is_interim=False)
            else:
                takes = not turn.audible
            if takes:
                await self._cut(turn)
                return
            if (by_words and not utterance.has_keys) or short:
                self.inbox.pass_over(utterance)

    # --- keys and hold --------------------------------------------------------------------------------------

    async def _watch_keys(self, turn: Turn, before: KeyPresses) -> None:
        """People press keys to skip what is being said: that takes no deciding."""
        pressed = await self.keys.wait_for(lambda keys: keys != before)
        await self._cut(turn, pressed.at)

    async def _watch_hold(self, turn: Turn, meant: Hold | None) -> None:
        """Putting the caller on hold ends any turn, and taking them back ends the music."""
        await self.hold.wait_for(lambda hold: hold is not meant)
        if await self._cut(turn):
            # It is not the caller who has taken the floor.
            turn.times.floor_lost = None

    # --- the line -------------------------------------------------------------------------------------------

    async def _watch_line(self, turn: Turn) -> None:
        await self.gone.wait_for(bool)
        turn.scope.cancel()

    # --- taking it ------------------------------------------------------------------------------------------

    async def _cut(self, turn: Turn, onset: float | None = None) -> bool:
        """Cancels the turn; ``False`` for one that ended in this very moment: there is nothing to take.

        ``onset`` is when whoever takes it began to, if not with their voice. Keys that are being pressed are
        pressed to their end first.
        """
        await turn.pressing.wait_for(lambda pressing: not pressing)
        now = trio.current_time()
        if turn.times.ended is not None or turn.played_out(now) or turn.floor_lost:
            return False
        turn.floor_lost = True
        turn.times.floor_lost = max(self.speech.value.since if onset is None else onset, turn.times.started)
        turn.scope.cancel()
        turn.times.cancelled = now
        return True

    async def _settle(self, turn: Turn) -> None:
        """After the join: clear what the carrier still holds, learn what was heard, and tell how it went."""
        now = trio.current_time()
        turn.times.cleared = now
        if turn.audible:
            self.leg.clear(turn.serial)
            self.leg.post_mark(turn.ledger.clear(now), turn.serial)
            # The caller is speaking: there is time to learn what they heard before the next turn begins.
            with trio.move_on_after(_BARRIER_SECONDS):
                await turn.marks.wait_for(lambda _: turn.ledger.settled or self.gone.value)
            turn.ledger.cut(now)
        turn.conclude(now)
        if turn.cancel is not None and turn.times.floor_lost is not None:
            self.report.floor_taken(turn.idx, turn.cancel, now - turn.times.floor_lost)
