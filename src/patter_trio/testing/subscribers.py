"""Who may be called at the exchange: people, their machines, and numbers where nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import attrs
import numpy as np
import trio

from .._audio import g711
from ..events import MULAW_8K
from ..telephony import Verdict
from .caller import Caller, follow
from .legevents import Cause
from .phone import LineEnded, StepFailed
from .wordsound import SAMPLE_RATE, noise, speak_words

if TYPE_CHECKING:
    from .legs import Leg

__all__ = [
    "AnsweringMachine",
    "Busy",
    "Declines",
    "Fax",
    "NoAnswer",
    "Person",
    "Subscriber",
    "Unreachable",
]

_SETUP_SECONDS = 0.5
_GREETING_SERIAL = 90_001


class Subscriber(Protocol):
    """Whoever has a number. One subscriber may have several calls, one after the other."""

    @property
    def nature(self) -> Verdict:
        """What a detector that is never wrong says of them."""
        ...

    async def pick_up(self, leg: Leg) -> Cause | None:
        """Lets it ring (:meth:`Leg.ring <patter_trio.testing.legs.Leg.ring>`), then returns ``None`` for
        picking up, or why not. It is cancelled when it has rung for too long.
        """
        ...

    async def attend(self, leg: Leg) -> None:
        """Talks and listens by ``leg.phone``; returning hangs up."""
        ...


@attrs.define(eq=False)
class Person:
    """Somebody who answers and follows a script."""

    script: Caller
    answers_after: float = 1.5
    nature: Verdict = "human"

    async def pick_up(self, leg: Leg) -> Cause | None:
        """Lets it ring for a while."""
        leg.ring()
        await trio.sleep(self.answers_after)
        return None

    async def attend(self, leg: Leg) -> None:
        """Follows the script."""
        leg.steps = await follow(self.script.rendered(), leg.phone)


@attrs.define(eq=False)
class AnsweringMachine:
    """A machine that greets, beeps and takes a message.

    Args:
        greeting: what it says, or for how many seconds it makes a noise.
        beep: whether it beeps after that.
        answers_after: how long it rings.
        patience: after so many seconds of silence, behind the beep, it hangs up.
        longest: after so many seconds of message it hangs up.

    ``messages`` holds what was said after the beep (after the greeting, without one), a text for each call;
    words that were only heard in part are not in it.
    """

    greeting: str | float = "you have reached nobody please leave a message after the tone"
    beep: bool = True
    answers_after: float = 4.0
    patience: float = 10.0
    longest: float = 120.0
    nature: Verdict = "machine"
    messages: list[str] = attrs.field(factory=list[str])

    async def pick_up(self, leg: Leg) -> Cause | None:
        """Lets it ring for a while."""
        leg.ring()
        await trio.sleep(self.answers_after)
        return None

    async def attend(self, leg: Leg) -> None:
        """Greets, beeps, listens."""
        phone = leg.phone
        greeting, listens_from = self.greeting, None
        try:
            await _pass(leg, 0.3)
            sound = (
                speak_words(greeting, serial=_GREETING_SERIAL)
                if isinstance(greeting, str)
                else noise(greeting)
            )
            await phone.say(str(greeting), sound)
            await _pass(leg, 0.4)
            if self.beep:
                await phone.sound(tone(1000, 0.4))
            listens_from = phone.now
            leg.greeting_beep = self.beep
            await phone.wait_until(self._bored(leg, listens_from), self.longest, "silence")
        except (LineEnded, StepFailed):
            pass
        finally:
            if listens_from is not None:
                self.messages.append(phone.ear.text(listens_from))

    def _bored(self, leg: Leg, listens_from: float) -> Callable[[], bool]:
        def bored() -> bool:
            speech = leg.phone.ear.last_agent_speech
            heard_until = listens_from if speech is None else max(speech.end, listens_from)
            return leg.phone.now - heard_until >= self.patience

        return bored


@attrs.define(eq=False)
class Fax:
    """A fax machine: it answers with its tone."""

    answers_after: float = 3.0
    nature: Verdict = "fax"

    async def pick_up(self, leg: Leg) -> Cause | None:
        """Lets it ring for a while."""
        leg.ring()
        await trio.sleep(self.answers_after)
        return None

    async def attend(self, leg: Leg) -> None:
        """Sends its tone and waits for one."""
        try:
            await leg.phone.sound(tone(2100, 3.0))
            await _pass(leg, 30.0)
        except LineEnded:
            return


class _NeverAnswers:
    nature: Verdict = "unknown"

    async def attend(self, leg: Leg) -> None:
        """Nobody picks up here."""


class Busy(_NeverAnswers):
    """Is on the phone already."""

    async def pick_up(self, leg: Leg) -> Cause | None:
        """Says so at once."""
        await trio.sleep(_SETUP_SECONDS)
        return "busy"


@attrs.define(eq=False)
class Declines(_NeverAnswers):
    """Presses the red button while it rings."""

    after: float = 2.0

    async def pick_up(self, leg: Leg) -> Cause | None:
        """Lets it ring, then refuses."""
        leg.ring()
        await trio.sleep(self.after)
        return "declined"


class NoAnswer(_NeverAnswers):
    """Lets it ring."""

    async def pick_up(self, leg: Leg) -> Cause | None:
        """Rings on."""
        leg.ring()
        await trio.sleep_forever()


class Unreachable(_NeverAnswers):
    """A number that does not exist; whoever is not in the number book is one."""

    async def pick_up(self, leg: Leg) -> Cause | None:
        """Cannot be called."""
        await trio.sleep(_SETUP_SECONDS)
        return "unreachable"


def tone(hertz: float, seconds: float) -> bytes:
    """A loud tone, 8 kHz µ-law."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    samples = (12000 * np.sin(2 * np.pi * hertz * times)).astype("<i2")
    return g711.encode(samples.tobytes(), MULAW_8K)


async def _pass(leg: Leg, seconds: float) -> None:
    until = leg.phone.now + seconds
    await leg.phone.wait_until(lambda: leg.phone.now >= until - 1e-9, float("inf"), "time")
