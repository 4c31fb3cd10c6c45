"""A caller who follows a script.

>>> script = (
...     Caller()
...     .waits_for_agent()
...     .says("When are you open on Saturday?")
...     .barges_in("No, on Sunday!", after=1.2)
...     .waits_for_agent()
...     .hangs_up()
... )
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..errors import PatterConfigError
from .ear import Ear
from .outcome import StepRecord
from .phone import LineEnded, Phone, StepFailed
from .steps import (
    BargeIn,
    CloseSending,
    CutSocket,
    GoSilent,
    HangUp,
    MakeSound,
    Press,
    Say,
    Step,
    StopReading,
    StopSending,
    Wait,
    WaitForAgent,
    WaitForHangUp,
    WaitUntil,
)
from .wordsound import noise, speak_words

__all__ = ["Caller", "CallerVoice", "follow"]

CallerVoice = Callable[[str], bytes]
"""Turns text into 8 kHz µ-law sound. It is called before the call is placed, so it may take its time."""

_ENDINGS = (HangUp, CutSocket, CloseSending, WaitForHangUp)


@attrs.frozen
class Caller:
    """An immutable script: each method returns a new caller with one more step.

    A step that cannot happen is recorded as failed; the steps after it are not tried and the caller hangs up.
    A script without an ending hangs up at its end. All seconds are those of the line.

    Args:
        steps: the script so far.
        voice: makes sound of the texts; word sound by default, which scripted recognisers read.
    """

    steps: tuple[Step, ...] = ()
    voice: CallerVoice | None = None

    def _then(self, step: Step) -> Caller:
        if self.steps and isinstance(self.steps[-1], _ENDINGS):
            raise PatterConfigError(f"the caller cannot do anything after it {self.steps[-1]}")
        return attrs.evolve(self, steps=(*self.steps, step))

    def says(self, what: str | bytes) -> Caller:
        """Says a text, or plays a recording (8 kHz µ-law), to its end."""
        return self._then(Say(*_text_and_sound(what)))

    def barges_in(self, what: str | bytes, *, after: float = 1.0, timeout: float = 20.0) -> Caller:
        """Speaks over the agent, ``after`` seconds after the agent's current speech began.

        When the agent is silent it waits for speech to begin; when the speech is over before that moment it
        waits for the next one. The step fails when there was no such moment within ``timeout`` seconds.
        """
        return self._then(BargeIn(*_text_and_sound(what), after=after, timeout=timeout))

    def coughs(self, seconds: float = 0.15) -> Caller:
        """Makes a short loud noise without words."""
        return self._then(MakeSound(f"coughs for {seconds:g} s", noise(seconds)))

    def presses(self, digits: str, *, gap: float = 0.2) -> Caller:
        """Presses keys of the phone (``0-9``, ``*``, ``#``, ``A-D``), ``gap`` seconds apart."""
        if not digits or set(digits) - set("0123456789*#ABCD"):
            raise PatterConfigError(f"these are no keys of a phone: {digits!r}")
        return self._then(Press(digits, gap))

    def waits(self, seconds: float) -> Caller:
        """Is quiet for some seconds."""
        return self._then(Wait(seconds))

    def waits_for_agent(self, *, quiet: float = 0.8, timeout: float = 30.0) -> Caller:
        """Listens until the agent has answered and has been silent for ``quiet`` seconds.

        What counts as an answer began after the caller's last words, or, where the agent speaks on
        regardless, goes on for more than a second after them.
        """
        return self._then(WaitForAgent(quiet, timeout))

    def waits_until(self, heard: Callable[[Ear], bool], *, what: str = "it", timeout: float = 30.0) -> Caller:
        """Listens until ``heard(ear)`` is true, e.g. ``lambda ear: "goodbye" in ear.text()``."""
        return self._then(WaitUntil(heard, what, timeout))

    def goes_silent(self, seconds: float) -> Caller:
        """Loses the radio link: for some seconds no media messages reach the server at all."""
        return self._then(GoSilent(seconds))

    def stops_reading(self, seconds: float) -> Caller:
        """The carrier stalls: for some seconds it does not read what the server sends."""
        return self._then(StopReading(seconds))

    def stops_sending(self, seconds: float) -> Caller:
        """The carrier sends nothing for some seconds, and still reads; then it all comes at once."""
        return self._then(StopSending(seconds))

    def closes_sending(self, *, timeout: float = 10.0) -> Caller:
        """The carrier closes its side of the media socket without ``stop``, and still reads.

        The step fails when the server does not close the other side within ``timeout`` seconds.
        """
        return self._then(CloseSending(timeout))

    def drops_socket(self) -> Caller:
        """The media socket breaks, without ``stop`` and without a closing handshake."""
        return self._then(CutSocket())

    def waits_for_hang_up(self, *, timeout: float = 30.0) -> Caller:
        """Waits until the agent's side ends the call."""
        return self._then(WaitForHangUp(timeout))

    def hangs_up(self) -> Caller:
        """Ends the call the ordinary way."""
        return self._then(HangUp())

    def rendered(self) -> Caller:
        """The same script with every text turned into sound by the voice."""
        steps = tuple(
            attrs.evolve(step, sound=self._sound_of(step.text, number))
            if isinstance(step, Say | BargeIn) and step.sound is None
            else step
            for number, step in enumerate(self.steps, 1)
        )
        return attrs.evolve(self, steps=steps)

    def _sound_of(self, text: str, number: int) -> bytes:
        return speak_words(text, serial=number) if self.voice is None else self.voice(text)


def _text_and_sound(what: str | bytes) -> tuple[str, bytes | None]:
    return (what, None) if isinstance(what, str) else (f"{len(what) / 8000:.2f} s of sound", what)


async def follow(caller: Caller, phone: Phone) -> tuple[StepRecord, ...]:
    """Does what the (rendered) script says; returns one record per step."""
    records: list[StepRecord] = []
    unreached = ""
    for step in caller.steps:
        started, note = phone.now, unreached
        if not unreached or isinstance(step, HangUp):
            note = ""
            try:
                await step.perform(phone)
            except StepFailed as failure:
                note, unreached = str(failure), "not reached: a step before it failed"
            except LineEnded:
                note, unreached = "the agent's side ended the call", "not reached: the call was over"
        records.append(StepRecord(str(step), started, phone.now, not note, note))
    return tuple(records)
