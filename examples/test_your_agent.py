"""Tests for an agent, to copy beside your own: whole phone calls in virtual time, without a phone.

The agent under test answers with a function; put your own ``Agent`` in its place. A minute of call takes a
fraction of a second, and the same seed gives the same call.

    pip install patter-trio pytest
    pytest test_your_agent.py
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from patter_trio import CallResult, Patter, Twilio
from patter_trio.testing import (
    Caller,
    CallOutcome,
    LineConditions,
    MemoryLine,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    SimulatedTwilio,
    run_virtual,
)

TOKEN = "a secret that only these tests know"  # noqa: S105
URL = "https://phone.example.test"

HOURS = "We open at seven in the morning. We close at six in the evening. On Sunday we are closed all day."


async def on_message(event: dict[str, Any]) -> AsyncIterator[str]:
    """The part that is yours: here it knows two answers."""
    said = event["text"].lower()
    yield "A loaf is four dollars." if "loaf" in said else HOURS


def ring(caller: Caller, conditions: LineConditions | None = None) -> tuple[CallOutcome, CallResult]:
    """Has ``caller`` phone the agent; gives what the caller's end saw, and what the agent's end recorded."""
    patter = Patter(Twilio(auth_token=TOKEN), "+15550001234", URL)
    agent = patter.agent(
        first_message="Hello, this is the bakery.",
        on_message=on_message,
        stt=ScriptedSTT(),
        tts=ScriptedTTS(),
        vad=ScriptedVAD(),
    )

    async def main() -> tuple[CallOutcome, CallResult]:
        async with patter.session(agent, port=None) as session:
            line = MemoryLine(session.app, URL)
            outcome = await SimulatedTwilio(auth_token=TOKEN).call(line, caller, conditions=conditions)
        return outcome, session.results[0]

    return run_virtual(main, seed=1)


def test_it_knows_the_hours() -> None:
    caller = Caller().waits_for_agent().says("When are you open?").waits_for_agent().hangs_up()
    outcome, result = ring(caller)
    assert outcome.ok, outcome
    assert outcome.heard.endswith("On Sunday we are closed all day.")
    assert [entry["role"] for entry in result.transcript] == ["assistant", "user", "assistant"]


def test_it_answers_within_a_second() -> None:
    caller = Caller().waits_for_agent().says("When are you open?").waits_for_agent().hangs_up()
    outcome, _ = ring(caller)
    seconds = outcome.replies[0].seconds
    assert seconds is not None
    assert seconds < 1.0


def test_it_falls_silent_when_the_caller_speaks_over_it() -> None:
    caller = (
        Caller()
        .waits_for_agent()
        .says("When are you open?")
        .barges_in("And what does a loaf cost?", after=1.5)
        .waits_for_agent()
        .hangs_up()
    )
    outcome, result = ring(caller)
    assert outcome.ok, outcome
    assert outcome.frames_after_clear == 0
    silent_after = outcome.barge_ins[0].agent_silent_after
    assert silent_after is not None
    assert silent_after < 0.3
    # The record holds what was heard, and beside it what was cut off.
    cut = result.history[2]
    assert HOURS.startswith(cut.text)
    assert cut.unheard == HOURS[len(cut.text) :].strip()
    assert result.history[-1].text == "A loaf is four dollars."


def test_a_cough_does_not_stop_it() -> None:
    caller = (
        Caller()
        .waits_for_agent()
        .says("When are you open?")
        .waits_until(lambda ear: "seven" in ear.text(), what="the first hour")
        .coughs()
        .waits_for_agent()
        .hangs_up()
    )
    outcome, _ = ring(caller)
    assert outcome.ok, outcome
    assert outcome.heard.endswith(HOURS)


def test_a_bad_line_does_not_confuse_it() -> None:
    caller = Caller().waits_for_agent().says("What does a loaf cost?").waits_for_agent().hangs_up()
    bad = LineConditions(seed=4, one_way_delay_ms=120, jitter_ms=60)
    outcome, result = ring(caller, bad)
    assert outcome.ok, outcome
    assert result.transcript[-1]["text"] == "A loaf is four dollars."
