"""What a caller hears between the answers: recordings, keys, and the music while they hold the line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

import attrs
import trio

from .._actors.leg import Leg
from ..errors import PatterError
from ..events import SpokenAudio, TurnKind
from .barge_in import Floor
from .clip import Clip
from .inbox import Keys
from .keyboard import Keyboard
from .perform import Stagehands, run_sound
from .turn import Turn

__all__ = ["Interludes"]


class OpenTurn(Protocol):
    """Opens a turn of the conversation."""

    def __call__(self, kind: TurnKind, *, text: str = "", interruptible: bool = True) -> Turn: ...


HoldFloor = Callable[[Turn, Callable[[], Awaitable[None]]], Awaitable[None]]


@attrs.frozen
class Interludes:
    """Turns in which nothing is generated; they are opened and accounted for like any other.

    Args:
        floor: who has it.
        leg: whose format the sound has.
        keyboard: how keys are pressed.
        open_turn: opens a turn.
        hold_floor: runs a turn's body on the floor, and closes the turn.
    """

    floor: Floor
    leg: Leg
    keyboard: Keyboard
    open_turn: OpenTurn
    hold_floor: HoldFloor

    async def play(self, clip: Clip, hands: Stagehands) -> None:
        """Plays a recording once."""
        turn = self.open_turn("clip", interruptible=clip.interruptible)
        await self.hold_floor(turn, lambda: run_sound(turn, clip.pieces(self.leg.audio), hands))

    async def press(self, keys: Keys, hands: Stagehands) -> None:
        """Presses keys when everything before them was heard; how it went is told to whoever waits."""
        if not keys.wanted:
            return
        try:
            await self.keyboard.press(keys.strokes, partial(self._play_tones, hands))
        except PatterError as error:
            keys.error = error
        keys.done.set()

    async def _play_tones(self, hands: Stagehands, tones: bytes) -> bool:
        turn = self.open_turn("keys", interruptible=False)
        turn.pressing.set(True)
        await self.hold_floor(turn, lambda: run_sound(turn, [SpokenAudio(tones, "")], hands))
        return not self.floor.gone.value

    async def wait_on_hold(self, hands: Stagehands) -> None:
        """Returns when the caller is taken back, or the call is to end; what they say is kept until then."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_for_later)
            while (hold := self.floor.hold.value) is not None:
                if hold.music is None or self.floor.gone.value:
                    await self.floor.hold.wait_for(lambda now: now is not hold)
                else:
                    await self._play_music(hold.music, hands)
            nursery.cancel_scope.cancel()

    async def _play_music(self, music: Clip, hands: Stagehands) -> None:
        turn = self.open_turn("music", interruptible=False)
        await self.hold_floor(turn, lambda: run_sound(turn, music.pieces(self.leg.audio, again=True), hands))

    async def _keep_for_later(self) -> None:
        with suppress(trio.EndOfChannel):
            await self.floor.inbox.gather()
        self.floor.hold.set(None)
