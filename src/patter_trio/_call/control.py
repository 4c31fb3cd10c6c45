"""What may be done to a call from inside it."""

from __future__ import annotations

import trio

from .._actors.channels import Level
from ..events import CallInfo

__all__ = ["CallControl"]


class CallControl:
    """The call as its ``on_message`` function may act on it."""

    def __init__(self, info: CallInfo) -> None:
        self._info = info
        self._hang_up = Level(False)

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

    async def hangup(self) -> None:
        """Ends the call as soon as the agent's current turn was heard (or cut)."""
        self._hang_up.set(True)
        await trio.lowlevel.checkpoint()

    async def wait_hangup(self) -> None:
        """Waits until somebody asks for a hang-up."""
        await self._hang_up.wait_for(bool)
