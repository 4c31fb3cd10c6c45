"""A whole call in virtual time: the session's own app, the real Twilio wire, a scripted caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

from patter_trio import Agent, Call, CallResult, Patter, Session, Twilio
from patter_trio.events import CallEvent, FloorReleased, FloorTaken, TurnEnded
from patter_trio.testing import (
    Caller,
    CallOutcome,
    LineConditions,
    MemoryLine,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    SimulatedTwilio,
    run_virtual,
)

URL = "https://voice.example.test"
ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "0123456789abcdef0123456789abcdef"
NUMBER = "+15550001234"

LONG = (
    "We are open from Monday to Friday. "
    "The door opens at eight in the morning. "
    "It closes at six in the evening."
)


@attrs.define
class Rung:
    """What became of a call, from both ends of the line."""

    outcome: CallOutcome
    events: list[CallEvent] = attrs.field(factory=list[CallEvent])
    results: list[CallResult] = attrs.field(factory=list[CallResult])
    tasks_left: int = 0

    @property
    def result(self) -> CallResult:
        """The only call's result."""
        (result,) = self.results
        return result

    def said(self, role: str) -> list[str]:
        """The texts of one side in the history, as heard."""
        return [entry.text for entry in self.result.history if entry.role == role]

    def of(self, kind: type[CallEvent]) -> list[Any]:
        """The events of a kind."""
        return [event for event in self.events if type(event) is kind]

    @property
    def floors_taken(self) -> list[FloorTaken]:
        """How often, and when, the caller took the floor."""
        return self.of(FloorTaken)

    @property
    def false_alarms(self) -> list[FloorReleased]:
        """How often the agent went on."""
        return self.of(FloorReleased)

    @property
    def turn_kinds(self) -> list[str]:
        """The kinds of the turns, in order."""
        return [event.kind for event in self.of(TurnEnded)]


def patter(carrier: Any = None) -> Patter:
    """The number under test, at Twilio unless told otherwise."""
    return Patter(carrier or Twilio(account_sid=ACCOUNT, auth_token=TOKEN), NUMBER, URL)


def agent(llm: Any = None, **settings: Any) -> Agent:
    """A scripted agent that greets, unless told otherwise."""
    settings.setdefault("stt", ScriptedSTT())
    settings.setdefault("tts", ScriptedTTS())
    settings.setdefault("vad", ScriptedVAD())
    settings.setdefault("first_message", "Hello, this is the desk.")
    if llm is None and "on_message" not in settings:
        llm = ScriptedLLM(["Yes, of course."])
    return patter().agent("You answer for a bakery.", llm=llm, **settings)


def twilio(caller: str = "+15557654321") -> SimulatedTwilio:
    """The carrier."""
    return SimulatedTwilio(ACCOUNT, TOKEN, number=NUMBER, caller=caller)


async def ring_async(
    who: Agent,
    caller: Caller,
    conditions: LineConditions | None = None,
    *,
    on_call: Callable[[Call], Awaitable[Any]] | None = None,
    carrier: Any = None,
    **options: Any,
) -> Rung:
    """Places one call and waits for its end; the session is left in order.

    ``on_call`` is run beside the call once that is up, with the running :class:`Call`. ``carrier`` is what
    the session takes for its carrier.
    """
    events: list[CallEvent] = []
    accepted = trio.Event()

    def note(event: CallEvent) -> None:
        events.append(event)
        accepted.set()

    before = trio.lowlevel.current_statistics().tasks_living
    async with (
        trio.open_nursery() as beside,
        patter(carrier).session(who, port=None, on_event=note, **options) as session,
    ):

        async def follow() -> None:
            await accepted.wait()
            (call,) = session.calls.values()
            assert on_call is not None
            await on_call(call)

        if on_call is not None:
            beside.start_soon(follow)
        outcome = await twilio().call(MemoryLine(session.app, URL), caller, conditions=conditions)
        results = list(session.results)
        check_quiet(session)
        beside.cancel_scope.cancel()
    left = trio.lowlevel.current_statistics().tasks_living - before
    return Rung(outcome, events, results, left)


def check_quiet(session: Session) -> None:
    """After the calls nothing of them is left in the session."""
    assert not session.calls
    assert session.health()["calls"] == 0


def ring(
    who: Agent,
    caller: Caller,
    conditions: LineConditions | None = None,
    *,
    seed: int = 1,
    forgets: bool = False,
    **options: Any,
) -> Rung:
    """:func:`ring_async` on a clock of its own; checks what must hold for every call.

    ``forgets`` is for agents whose history is shorter than the call.
    """

    async def main() -> Rung:
        return await ring_async(who, caller, conditions, **options)

    rung = run_virtual(main, seed=seed)
    assert rung.tasks_left == 0, "a call left tasks behind"
    assert rung.outcome.frames_after_clear == 0, "a cancelled turn was heard after its clear"
    assert not rung.outcome.violations
    assert len(rung.results) == 1
    if not forgets:
        assert heard_words(rung) == rung.outcome.heard.split(), "history is not what the ear received"
    return rung


def heard_words(rung: Rung) -> list[str]:
    """The agent's words in the history, in order."""
    return [word for text in rung.said("assistant") for word in text.split()]
