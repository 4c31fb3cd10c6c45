"""What Telnyx has to be told step by step: sentences before a hang-up, and the two halves of a warm transfer.

Each step follows a webhook. Webhooks can be lost, so each has a deadline beside it: nobody is left on a line
on which nothing happens any more.
"""

from __future__ import annotations

import io
import math
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import attrs
import trio

from .._audio.wav import write_wav
from .._wire.seen import SeenBefore
from .._wire.telnyx_rest import CallOverError
from .._wire.telnyx_state import LegState, write_state
from .._wire.telnyx_webhooks import TelnyxEvent
from ..errors import PatterConfigError, PatterError
from ._telnyx_calls import TelnyxRest

__all__ = ["Following", "estimate"]

_LONGEST_TEXT = 3000
_MOST_CALLS = 10_000


def estimate(text: str) -> float:
    """Seconds after which a voice has certainly said a text: twice as long as voices take."""
    return 5.0 + 0.15 * len(text)


@attrs.define(eq=False)
class _Wait:
    """Somebody is being told something; ``is_void`` once it does not matter any more."""

    spoken: trio.Event = attrs.field(factory=trio.Event)
    is_void: bool = False


@attrs.define(eq=False)
class Following:
    """The steps that are under way. Losing it (a restart) loses the deadlines, not the steps."""

    _calls: TelnyxRest
    _voice: str
    _nursery: trio.Nursery
    _seen: SeenBefore = attrs.field(factory=SeenBefore)
    _numbers: OrderedDict[str, str] = attrs.field(factory=lambda: OrderedDict[str, str]())
    _waits: dict[str, _Wait] = attrs.field(factory=dict[str, _Wait])
    _humans: dict[str, str] = attrs.field(factory=dict[str, str])
    _held: set[str] = attrs.field(factory=set[str])

    def note_number(self, call_id: str, number: str) -> None:
        """Remembers which number of ours a call has."""
        self._numbers[call_id] = number
        if len(self._numbers) > _MOST_CALLS:
            self._numbers.popitem(last=False)

    def number_of(self, call_id: str) -> str:
        """Our number of a call; empty, if it is not known."""
        return self._numbers.get(call_id, "")

    def check_text(self, text: str) -> None:
        """A text that can be said.

        Raises:
            PatterConfigError: it is empty or too long.
        """
        if not text.strip() or len(text) > _LONGEST_TEXT:
            raise PatterConfigError(
                f"Telnyx says texts of 1 to {_LONGEST_TEXT} characters, not of {len(text)}"
            )

    # --- by webhooks ----------------------------------------------------------------------------------------

    async def follow(self, event: TelnyxEvent) -> None:
        """Takes the step that a webhook makes possible, once."""
        if self._seen.note(event.event_id, trio.current_time()):
            return
        call_id, state = event.call_id, event.state
        match event.kind, state.role:
            case "call.answered", "refused":
                await self._say(call_id, state.text, state.language, LegState("farewell"), _key(event))
            case "call.answered", "briefing":
                await self._brief(event)
            case "call.speak.ended", ("farewell" | "briefing"):
                if event.status == "call_hangup":
                    return
                if call_id in self._waits:
                    self._waits[call_id].spoken.set()
                elif state.role == "farewell":
                    await self._calls.hang_up(call_id)
                else:
                    await self._connect(call_id, state.caller)
            case "call.bridged", "cold":
                await self._mark_joined(event)
            case "call.hangup", _:
                await self._forget(event)
            case _:
                return

    async def _brief(self, event: TelnyxEvent) -> None:
        """A human has answered: tells them what it is about, and connects them when that was said."""
        human, state = event.call_id, event.state
        if not state.text:
            await self._connect(human, state.caller)
            return
        try:
            await self._say(human, state.text, state.language, state, _key(event))
        except PatterError:
            # Better a caller who is not announced than a human on a dead line.
            await self._connect(human, state.caller)
            raise
        wait = self._waits[human] = _Wait()
        self._nursery.start_soon(self._connect_after, human, state, wait)

    async def _connect_after(self, human: str, state: LegState, wait: _Wait) -> None:
        with trio.move_on_after(estimate(state.text)):
            await wait.spoken.wait()
        self._waits.pop(human, None)
        if not wait.is_void:
            await self._connect(human, state.caller)

    async def _connect(self, human: str, caller: str) -> None:
        """Bridges the two legs; if that cannot be, the human's is ended, and the caller can be taken back."""
        await self.release(caller)
        state = write_state(LegState("joined", caller=caller))
        body = {"call_control_id": caller, "client_state": state}
        try:
            await self._calls.command(human, "bridge", body, command_id=_derived(human, "bridge"))
        except PatterError as error:
            self._log("the two of a transfer cannot be connected", error)
            await self.give_up(human)

    async def _mark_joined(self, event: TelnyxEvent) -> None:
        """Has Telnyx remember that a transfer came about: the end of that leg tells no difference."""
        state = write_state(LegState("joined", caller=event.state.caller))
        try:
            await self._calls.command(
                event.call_id, "client_state_update", {"client_state": state}, command_id=_key(event)
            )
        except CallOverError as error:
            # It is over within the second, and then nobody talked to anybody.
            self._log("a transfer is over already", error)

    async def _forget(self, event: TelnyxEvent) -> None:
        wait = self._waits.get(event.call_id)
        if wait is not None:
            wait.is_void = True
            wait.spoken.set()
        self._numbers.pop(event.call_id, None)
        self._held.discard(event.call_id)
        if event.state.is_transfer:
            self._humans.pop(event.state.caller, None)
        human = self._humans.pop(event.call_id, None)
        if human is not None:
            # The caller has given up while the human is called or told about them.
            await self.give_up(human)

    # --- by orders ------------------------------------------------------------------------------------------

    async def say_farewell(self, call_id: str, text: str, language: str) -> None:
        """Says a text and then ends the call."""
        self.check_text(text)
        await self._say(call_id, text, language, LegState("farewell"), "")
        self.end_after(call_id, estimate(text))

    def end_after(self, call_id: str, seconds: float) -> None:
        """Ends a call when its last sentence was said, or at the latest after so many seconds."""
        wait = self._waits[call_id] = _Wait()
        self._nursery.start_soon(self._end_after, call_id, seconds, wait)

    async def _end_after(self, call_id: str, seconds: float, wait: _Wait) -> None:
        try:
            with trio.move_on_after(seconds):
                await wait.spoken.wait()
        finally:
            # Also at the end of a session: nobody else would end the call.
            self._waits.pop(call_id, None)
            if not wait.is_void:
                await self.give_up(call_id)

    async def hold(self, call_id: str, human: str) -> None:
        """Has a caller wait for a human; a tone now and then shows that the line is alive.

        Raises:
            CallOverError: the caller has hung up.
        """
        self._humans[call_id] = human
        self._held.add(call_id)
        body = {"playback_content": _waiting_sound(), "audio_type": "wav", "loop": "infinity"}
        try:
            await self._calls.command(call_id, "playback_start", body)
        except CallOverError:
            self._held.discard(call_id)
            self._humans.pop(call_id, None)
            raise
        except PatterError as error:
            self._log("a caller waits in silence", error)

    async def release(self, call_id: str) -> None:
        """Ends the waiting tone."""
        if call_id in self._held:
            self._held.discard(call_id)
            try:
                await self.unless_over(call_id, "playback_stop", {"stop": "all"})
            except PatterError as error:
                self._log("the waiting tone may go on", error)

    async def unless_over(self, call_id: str, action: str, body: Mapping[str, Any]) -> None:
        """Has a call do something, if it is not over."""
        try:
            await self._calls.command(call_id, action, body)
        except CallOverError as error:
            self._log(f"no {action}", error)

    async def give_up(self, call_id: str) -> None:
        """Ends a call that nobody else knows of, also in a cancelled block: requests have a deadline."""
        with trio.CancelScope(shield=True):
            try:
                await self._calls.hang_up(call_id)
            except PatterError as error:
                self._log(f"the call {call_id} may go on", error)

    async def _say(self, call_id: str, text: str, language: str, state: LegState, command_id: str) -> None:
        body = {
            "payload": text,
            "voice": self._voice,
            "language": language or "en-US",
            "client_state": write_state(state),
        }
        await self._calls.command(call_id, "speak", body, command_id=command_id)

    def _log(self, what: str, error: PatterError) -> None:
        self._calls.rest.log.warning("%s: %s", what, error)


def _key(event: TelnyxEvent) -> str:
    """An id for the command that follows a webhook, the same for its copies."""
    return _derived(event.event_id, "follow")


def _derived(*of: str) -> str:
    return str(uuid5(NAMESPACE_URL, "/".join(of)))


@cache
def _waiting_sound() -> str:
    """Three seconds: a short soft tone, and silence."""
    tone = [round(900 * math.sin(2 * math.pi * 425 * n / 8000)) for n in range(1600)]
    pcm = b"".join(sample.to_bytes(2, "little", signed=True) for sample in tone) + bytes(2 * 22400)
    file = io.BytesIO()
    write_wav(file, [pcm], 8000)
    return b64encode(file.getvalue()).decode("ascii")
