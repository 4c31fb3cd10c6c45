"""Who has the floor."""

from __future__ import annotations

import pytest

from patter_trio.events import AgentSpeechEnded, UtteranceOvertaken
from patter_trio.testing import Caller, LineConditions, ScriptedLLM, ScriptedSTT, ScriptedTTS

from .ring import LONG, agent, ring

ASKED = Caller().waits_for_agent().says("When are you open?")


def test_caller_interrupts_mid_word() -> None:
    llm = ScriptedLLM([LONG, "A loaf is four."])
    rung = ring(
        agent(llm), ASKED.barges_in("Wait, what does a loaf cost?", after=1.25).waits_for_agent().hangs_up()
    )
    assert rung.outcome.ok
    (taken,) = rung.floors_taken
    assert taken.phase == "speaking"
    assert len(rung.outcome.clears) == 1
    # Held at the edge (two windows of 20 ms), then the lead of 100 ms plays out; confirmed after 300 ms.
    (latency,) = rung.outcome.barge_ins
    assert latency.agent_silent_after is not None
    assert latency.agent_silent_after < 0.2
    assert latency.clear_after == pytest.approx(0.3, abs=0.05)
    assert taken.onset_to_clear_ms == pytest.approx(260, abs=21)
    heard = rung.said("assistant")[1]
    assert LONG.startswith(heard)
    assert 0 < len(heard) < len(LONG) / 2
    assert rung.result.history[2].unheard == LONG[len(heard) :].strip()
    assert rung.said("user") == ["When are you open?", "Wait, what does a loaf cost?"]
    assert rung.said("assistant")[2] == "A loaf is four."
    assert [event.interrupted for event in rung.of(AgentSpeechEnded)] == [False, True, False]


def test_the_model_never_learns_what_was_not_heard() -> None:
    llm = ScriptedLLM([LONG, "Four."])
    rung = ring(agent(llm), ASKED.barges_in("Stop, the price?", after=1.0).waits_for_agent().hangs_up())
    told = " ".join(message["content"] for message in llm.requests[1].messages)
    assert "six in the evening" not in told
    assert rung.said("assistant")[1] in told


def test_a_cough_does_not_interrupt() -> None:
    llm = ScriptedLLM([LONG])
    caller = ASKED.waits_until(lambda ear: "Monday" in ear.text()).coughs(0.15).waits_for_agent().hangs_up()
    rung = ring(agent(llm), caller)
    assert rung.outcome.ok
    assert rung.floors_taken == []
    (alarm,) = rung.false_alarms
    assert 0 < alarm.held_ms < 600
    assert rung.outcome.clears == ()
    assert rung.outcome.heard.endswith(LONG), "not a word is lost or said twice"
    assert rung.said("assistant")[-1] == LONG


def test_after_a_cough_speech_resumes_at_the_very_frame_where_it_stopped() -> None:
    llm = ScriptedLLM([LONG])
    quiet = ring(agent(llm), ASKED.waits_for_agent().hangs_up())
    caller = ASKED.waits_until(lambda ear: "Monday" in ear.text()).coughs(0.15).waits_for_agent().hangs_up()
    coughed = ring(agent(llm), caller)
    sent = [sum(1 for entry in rung.outcome.log if entry.what == "media") for rung in (quiet, coughed)]
    assert sent[0] == sent[1]


def test_the_greeting_can_be_interrupted() -> None:
    rung = ring(
        agent(ScriptedLLM(["We open at eight."]), first_message=LONG),
        Caller().barges_in("When do you open?", after=1.0).waits_for_agent().hangs_up(),
    )
    assert rung.outcome.ok
    assert len(rung.floors_taken) == 1
    assert rung.said("assistant")[-1] == "We open at eight."


def test_a_correction_while_the_agent_is_thinking_gets_one_answer() -> None:
    llm = ScriptedLLM(["Old answer.", "On Friday we close at six."], first_token_delay=2.0)
    rung = ring(
        agent(llm),
        Caller()
        .waits_for_agent()
        .says("Are you open on Monday?")
        .waits(0.9)
        .says("No, I mean on Friday?")
        .waits_for_agent()
        .hangs_up(),
    )
    assert rung.outcome.ok
    assert rung.said("user") == ["Are you open on Monday? No, I mean on Friday?"]
    assert rung.said("assistant")[1:] == ["On Friday we close at six."]
    assert llm.cancelled_streams == 1
    assert [event.text for event in rung.of(UtteranceOvertaken)] == ["Are you open on Monday?"]
    assert rung.floors_taken[0].phase == "thinking"
    assert rung.outcome.clears == (), "nothing was sent, so there is nothing to clear"
    assert "Old" not in rung.outcome.heard


def test_a_noise_while_the_agent_is_thinking_neither_cancels_nor_mutes_it() -> None:
    llm = ScriptedLLM(["We open at eight."], first_token_delay=2.0)
    rung = ring(
        agent(llm),
        Caller()
        .waits_for_agent()
        .says("When do you open?")
        .waits(0.8)
        .coughs(0.15)
        .waits_for_agent()
        .hangs_up(),
    )
    assert rung.outcome.ok
    assert rung.floors_taken == []
    assert len(llm.requests) == 1
    assert rung.said("assistant")[-1] == "We open at eight."


