"""A call that is up, as its :class:`CallControl` acts on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import trio

from .._actors.channels import Level
from .._actors.hear import HearingCounts
from .._actors.listen import Commit, Heard
from .._actors.observe import Reporter
from .._text.languages import with_region
from .._turns.keys import Stroke
from ..events import HoldChanged, MuteChanged
from .barge_in import Hold
from .clip import Clip
from .conversation import Conversation
from .inbox import Agenda, Held, Keys, Say
from .keyboard import keys_unheard

__all__ = ["RunningCall"]


class RunningCall:
    """What the agent's side wants of a call, on its way to whoever does it.

    ``muted`` says that the agent's ears are closed, and ``over`` that nothing more can be wanted.
    """

    def __init__(
        self,
        language: str,
        conversation: Conversation,
        agenda: trio.MemorySendChannel[Agenda],
        heard: trio.MemorySendChannel[Heard],
        report: Reporter,
        counts: HearingCounts,
        *,
        leave_line: Callable[[], None],
    ) -> None:
        self.language = with_region(language)
        self.muted = Level(False)
        self.over = trio.Event()
        self._conversation = conversation
        self._agenda = agenda
        self._heard = heard
        self._report = report
        self._counts = counts
        self._leave_line = leave_line
        self._hold = conversation.floor.hold

    async def post(self, item: Agenda) -> None:
        """Puts something on the agenda, unless the line is gone and nothing more is taken up."""
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            await self._agenda.send(item)

    async def say(self, say: Say) -> None:
        """Has it said within the turn that runs, or behind it."""
        current = self._conversation.current
        if say.interruptible and current is not None and await current.interject(say.text):
            return
        await self.post(say)

    def commit(self) -> None:
        """Takes the caller's words as complete."""
        try:
            self._heard.send_nowait(Commit())
        except trio.WouldBlock:
            self._counts.edges_dropped += 1

    async def press(self, strokes: tuple[Stroke, ...]) -> None:
        """Presses keys within the turn that runs, behind its words, or behind all that is to be said.

        Raises:
            PatterError: the carrier refuses, cannot be reached, or the call ended before.
        """
        current, keyboard = self._conversation.current, self._conversation.keyboard
        press = partial(keyboard.press, strokes)
        # Whoever presses keys while a text is said that was fixed beforehand is no part of that.
        asked = current is not None and current.kind == "reply" and current.takes_more
        if current is not None and asked and await current.press(press):
            return
        keys = Keys(strokes)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._wait_over, nursery.cancel_scope)
                await self.post(keys)
                await keys.done.wait()
                nursery.cancel_scope.cancel()
        finally:
            keys.wanted = False
        if keys.error is not None:
            raise keys.error
        if not keys.done.is_set():
            raise keys_unheard()

    async def _wait_over(self, scope: trio.CancelScope) -> None:
        await self.over.wait()
        scope.cancel()

    # --- hold and mute --------------------------------------------------------------------------------------

    @property
    def is_on_hold(self) -> bool:
        """Whether the caller is on hold."""
        return self._hold.value is not None

    async def hold(self, music: Clip | None) -> None:
        """Cuts the agent, and keeps it silent."""
        if not self.is_on_hold:
            self._report.tell(HoldChanged, on_hold=True)
        self._hold.set(Hold(music))
        await self.post(Held())

    def resume(self) -> None:
        """Lets the agent go on."""
        if self.is_on_hold:
            self._hold.set(None)
            self._report.tell(HoldChanged, on_hold=False)

    def mute(self, muted: bool) -> None:
        """Closes the agent's ears, or opens them."""
        if muted != self.muted.value:
            self.muted.set(muted)
            self._report.tell(MuteChanged, muted=muted)

    # --- giving it away -------------------------------------------------------------------------------------

    async def wait_said(self) -> None:
        """Waits until the words that are being said were heard."""
        if self._conversation.current is not None:
            await self._conversation.current.wait_said()

    def brief(self) -> str:
        """What was said lately, for whoever takes over."""
        return self._conversation.brief()

    def give_away(self) -> None:
        """The carrier has the call now: our stream is closed."""
        self._leave_line()
