"""Who has the floor: the only module that cancels a turn.

Two stages. The detector's edge closes the gate at once, so that nothing more is sent; speech that lasts
cancels the turn, waits for its nursery to join, and only then clears the carrier's buffer. No frame of the
turn can follow that clear, because the player no longer exists. Speech that does not last opens the gate
again, and the agent goes on at the very sample where it stopped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import attrs
import trio

from .._actors.channels import Level
from .._actors.leg import Leg
from .._actors.observe import Reporter
from .._turns.edges import CallerSpeech
from .._turns.endpointing import Utterance
from .turn import Turn

__all__ = ["Floor", "Inbox"]

# A carrier that has not echoed the mark behind a clear by then is believed by the clock instead.
_BARRIER_SECONDS = 1.0


class Inbox:
    """Utterances on their way to the conversation; those that come during a turn wait here."""

    def __init__(self, utterances: trio.MemoryReceiveChannel[Utterance]) -> None:
        self._utterances = utterances
        self._early: list[Utterance] = []

    async def next(self) -> Utterance:
        """What the caller said that was not answered yet.

        Raises:
            trio.EndOfChannel: the caller is gone, nothing more will come.
        """
        if not self._early:
            return await self._utterances.receive()
        # Everything that was said over one turn gets one answer.
        queued, self._early = self._early, []
        text = " ".join(utterance.text for utterance in queued)
        return attrs.evolve(queued[-1], text=text, speech_started=queued[0].speech_started)

    async def peek(self) -> Utterance:
        """Waits for the next utterance with words to arrive, and leaves it for :meth:`next`.

        One without words that comes here was a noise that did not take the floor: it is nobody's to answer.
        """
        while True:
            utterance = await self._utterances.receive()
            if utterance.text:
                self._early.append(utterance)
                return utterance


@attrs.define(eq=False)
class Floor:
    """The rules of one call's floor.

    Args:
        speech: whether the caller speaks, written by the detector.
        gone: whether the line is gone.
        inbox: the utterances as they are committed.
        threshold: seconds of voiced speech that take the floor; 0 for an agent that may not be interrupted.
    """

    speech: Level[CallerSpeech]
    gone: Level[bool]
    inbox: Inbox
    leg: Leg
    report: Reporter
    threshold: float

    async def run(self, turn: Turn, body: Callable[[], Awaitable[None]]) -> None:
        """Runs a turn's body and takes the floor from it when the caller does.

        When this returns, the turn's nursery has joined and, if it was cut, ``clear`` has been posted.
        """
        async with trio.open_nursery() as watchers:
            watchers.start_soon(self._watch_line, turn)
            watchers.start_soon(self._watch_words, turn)
            if self.threshold:
                watchers.start_soon(self._watch_speech, turn)
            await body()
            watchers.cancel_scope.cancel()
        if turn.floor_lost:
            await self._settle(turn)

    async def _watch_speech(self, turn: Turn) -> None:
        """Hold at the edge; confirm, or go on."""
        while True:
            await self.speech.wait_for(lambda speech: speech.speaking)
            held_at = trio.current_time()
            turn.gate.set(False)
            if turn.audible:
                # Its echo tells exactly where the caller's ear stopped.
                mark = turn.playout.closing_mark()
                if mark is not None:
                    self.leg.post_mark(mark, turn.serial)
                self.report.floor_held(turn.idx)
            speech = await self.speech.wait_for(
                lambda speech: speech.voiced >= self.threshold or not speech.speaking
            )
            if speech.voiced >= self.threshold:
                if turn.played_out(trio.current_time()):
                    # They speak after the very end of it: there is nothing left to take.
                    turn.gate.set(True)
                else:
                    self._cut(turn)
                return
            turn.gate.set(True)
            if turn.audible:
                self.report.floor_released(turn.idx, trio.current_time() - held_at)

    async def _watch_words(self, turn: Turn) -> None:
        """Words that reach us without an edge overtake an answer that nobody has heard yet."""
        while True:
            try:
                await self.inbox.peek()
            except trio.EndOfChannel:
                return
            if not turn.audible:
                self._cut(turn)
                return

    async def _watch_line(self, turn: Turn) -> None:
        await self.gone.wait_for(bool)
        turn.scope.cancel()

    def _cut(self, turn: Turn) -> None:
        if turn.times.ended is not None:
            # It ended in the very moment in which the caller took the floor: there is nothing to take.
            return
        now = trio.current_time()
        speech = self.speech.value
        turn.floor_lost = True
        turn.times.floor_lost = speech.since if speech.speaking else now
        turn.scope.cancel()
        turn.times.cancelled = now

    async def _settle(self, turn: Turn) -> None:
        """After the join: clear what the carrier still holds, learn what was heard, and tell how it went."""
        now = trio.current_time()
        phase: Literal["thinking", "speaking"] = "speaking" if turn.audible else "thinking"
        turn.times.cleared = now
        if turn.audible:
            self.leg.clear(turn.serial)
            self.leg.post_mark(turn.ledger.clear(now), turn.serial)
            # The caller is speaking: there is time to learn what they heard before the next turn begins.
            with trio.move_on_after(_BARRIER_SECONDS):
                await turn.marks.wait_for(lambda _: turn.ledger.settled or self.gone.value)
            turn.ledger.cut(now)
        onset = turn.times.floor_lost if turn.times.floor_lost is not None else now
        cancelled = turn.times.cancelled if turn.times.cancelled is not None else now
        self.report.floor_taken(
            turn_idx=turn.idx,
            phase=phase,
            onset_to_clear_ms=round((now - onset) * 1000, 3),
            cancel_ms=round((now - cancelled) * 1000, 3),
            frames_unsent=turn.playout.frames_queued,
            text_unheard=turn.ledger.unheard_text(now),
        )
