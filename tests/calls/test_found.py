"""Calls that random callers found (``tests/properties``), each in its smallest form."""

from __future__ import annotations

from patter_trio.events import TurnEnded
from patter_trio.testing import Caller, ScriptedLLM, ScriptedSTT, ScriptedTTS

from .ring import LONG, agent, ring

GREETED = Caller().waits_for_agent()


def test_a_late_final_is_not_taken_for_new_words_while_the_caller_speaks_on() -> None:
    # The first words are committed from interim results; their final arrives in the middle of the next ones.
    rung = ring(
        agent(stt=ScriptedSTT(delay=0.4), max_endpointing_delay_ms=100, barge_in_threshold_ms=0),
        GREETED.says("one two").waits(0.4).says("three four five").waits_for_agent(quiet=2.0).hangs_up(),
    )
    assert " ".join(rung.said("user")) == "one two three four five"


def test_a_late_final_of_the_second_half_of_an_utterance_is_not_answered_again() -> None:
    # "one two" became final inside the utterance; "three four" was committed as an interim result.
    rung = ring(
        agent(stt=ScriptedSTT(delay=0.4), max_endpointing_delay_ms=100),
        GREETED.says("one two").waits(0.26).says("three four").waits_for_agent(quiet=2.0).hangs_up(),
    )
    assert " ".join(rung.said("user")) == "one two three four"


def test_a_caller_who_says_the_same_word_twice_is_heard_twice() -> None:
    llm = ScriptedLLM([LONG, "Second answer."], first_token_delay=0.0)
    rung = ring(
        agent(llm, tts=ScriptedTTS(delay=0.0)),
        GREETED.says("Price").barges_in("Price", after=0.3).waits_for_agent(quiet=2.0).hangs_up(),
    )
    assert rung.said("user") == ["Price", "Price"]
    assert len(llm.requests) == 2


def test_a_noise_between_two_sentences_of_a_slow_model_does_not_leave_silence() -> None:
    llm = ScriptedLLM(
        ["Let me look that up for you. We open at eight in the morning on all days."], token_delay=0.5
    )
    rung = ring(
        agent(llm),
        GREETED.says("When do you open?")
        .waits_until(lambda ear: "you." in ear.text())
        .coughs(0.6)
        .waits(12.0)
        .hangs_up(),
    )
    assert rung.outcome.heard.endswith("on all days.")


def test_words_are_not_lost_when_the_recogniser_breaks_behind_the_final_of_earlier_ones() -> None:
    # The final of "one" arrives while "two three four" is being said, and then the connection breaks.
    stt = ScriptedSTT(delay=0.5, fail_after=4.0)
    caller = Caller().waits(2.2).says("one").waits(0.3).says("two three four").waits(0.1)
    rung = ring(agent(stt=stt, first_message=""), caller.waits_for_agent(quiet=2.0).hangs_up())
    assert stt.record.failures == 1
    assert " ".join(rung.said("user")) == "one two three four"


def test_what_is_said_over_one_turn_gets_one_answer_with_an_index_of_its_own() -> None:
    llm = ScriptedLLM([LONG, "Second.", "Third."])
    rung = ring(
        agent(llm, barge_in_threshold_ms=0),
        GREETED.says("One")
        .barges_in("Two", after=1.0)
        .waits(0.8)
        .says("Three")
        .waits_for_agent(quiet=2.0)
        .hangs_up(),
    )
    assert rung.said("user") == ["One", "Two Three"]
    assert [event.turn_idx for event in rung.of(TurnEnded)] == [0, 1, 3]


def test_words_behind_a_commit_without_its_final_are_remembered_once() -> None:
    # The caller's radio link is gone between the fourth word and the fifth, and the recogniser breaks.
    stt = ScriptedSTT(delay=1.0, fail_after=3.2)
    who = agent(
        ScriptedLLM(["Yes."]),
        stt=stt,
        min_endpointing_delay_ms=0,
        max_endpointing_delay_ms=0,
        first_message="",
    )
    caller = Caller().waits(1.72).says("one two three four five").goes_silent(1.1).waits_for_agent(quiet=2.0)
    rung = ring(who, caller.hangs_up())
    assert " ".join(rung.said("user")) == "one two three four five"
