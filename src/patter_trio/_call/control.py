"""What may be done to a call from inside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from .._actors.channels import Level
from ..abc import LiveCarrier
from ..errors import PatterError
from ..events import CallInfo
from ..telephony import Links, TransferOrder
from .inbox import Say

__all__ = ["CallControl"]


class CallControl:
    """The call as its ``on_message`` function may act on it."""

    def __init__(self, info: CallInfo) -> None:
        self._info = info
        self._hang_up = Level(False)
        self._say: Callable[[Say], Awaitable[None]] | None = None
        self._commit: Callable[[], None] | None = None
        self._carrier: LiveCarrier | None = None
        self._transferred = False

    def allow(self, carrier: LiveCarrier | None) -> None:
        """What the carrier can do with a running call."""
        self._carrier = carrier

    def connect(self, say: Callable[[Say], Awaitable[None]], commit: Callable[[], None]) -> None:
        """The call is up: this is how it is made to speak, and to take the caller's words as complete."""
        self._say = say
        self._commit = commit

    def disconnect(self) -> None:
        """The call is over."""
        self._say = self._commit = None

    @property
    def call_id(self) -> str:
        """The carrier's id of the call."""
        return self._info.call_id

    @property
    def caller(self) -> str:
        """The caller's number, as the carrier gives it."""
        return self._info.caller

    @property
    def callee(self) -> str:
        """The number that was called."""
        return self._info.callee

    @property
    def telephony_provider(self) -> str:
        """The carrier's kind, such as ``"twilio"``."""
        return self._info.telephony_provider

    @property
    def is_hung_up(self) -> bool:
        """Whether a hang-up was asked for."""
        return self._hang_up.value

    @property
    def is_transferred(self) -> bool:
        """Whether the carrier has connected the caller to somebody else."""
        return self._transferred

    async def say(self, text: str, *, interruptible: bool = True) -> None:
        """Says something in the agent's voice; returns when it is queued, not when it was heard.

        While an answer is being written it is said as part of it, behind what is written already: words
        before a slow look-up, for example. Otherwise, and always with ``interruptible=False``, it is a turn
        of its own behind the one that runs. What the caller says over words that they may not interrupt is
        answered afterwards.

        Raises:
            PatterError: the call is over, or not up yet.
        """
        if self._say is None:
            raise PatterError(f"call {self.call_id} is not up: nothing can be said in it")
        await self._say(Say(text, interruptible))

    def commit_user_turn(self) -> None:
        """Takes what the caller has said so far as complete, without waiting for a silence.

        For a key that ends dictation, a push-to-talk button, or a detector of your own. Where the caller has
        said nothing, nothing happens.

        Raises:
            PatterError: the call is over, or not up yet.
        """
        if self._commit is None:
            raise PatterError(f"call {self.call_id} is not up: there is nobody to listen to")
        self._commit()

    @property
    def can_transfer(self) -> bool:
        """Whether this carrier can connect the caller to somebody else."""
        return self._carrier is not None

    async def transfer(self, number: str) -> None:
        """Connects the caller to another number; the agent leaves the call.

        Returns when the carrier has taken the order; that the other side answers is not sure then.

        Raises:
            PatterConfigError: the number is none.
            PatterError: the carrier refuses, cannot be reached, or cannot transfer calls.
        """
        if self._carrier is None:
            raise PatterError(
                f"calls of {self.telephony_provider or 'this carrier'} cannot be transferred from here",
                hint="the carrier needs its credentials; see docs",
            )
        # The stream may end before the carrier has answered: a call that ends now was given away.
        self._transferred = True
        # A caller who hides their number cannot be shown to the other side.
        shown = "" if self.caller.startswith("+") else self.callee
        order = TransferOrder(number, Links("", self.telephony_provider, ""), caller_id=shown)
        try:
            await self._carrier.transfer(self.call_id, order)
        except PatterError:
            self._transferred = False
            raise

    async def hangup(self) -> None:
        """Ends the call as soon as the agent's current turn was heard (or cut)."""
        self._hang_up.set(True)
        await trio.lowlevel.checkpoint()

    async def wait_hangup(self) -> None:
        """Waits until somebody asks for a hang-up."""
        await self._hang_up.wait_for(bool)
