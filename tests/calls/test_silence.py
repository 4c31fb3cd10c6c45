"""Callers who say nothing any more, and calls that last as long as they may."""

from __future__ import annotations

from typing import Any

import pytest

from patter_trio import Agent, Call, PatterConfigError
from patter_trio.events import UserAway, UserSpeechStarted
from patter_trio.testing import Caller, ScriptedLLM, ScriptedSTT

from .ring import LONG, Rung, agent, ring

GREETED = Caller().waits_for_agent()


def user_states(rung: Rung, states: list[str]) -> list[str]:
    return [state for number, state in enumerate(states) if not number or states[number - 1] != state]


def test_a_caller_who_says_nothing_is_away_after_the_time_that_was_set() -> None:
    rung = ring(agent(away_after_s=5.0), GREETED.waits(12.0).hangs_up())
    (away,) = rung.of(UserAway)
    spoken_until = rung.outcome.ear.agent_speech[-1].end
    assert away.time == pytest.approx(spoken_until + 5.0, abs=0.1)
    assert away.silent_ms == 5000
    assert rung.outcome.heard == "Hello, this is the desk.", "nothing is said unless it was asked for"
    assert rung.result.reason == "caller_hung_up"


def test_the_state_is_away_until_the_caller_speaks() -> None:
    states: list[str] = []

    async def watch(call: Call) -> None:
        import trio

        while True:
            states.append(call.conversation_state["user"])
            await trio.sleep(0.1)

    caller = GREETED.waits(7.0).says("Sorry, here I am").waits_for_agent().hangs_up()
    rung = ring(agent(away_after_s=5.0), caller, on_call=watch)
    assert user_states(rung, states)[:4] == ["listening", "away", "speaking", "listening"]
    assert rung.of(UserSpeechStarted)


def test_the_agent_asks_once_whether_they_are_there() -> None:
    who = agent(away_after_s=4.0, away_message="Are you still there, {name}?", variables={"name": "Robin"})
    rung = ring(who, GREETED.waits(20.0).hangs_up())
    assert rung.said("assistant") == ["Hello, this is the desk.", "Are you still there, Robin?"]


def test_a_caller_who_comes_back_and_leaves_again_is_asked_again() -> None:
    who = agent(away_after_s=4.0, away_message="Are you there?")
    rung = ring(who, GREETED.waits(7.0).says("Yes").waits(12.0).hangs_up())
    assert rung.outcome.heard.count("Are you there?") == 2


def test_a_line_on_which_nobody_is_left_is_hung_up_with_a_goodbye() -> None:
    who = agent(
        away_after_s=4.0, away_message="Are you there?", away_hangup_after_s=6.0, goodbye_message="Goodbye."
    )
    rung = ring(who, GREETED.waits_for_hang_up())
    assert rung.said("assistant")[1:] == ["Are you there?", "Goodbye."]
    assert rung.result.reason == "caller_silent"
    assert rung.result.outcome == "answered"
    asked = rung.outcome.ear.agent_speech[1]
    goodbye = rung.outcome.ear.agent_speech[2]
    assert goodbye.start - asked.end == pytest.approx(6.0, abs=0.5)


def test_an_answer_to_the_question_keeps_the_line_open() -> None:
    who = agent(away_after_s=4.0, away_message="Are you there?", away_hangup_after_s=6.0)
    rung = ring(who, GREETED.waits(5.5).says("Yes I am").waits(6.0).hangs_up())
    assert rung.result.reason == "caller_hung_up"


def test_who_speaks_without_being_understood_is_not_away() -> None:
    who = agent(away_after_s=3.0, stt=ScriptedSTT(deaf=True))
    caller = GREETED
    for _ in range(5):
        caller = caller.waits(2.0).coughs(0.4)
    assert ring(who, caller.hangs_up()).of(UserAway) == []


def test_while_the_agent_speaks_or_thinks_nobody_is_away() -> None:
    llm = ScriptedLLM([LONG], first_token_delay=6.0)
    rung = ring(agent(llm, away_after_s=3.0), GREETED.says("Hm?").waits_for_agent(quiet=1.0).hangs_up())
    assert rung.of(UserAway) == []


def test_none_never_counts_anybody_as_away() -> None:
    assert ring(agent(away_after_s=None), GREETED.waits(60.0).hangs_up()).of(UserAway) == []


# --- the longest call ---------------------------------------------------------------------------------------


def test_a_call_ends_with_a_goodbye_when_it_has_lasted_as_long_as_it_may() -> None:
    rung = ring(
        agent(max_duration_s=20, goodbye_message="Our time is up, goodbye."), GREETED.waits_for_hang_up()
    )
    assert rung.result.reason == "max_duration"
    assert rung.outcome.heard.endswith("Our time is up, goodbye.")
    assert rung.result.duration_seconds == pytest.approx(22.0, abs=0.5)


def test_without_a_goodbye_it_just_ends() -> None:
    rung = ring(agent(max_duration_s=20), GREETED.waits_for_hang_up())
    assert rung.result.reason == "max_duration"
    assert rung.result.duration_seconds == pytest.approx(20.0, abs=0.5)


def test_the_goodbye_may_not_be_interrupted() -> None:
    who = agent(max_duration_s=10, goodbye_message="Our time is up, thank you for calling us today.")
    caller = (
        GREETED.waits_until(lambda ear: "time" in ear.text())
        .says("But wait, one more thing")
        .waits_for_hang_up()
    )
    rung = ring(who, caller)
    assert rung.floors_taken == []
    assert rung.outcome.heard.endswith("calling us today.")
    assert "But wait, one more thing" in " ".join(rung.said("user")) or rung.said("user") == []


def test_an_answer_that_runs_over_the_end_is_heard_before_the_goodbye() -> None:
    llm = ScriptedLLM([LONG])
    who = agent(llm, max_duration_s=6, goodbye_message="Goodbye.")
    rung = ring(who, GREETED.says("When are you open?").waits_for_hang_up())
    assert rung.said("assistant")[1:] == [LONG, "Goodbye."]


def test_a_model_that_hangs_does_not_keep_the_line_for_ever() -> None:
    llm = ScriptedLLM(["Never."], first_token_delay=7200)
    rung = ring(agent(llm, max_duration_s=30), GREETED.says("Hello?").waits_for_hang_up(timeout=120))
    assert rung.result.reason == "max_duration"
    assert rung.result.duration_seconds < 45
    assert llm.open_streams == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"away_after_s": None, "away_message": "Hello?"}, "never counts as away"),
        ({"away_after_s": None, "away_hangup_after_s": 3}, "never counts as away"),
        ({"away_after_s": 0}, "at least 0.1"),
        ({"max_duration_s": 0}, "at least 1"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(PatterConfigError, match=said):
        Agent(system_prompt="x", **settings)
