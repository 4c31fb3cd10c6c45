"""Plays random calls through a whole session in virtual time and keeps what both ends know of them."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

from patter_trio import CallResult
from patter_trio.events import CallEvent, Message
from patter_trio.testing import (
    Caller,
    CallOutcome,
    Ear,
    LLMRequest,
    MemoryLine,
    Reply,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    run_virtual,
)

from ..calls.ring import URL, agent, check_quiet, patter, twilio
from .scenarios import Scenario

__all__ = ["Asked", "Played", "Stage", "play"]

TAGS = "ab"
# No drawn call takes longer: whatever does hangs.
_HANGS = 900.0


@attrs.define
class Asked:
    """A question to the model, with what the ear had heard at that very moment."""

    request: LLMRequest
    reply: str
    fails: bool
    ear_words: list[str]

    def words_of(self, role: str) -> list[str]:
        """The words of one side in the messages."""
        return [
            word
            for message in self.request.messages
            if message["role"] == role
            for word in str(message["content"]).split()
        ]


@attrs.define
class Played:
    """One call as it went."""

    scenario: Scenario
    tag: str
    outcome: CallOutcome
    result: CallResult | None
    events: list[CallEvent]
    asked: list[Asked]


@attrs.define
class Stage:
    """The calls of one session, and what is left after them."""

    calls: list[Played]
    tasks_left: int
    llm: ScriptedLLM
    tts: ScriptedTTS
    stt: ScriptedSTT
    results: int


@attrs.define
class _Cast:
    """What one call's side of the shared model needs: its replies, and the ear of its caller."""

    tag: str
    scenario: Scenario
    ear: Ear | None = None
    asked: list[Asked] = attrs.field(factory=list[Asked])

    def lends_ear(self, ear: Ear) -> bool:
        self.ear = ear
        return True

    def script(self) -> Caller:
        caller = self.scenario.caller(self.tag)
        listens = Caller().waits_until(self.lends_ear)
        return Caller((*listens.steps, *caller.steps))


def play(*scenarios: Scenario) -> Stage:
    """Plays calls that begin at the same time, with the agent and the providers of the first one."""
    first = scenarios[0]
    shared = [
        attrs.evolve(
            scenario, greeting=first.greeting, agent=first.agent, llm=first.llm, tts=first.tts, stt=first.stt
        )
        for scenario in scenarios
    ]
    return run_virtual(_play, shared, seed=first.schedule)


async def _play(scenarios: Sequence[Scenario]) -> Stage:
    first = scenarios[0]
    casts = {tag: _Cast(tag, scenario) for tag, scenario in zip(TAGS, scenarios, strict=False)}
    llm, tts, stt = _model(casts, first), ScriptedTTS(**first.tts), ScriptedSTT(**first.stt)
    greeting = " ".join(f"g{number}" for number in range(first.greeting))
    who = agent(llm, tts=tts, stt=stt, first_message=greeting, **first.agent)
    events: list[CallEvent] = []
    outcomes: dict[str, CallOutcome] = {}

    async def call(cast: _Cast) -> None:
        carrier = twilio("+1555000000" + str(TAGS.index(cast.tag)))
        line = MemoryLine(session.app, URL)
        outcomes[cast.tag] = await carrier.call(line, cast.script(), conditions=cast.scenario.line)

    before = trio.lowlevel.current_statistics().tasks_living
    with trio.fail_after(_HANGS):
        async with patter().session(who, port=None, on_event=events.append) as session:
            async with trio.open_nursery() as nursery:
                for cast in casts.values():
                    nursery.start_soon(call, cast)
            check_quiet(session)
            results = {result.call_id: result for result in session.results}
    left = trio.lowlevel.current_statistics().tasks_living - before
    calls = [
        Played(
            cast.scenario,
            tag,
            outcomes[tag],
            results.get(outcomes[tag].call_sid),
            [event for event in events if event.call_id == outcomes[tag].call_sid],
            cast.asked,
        )
        for tag, cast in casts.items()
    ]
    return Stage(calls, left, llm, tts, stt, len(results))


def _model(casts: dict[str, _Cast], first: Scenario) -> ScriptedLLM:
    def answer(messages: Sequence[Message]) -> Reply:
        cast = casts[str(messages[-1]["content"])[:1]]
        plans = cast.scenario.replies
        number = len(cast.asked)
        plan = plans[number % len(plans)]
        text = plan.text(f"{cast.tag}r{number}")
        assert cast.ear is not None
        heard = [word.text for word in cast.ear.words if word.complete]
        cast.asked.append(Asked(llm.requests[-1], text, plan.fails_at is not None, heard))
        return Reply(text, fails_at=plan.fails_at)

    llm = ScriptedLLM(answer, **first.llm)
    return llm
