"""Who picked up? A machine is not talked to, and a person is not kept waiting."""

from __future__ import annotations

import trio

from .._actors.channels import Level
from .._turns.edges import CallerSpeech
from ..telephony import GreetingEnded, MachineVerdict, Verdict

__all__ = ["Screening"]

# Carriers know a person within two to four seconds. Whoever is silent for longer waits for us to speak.
_PATIENCE_SECONDS = 5.0
# A greeting that goes on is a machine's in all likelihood: its verdict comes with its end.
_LONGEST_GREETING_SECONDS = 60.0
# Plivo tells of no beep at all, Telnyx not of every one.
_AFTER_GREETING_SECONDS = 3.0
_NEVER_LATER_SECONDS = 45.0


class Screening:
    """What is known of who picked up one outgoing call; told by the session, watched by the call.

    Args:
        message: what is left on a machine; empty leaves nothing.
    """

    def __init__(self, message: str = "") -> None:
        self.message = message
        self.message_left = False
        self._verdict: Level[Verdict | None] = Level(None)
        self._greeting_over = Level(False)

    @property
    def verdict(self) -> Verdict | None:
        """Who picked up, as far as the carrier has said."""
        return self._verdict.value

    @property
    def is_machine(self) -> bool:
        """Whether it is certain that nobody listens: an answering machine or a fax."""
        return self._verdict.value in ("machine", "fax")

    def tell(self, notice: MachineVerdict | GreetingEnded) -> bool:
        """Takes what the carrier says, in whatever order and however often; whether it is a new verdict."""
        before = self._verdict.value
        if isinstance(notice, GreetingEnded):
            # Telnyx sends only this where the beep comes before the verdict.
            self._verdict.set("machine" if before in (None, "unknown") else before)
            self._greeting_over.set(True)
        elif before is None or before == "unknown":
            self._verdict.set(notice.verdict)
            if notice.greeting_over:
                self._greeting_over.set(True)
        elif notice.greeting_over and self.is_machine:
            self._greeting_over.set(True)
        return self._verdict.value != before

    async def wait_for_person(self, speech: Level[CallerSpeech]) -> bool:
        """Waits until the agent may speak to a person; ``False`` when a machine has picked up.

        A verdict that does not come in time is no reason for silence, except while the other side talks.
        """
        with trio.move_on_after(_PATIENCE_SECONDS):
            await self._verdict.wait_for(lambda verdict: verdict is not None)
        if self._verdict.value is None:
            with trio.move_on_after(_LONGEST_GREETING_SECONDS):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._until_silent, speech, nursery.cancel_scope)
                    await self._verdict.wait_for(lambda verdict: verdict is not None)
                    nursery.cancel_scope.cancel()
        return not self.is_machine

    async def wait_for_machine(self) -> None:
        """Waits until a machine is known to have picked up, which may be after the agent began to speak."""
        await self._verdict.wait_for(lambda verdict: verdict in ("machine", "fax"))

    async def wait_for_beep(self, speech: Level[CallerSpeech]) -> None:
        """Waits until a message may be left: the greeting is over, by the carrier's word or by our ears."""
        with trio.move_on_after(_NEVER_LATER_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._until_long_silent, speech, nursery.cancel_scope)
                await self._greeting_over.wait_for(bool)
                nursery.cancel_scope.cancel()

    async def _until_silent(self, speech: Level[CallerSpeech], done: trio.CancelScope) -> None:
        await speech.wait_for(lambda speech: not speech.speaking)
        done.cancel()

    async def _until_long_silent(self, speech: Level[CallerSpeech], done: trio.CancelScope) -> None:
        while True:
            await speech.wait_for(lambda speech: not speech.speaking)
            with trio.move_on_after(_AFTER_GREETING_SECONDS) as silence:
                await speech.wait_for(lambda speech: speech.speaking)
            if silence.cancelled_caught:
                done.cancel()
                return
