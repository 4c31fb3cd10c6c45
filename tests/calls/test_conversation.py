"""Greeting, question and answer, and the words in between."""

from __future__ import annotations

from typing import Any

import pytest

from patter_trio import PatterConfigError
from patter_trio.events import (
    AgentSpeechEnded,
    AgentSpeechStarted,
    AudioOut,
    LlmToken,
    TurnEnded,
    UserSpeechEnded,
    UserSpeechEos,
    UserSpeechStarted,
)
from patter_trio.testing import Caller, LineConditions, ScriptedLLM, ScriptedSTT, ScriptedTTS

from .ring import LONG, agent, ring


def test_the_agent_greets() -> None:
    rung = ring(agent(), Caller().waits_for_agent().hangs_up())
    assert rung.outcome.ok
    assert rung.outcome.heard == "Hello, this is the desk."
    assert rung.result.reason == "caller_hung_up"
    assert rung.result.outcome == "answered"


def test_a_question_is_answered() -> None:
    llm = ScriptedLLM(["We open at eight."])
    rung = ring(agent(llm), Caller().waits_for_agent().says("When do you open?").waits_for_agent().hangs_up())
    assert rung.outcome.ok
    assert rung.said("user") == ["When do you open?"]
    assert rung.said("assistant") == ["Hello, this is the desk.", "We open at eight."]
    reply = rung.outcome.replies[0].seconds
    assert reply is not None
    assert reply < 1.2


def test_the_model_hears_the_conversation_so_far() -> None:
    llm = ScriptedLLM(["We open at eight.", "At six."])
    ring(
        agent(llm),
        Caller()
        .waits_for_agent()
        .says("When do you open?")
        .waits_for_agent()
        .says("When do you close?")
        .waits_for_agent()
        .hangs_up(),
    )
    roles = [(message["role"], message["content"]) for message in llm.requests[1].messages[1:]]
    assert roles == [
        ("assistant", "Hello, this is the desk."),
        ("user", "When do you open?"),
        ("assistant", "We open at eight."),
        ("user", "When do you close?"),
    ]
    system = llm.requests[0].messages[0]
    assert system["role"] == "system"
    assert "You answer for a bakery." in system["content"]


def test_events_come_in_the_order_people_rely_on() -> None:
    rung = ring(agent(), Caller().waits_for_agent().says("Hello?").waits_for_agent().hangs_up())
    wanted = (
        UserSpeechStarted,
        UserSpeechEnded,
        UserSpeechEos,
        LlmToken,
        AudioOut,
        AgentSpeechStarted,
        AgentSpeechEnded,
        TurnEnded,
    )
    order = [type(event) for event in rung.events if type(event) in wanted]
    greeting = [LlmToken, AudioOut, AgentSpeechStarted, AgentSpeechEnded, TurnEnded]
    assert order == [*greeting, *wanted]
    assert [event.turn_idx for event in rung.of(AgentSpeechStarted)] == [0, 1]
    assert not any(event.interrupted for event in rung.of(AgentSpeechEnded))


def test_the_turn_is_measured_from_the_callers_last_sound() -> None:
    llm = ScriptedLLM(["Yes."], first_token_delay=0.2, token_delay=0.0)
    who = agent(llm, stt=ScriptedSTT(delay=0.05), tts=ScriptedTTS(delay=0.15))
    rung = ring(who, Caller().waits_for_agent().says("Are you open?").waits_for_agent().hangs_up())
    latency = rung.result.turns[1].latency
    assert latency.stt_ms == pytest.approx(50, abs=1)
    assert latency.llm_ttft_ms == pytest.approx(200, abs=1)
    assert latency.endpoint_ms == pytest.approx(350, abs=30)
    assert latency.agent_response_ms is not None
    assert latency.endpoint_ms is not None
    parts = latency.endpoint_ms + 200 + 150
    assert latency.agent_response_ms == pytest.approx(parts, abs=20)


def test_a_function_answers_in_place_of_a_model() -> None:
    seen: list[dict[str, Any]] = []

    async def on_message(event: dict[str, Any]) -> str:
        seen.append(event)
        return "You said hello."

    rung = ring(
        agent(on_message=on_message),
        Caller().waits_for_agent().says("Hello there").waits_for_agent().hangs_up(),
    )
    assert rung.outcome.ok
    assert rung.said("assistant")[-1] == "You said hello."
    assert seen[0]["text"] == "Hello there"
    assert seen[0]["caller"] == "+15557654321"
    assert [entry["text"] for entry in seen[0]["history"]] == ["Hello, this is the desk."]


