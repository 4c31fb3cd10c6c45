"""The steps of a caller's script: frozen records, each of which knows how to perform itself on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from .ear import Ear
from .phone import LineEnded, Phone

__all__ = [
    "BargeIn",
    "CloseSending",
    "CutSocket",
    "GoSilent",
    "HangUp",
    "MakeSound",
    "Press",
    "Say",
    "Step",
    "StopReading",
    "StopSending",
    "Wait",
    "WaitForAgent",
    "WaitForHangUp",
    "WaitUntil",
]

# An agent that speaks on for so long after the caller's last word was not interrupted by it.
_SPEAKS_ON_SECONDS = 1.0


class Step(Protocol):
    """One thing a caller does; ``str(step)`` completes the sentence "the caller …"."""

    async def perform(self, phone: Phone) -> None:
        """Does it, in the line's own time.

        Raises:
            StepFailed: it could not happen.
            LineEnded: the call was ended by the agent's side meanwhile.
        """
        ...


@attrs.frozen
class Say:
    """Says something to its end."""

    text: str
    sound: bytes | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        return f'says "{self.text}"'

    async def perform(self, phone: Phone) -> None:
        """Sends the sound."""
        await phone.say(self.text, self.sound or b"")


@attrs.frozen
class BargeIn:
    """Speaks over the agent at a moment of the agent's speech."""

    text: str
    sound: bytes | None = attrs.field(default=None, repr=False)
    after: float = 1.0
    timeout: float = 20.0

    def __str__(self) -> str:
        return f'barges in "{self.text}" after {self.after:g} s'

    async def perform(self, phone: Phone) -> None:
        """Waits for the moment, then sends the sound."""

        def moment() -> bool:
            since = phone.ear.agent_since
            return since is not None and phone.now >= since + self.after

        await phone.wait_until(moment, self.timeout, f"the agent speaking for {self.after:g} s")
        await phone.say(self.text, self.sound or b"", over_agent=True)


@attrs.frozen
class MakeSound:
    """Makes a sound that is not speech."""

    description: str
    sound: bytes = attrs.field(repr=False)

    def __str__(self) -> str:
        return self.description

    async def perform(self, phone: Phone) -> None:
        """Sends the sound."""
        await phone.sound(self.sound)


@attrs.frozen
class Press:
    """Presses keys, one after the other."""

    digits: str
    gap: float

    def __str__(self) -> str:
        return f"presses {self.digits}"

    async def perform(self, phone: Phone) -> None:
        """Hands each key to the carrier, with a gap after it."""
        for digit in self.digits:
            phone.keys.append(digit)
            phone.spoke_until = phone.now
            await _pass_time(phone, self.gap)


@attrs.frozen
class Wait:
    """Is quiet."""

    seconds: float

    def __str__(self) -> str:
        return f"waits {self.seconds:g} s"

    async def perform(self, phone: Phone) -> None:
        """Lets the time pass."""
        await _pass_time(phone, self.seconds)


@attrs.frozen
class WaitForAgent:
    """Listens to the agent's answer to its end."""

    quiet: float
    timeout: float

    def __str__(self) -> str:
        return "waits for the agent"

    async def perform(self, phone: Phone) -> None:
        """Waits for the agent to have answered and fallen silent."""

        def answered() -> bool:
            speech = phone.ear.last_agent_speech
            if speech is None or phone.now - speech.end < self.quiet:
                return False
            return speech.start >= phone.spoke_until or speech.end >= phone.spoke_until + _SPEAKS_ON_SECONDS

        await phone.wait_until(answered, self.timeout, "an answer and silence after it")


@attrs.frozen
class WaitUntil:
    """Listens for something."""

    heard: Callable[[Ear], bool]
    what: str
    timeout: float

    def __str__(self) -> str:
        return f"waits until it hears {self.what}"

    async def perform(self, phone: Phone) -> None:
        """Waits until it was heard."""
        await phone.wait_until(lambda: self.heard(phone.ear), self.timeout, self.what)


@attrs.frozen
class GoSilent:
    """Sends no media for a while."""

    seconds: float

    def __str__(self) -> str:
        return f"goes silent for {self.seconds:g} s"

    async def perform(self, phone: Phone) -> None:
        """Stops the frames and lets them flow again."""
        phone.sends_media = False
        await _pass_time(phone, self.seconds)
        phone.sends_media = True


@attrs.frozen
class StopReading:
    """Makes the carrier stop reading for a while."""

    seconds: float

    def __str__(self) -> str:
        return f"lets the carrier stall for {self.seconds:g} s"

    async def perform(self, phone: Phone) -> None:
        """Stops the carrier's reading and lets it go on."""
        phone.reads = False
        await _pass_time(phone, self.seconds)
        phone.reads = True


@attrs.frozen
class StopSending:
    """Makes the carrier stop sending for a while; it still reads and plays."""

    seconds: float

    def __str__(self) -> str:
        return f"lets the carrier withhold everything for {self.seconds:g} s"

    async def perform(self, phone: Phone) -> None:
        """Holds everything back, then lets it come at once."""
        phone.sends = False
        try:
            await _pass_time(phone, self.seconds)
        finally:
            phone.sends = True


@attrs.frozen
class CloseSending:
    """Closes the carrier's sending side of the socket, which still reads."""

    timeout: float

    def __str__(self) -> str:
        return "closes its side of the media socket"

    async def perform(self, phone: Phone) -> None:
        """Succeeds when the agent's side closes too, fails when it does not."""
        phone.sending_closed = True
        try:
            await phone.wait_until(lambda: False, self.timeout, "the end of the connection")
        except LineEnded:
            return


@attrs.frozen
class CutSocket:
    """Breaks the media socket."""

    def __str__(self) -> str:
        return "drops the media socket"

    async def perform(self, phone: Phone) -> None:
        """Tells the carrier to break the socket instead of saying goodbye."""
        await phone.wait_frame()
        phone.socket_cut = True


@attrs.frozen
class WaitForHangUp:
    """Waits for the agent's side to end the call."""

    timeout: float

    def __str__(self) -> str:
        return "waits for the agent to hang up"

    async def perform(self, phone: Phone) -> None:
        """Succeeds when the line ends, fails when it does not."""
        try:
            await phone.wait_until(lambda: False, self.timeout, "the end of the call")
        except LineEnded:
            return


@attrs.frozen
class HangUp:
    """Ends the call."""

    def __str__(self) -> str:
        return "hangs up"

    async def perform(self, phone: Phone) -> None:
        """Waits out the frame that is being sent; the carrier ends the call when the script is over."""
        if not phone.line_ended:
            await _pass_time(phone, 0.02)


async def _pass_time(phone: Phone, seconds: float) -> None:
    until = phone.now + seconds
    while phone.now < until - 1e-9:
        await phone.wait_frame()