def test_a_long_noise_over_the_agent_does_not_leave_silence() -> None:
    llm = ScriptedLLM([LONG])
    caller = (
        ASKED.waits_until(lambda ear: "Monday" in ear.text())
        .coughs(0.8)
        .waits_for_agent(quiet=2.0)
        .hangs_up()
    )
    rung = ring(agent(llm), caller)
    assert len(rung.floors_taken) == 1
    assert rung.turn_kinds == ["greeting", "reply", "say"]
    assert " ".join(rung.said("assistant")[1:]) == LONG, "the rest is said after all"
    assert len(llm.requests) == 1


def test_a_cough_and_then_a_long_noise_do_not_leave_silence() -> None:
    llm = ScriptedLLM([LONG])
    caller = (
        ASKED.waits_until(lambda ear: "Monday" in ear.text())
        .coughs(0.15)
        .waits(0.8)
        .coughs(0.8)
        .waits_for_agent(quiet=2.0)
        .hangs_up()
    )
    rung = ring(agent(llm), caller)
    assert " ".join(rung.said("assistant")[1:]) == LONG
    assert rung.turn_kinds == ["greeting", "reply", "say"], "the cough opens no turn of its own"
    assert len(rung.floors_taken) == 1


def test_noise_after_noise_never_loses_the_rest() -> None:
    llm = ScriptedLLM([LONG])
    caller = ASKED.waits_until(lambda ear: "Monday" in ear.text()).coughs(0.8)
    # The agent takes up its words 0.7 s after a noise: each of these meets the rest before it was heard.
    for _ in range(4):
        caller = caller.waits(0.72).coughs(0.8)
    rung = ring(agent(llm, tts=ScriptedTTS(delay=0.3)), caller.waits_for_agent(quiet=3.0).hangs_up())
    assert " ".join(rung.said("assistant")[1:]) == LONG
    assert len(llm.requests) == 1


def test_a_long_noise_while_thinking_asks_the_same_question_again() -> None:
    llm = ScriptedLLM(["We open at eight."], first_token_delay=2.0)
    rung = ring(
        agent(llm),
        Caller()
        .waits_for_agent()
        .says("When do you open?")
        .waits(0.8)
        .coughs(0.8)
        .waits_for_agent()
        .hangs_up(),
    )
    assert rung.said("user") == ["When do you open?"]
    assert rung.said("assistant")[-1] == "We open at eight."
    assert llm.cancelled_streams == 1


@pytest.mark.parametrize(("threshold", "taken"), [(150, 1), (900, 0)])
def test_the_threshold_is_the_speech_it_takes(threshold: int, taken: int) -> None:
    llm = ScriptedLLM([LONG])
    caller = ASKED.waits_until(lambda ear: "Monday" in ear.text()).coughs(0.5).waits_for_agent().hangs_up()
    rung = ring(agent(llm, barge_in_threshold_ms=threshold), caller)
    assert len(rung.floors_taken) == taken


def test_an_agent_that_may_not_be_interrupted_answers_afterwards() -> None:
    llm = ScriptedLLM([LONG, "Four."])
    rung = ring(
        agent(llm, barge_in_threshold_ms=0),
        ASKED.barges_in("And the price of a loaf?", after=1.0).waits_for_agent().hangs_up(),
    )
    assert rung.floors_taken == []
    assert rung.said("assistant")[1:] == [LONG, "Four."]
    assert rung.said("user") == ["When are you open?", "And the price of a loaf?"]


def test_words_that_come_late_join_the_question_that_is_being_answered() -> None:
    # The recogniser needs longer than the longest wait: the words arrive when the answer is being thought of.
    llm = ScriptedLLM(["One answer."], first_token_delay=2.0)
    rung = ring(
        agent(llm, stt=ScriptedSTT(delay=1.2, interim=False), max_endpointing_delay_ms=300),
        Caller().waits_for_agent().says("When do you open?").waits_for_agent().hangs_up(),
    )
    assert rung.said("user") == ["When do you open?"]
    assert rung.said("assistant")[1:] == ["One answer."]


@pytest.mark.parametrize("seed", range(9))
def test_interruptions_on_bad_lines_remember_only_what_was_heard(seed: int) -> None:
    conditions = LineConditions(seed=seed, one_way_delay_ms=20 * seed, jitter_ms=10 * seed)
    llm = ScriptedLLM([LONG, LONG, "Bye."])
    rung = ring(
        agent(llm, tts=ScriptedTTS(with_words=True)),
        ASKED.barges_in("Hold on please", after=0.7 + seed / 7)
        .barges_in("And another thing", after=1.1 + seed / 9)
        .waits_for_agent()
        .hangs_up(),
        conditions,
        seed=seed,
    )
    assert len(rung.floors_taken) == 2
    assert rung.said("assistant")[-1] == "Bye."