@pytest.mark.parametrize("style", ["sync", "generator"])
def test_on_message_may_be_any_kind_of_function(style: str) -> None:
    def sync(event: dict[str, Any]) -> str:
        return "One. Two."

    async def generator(event: dict[str, Any]) -> Any:
        yield "One. "
        yield "Two."

    function = sync if style == "sync" else generator
    rung = ring(
        agent(on_message=function), Caller().waits_for_agent().says("Hello").waits_for_agent().hangs_up()
    )
    assert rung.said("assistant")[-1] == "One. Two."


def test_the_agent_hangs_up_after_its_last_words() -> None:
    async def on_message(event: dict[str, Any], call: Any) -> str:
        await call.hangup()
        return "Goodbye then."

    rung = ring(agent(on_message=on_message), Caller().waits_for_agent().says("Bye").waits_for_hang_up())
    assert rung.outcome.ok
    assert rung.outcome.ended_by == "agent"
    assert rung.outcome.heard.endswith("Goodbye then.")
    assert rung.result.reason == "agent_hung_up"


def test_variables_reach_the_greeting_and_the_prompt() -> None:
    llm = ScriptedLLM(["Yes."])
    who = agent(llm, first_message="Hello {name}.", variables={"name": "Robin"}, disable_phone_preamble=True)
    rung = ring(who, Caller().waits_for_agent().says("Hi").waits_for_agent().hangs_up())
    assert rung.said("assistant")[0] == "Hello Robin."
    assert llm.requests[0].messages[0]["content"] == "You answer for a bakery."


def test_a_reply_without_words_is_legal() -> None:
    llm = ScriptedLLM(["", "Now I answer."])
    rung = ring(
        agent(llm),
        Caller().waits_for_agent().says("Psst").waits(3.0).says("Anyone?").waits_for_agent().hangs_up(),
    )
    assert rung.said("user") == ["Psst", "Anyone?"]
    assert rung.said("assistant")[-1] == "Now I answer."


def test_a_bad_line_changes_nothing_in_what_is_remembered() -> None:
    llm = ScriptedLLM([LONG])
    conditions = LineConditions(seed=3, one_way_delay_ms=60, jitter_ms=30, drift_ppm=80)
    rung = ring(
        agent(llm),
        Caller().waits_for_agent().says("When are you open?").waits_for_agent().hangs_up(),
        conditions,
    )
    assert rung.outcome.ok
    assert rung.said("assistant")[-1] == LONG


def test_min_endpointing_delay_makes_the_agent_wait() -> None:
    def reply_after(delay: int) -> float:
        who = agent(min_endpointing_delay_ms=delay)
        rung = ring(who, Caller().waits_for_agent().says("Hello?").waits_for_agent(quiet=2.0).hangs_up())
        seconds = rung.outcome.replies[0].seconds
        assert seconds is not None
        return seconds

    assert reply_after(900) - reply_after(200) == pytest.approx(0.7, abs=0.05)


def test_max_endpointing_delay_answers_what_is_there_when_no_final_comes() -> None:
    rung = ring(
        agent(stt=ScriptedSTT(delay=8.0), max_endpointing_delay_ms=500),
        Caller().waits_for_agent().says("Are you open today?").waits_for_agent().hangs_up(),
    )
    reply = rung.outcome.replies[0].seconds
    assert reply is not None
    assert reply < 1.6
    assert rung.said("user")[0] == "Are you open today?"


def test_the_carriers_buffer_runs_ahead_by_the_lead_that_was_set() -> None:
    for lead in (60, 400):
        rung = ring(agent(ScriptedLLM([LONG]), playout_lead_ms=lead), Caller().waits_for_agent().hangs_up())
        sent = [entry.at for entry in rung.outcome.log if entry.what == "media"]
        ahead = max(number * 0.02 - (at - sent[0]) for number, at in enumerate(sent, 1))
        assert ahead == pytest.approx(lead / 1000, abs=0.011)


def test_the_history_keeps_what_it_is_told_to_keep() -> None:
    llm = ScriptedLLM(["One.", "Two.", "Three."])
    caller = Caller().waits_for_agent()
    for word in ("a", "b", "c"):
        caller = caller.says(word).waits_for_agent()
    rung = ring(
        agent(llm, max_history=2, first_message=""), Caller(caller.steps[1:]).hangs_up(), forgets=True
    )
    assert [entry.text for entry in rung.result.history] == ["c", "Three."]


def test_two_who_want_to_answer_are_refused_when_the_agent_is_made() -> None:
    with pytest.raises(PatterConfigError, match="both want to answer"):
        agent(ScriptedLLM(["x"]), on_message=lambda event: "y")
