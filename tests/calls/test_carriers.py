"""Carriers that lose, double, delay or never send what we wait for: each fault alone, on a whole call."""

from __future__ import annotations

import pytest

from patter_trio.events import AgentSpeechEnded
from patter_trio.testing import Caller, LineConditions, MarksAtClear, ScriptedLLM

from .ring import LONG, Rung, agent, heard_words, ring

TALK = (
    Caller()
    .waits_for_agent()
    .says("When do you open on Sunday?")
    .waits_for_agent()
    .says("And on Monday?")
    .waits_for_agent()
    .hangs_up()
)
# Who hangs up sooner than an echo is given up leaves the last words unproved.
PATIENT_TALK = Caller(TALK.steps[:-1]).waits(2.0).hangs_up()
INTERRUPTION = (
    Caller()
    .waits_for_agent()
    .says("When do you open?")
    .barges_in("No, on Sunday!", after=2.0)
    .waits_for_agent()
    .hangs_up()
)
SAID = ["When do you open on Sunday?", "And on Monday?"]


def talk(conditions: LineConditions, caller: Caller = TALK) -> Rung:
    return ring(agent(ScriptedLLM([LONG, "At ten."])), caller, conditions)


@pytest.mark.parametrize("seed", range(4))
def test_reordered_media_is_understood(seed: int) -> None:
    rung = talk(LineConditions(seed, frames_reordered=0.15, reorder_frames=3))
    assert rung.said("user") == SAID
    assert rung.result.counts["frames_reordered"] > 50
    assert rung.result.counts["frames_lost"] == rung.result.counts["frames_repeated"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_media_that_comes_too_late_is_silence_and_nothing_comes_twice(seed: int) -> None:
    rung = talk(LineConditions(seed, frames_reordered=0.05, reorder_frames=6, frames_repeated=0.2))
    counts = rung.result.counts
    assert counts["frames_late"] > 0
    assert counts["frames_lost"] > 0
    assert counts["frames_repeated"] > 50
    assert rung.outcome.ok


def test_repeated_media_is_heard_once() -> None:
    rung = talk(LineConditions(frames_repeated=1.0))
    assert rung.said("user") == SAID
    assert rung.result.counts["frames_repeated"] >= rung.result.counts["frames"] // 2 - 1


def test_echoes_that_come_twice_count_once() -> None:
    rung = talk(LineConditions(marks_repeated=1.0))
    assert rung.result.counts["late_marks"] == len(rung.outcome.marks)


@pytest.mark.parametrize("seed", range(6))
def test_late_echoes_of_one_turn_do_not_count_in_the_next(seed: int) -> None:
    rung = talk(LineConditions(seed, marks_late=0.4, marks_late_ms=6000))
    assert rung.result.counts["late_marks"] > 0
    assert rung.said("user") == SAID


@pytest.mark.parametrize("seed", range(6))
def test_lost_echoes_do_not_lose_words(seed: int) -> None:
    rung = talk(LineConditions(seed, marks_lost=0.5), PATIENT_TALK)
    assert heard_words(rung) == rung.outcome.heard.split()


def test_a_carrier_that_never_echoes_is_believed_by_the_clock() -> None:
    rung = talk(LineConditions(marks_lost=1.0), PATIENT_TALK)
    assert rung.said("assistant") == ["Hello, this is the desk.", LONG, "At ten."]
    assert all(turn.audio_heard_seconds == turn.audio_sent_seconds for turn in rung.result.turns)


def test_a_turn_does_not_wait_long_for_an_echo_that_never_comes() -> None:
    rung = talk(LineConditions(marks_lost=1.0), PATIENT_TALK)
    ended = [event.time for event in rung.of(AgentSpeechEnded)]
    began = rung.events[0].time
    waited = [
        at - began - speech.end for at, speech in zip(ended, rung.outcome.ear.agent_speech, strict=True)
    ]
    assert waited[0] == pytest.approx(2.0, abs=0.1)
    assert max(waited[1:]) < 0.1, "once is enough to know"


@pytest.mark.parametrize("policy", ["returned", "forgotten", "unanswered"])
@pytest.mark.parametrize("seed", range(3))
def test_an_interruption_is_remembered_to_the_word_at_every_carrier(seed: int, policy: MarksAtClear) -> None:
    conditions = LineConditions(seed, one_way_delay_ms=40 * seed, marks_at_clear=policy)
    rung = talk(conditions, INTERRUPTION)
    (taken,) = rung.floors_taken
    assert taken.text_unheard
    assert rung.said("user") == ["When do you open?", "No, on Sunday!"]


def test_an_interruption_of_a_carrier_that_never_echoes() -> None:
    interruption = (
        Caller(INTERRUPTION.steps[:2]).barges_in("No!", after=4.0).waits_for_agent().waits(2.0).hangs_up()
    )
    rung = talk(LineConditions(marks_lost=1.0), interruption)
    (taken,) = rung.floors_taken
    assert taken.text_unheard
    assert rung.said("assistant")[-1] == "At ten."


def test_a_carrier_that_never_echoes_holds_up_an_answer_by_a_second_at_most() -> None:
    quick = talk(LineConditions(marks_at_clear="returned"), INTERRUPTION)
    slow = talk(LineConditions(marks_at_clear="unanswered"), INTERRUPTION)
    quick_reply, slow_reply = quick.outcome.replies[-1].seconds, slow.outcome.replies[-1].seconds
    assert quick_reply is not None
    assert slow_reply is not None
    assert slow_reply - quick_reply <= 1.05


def test_stop_comes_twice() -> None:
    rung = talk(LineConditions(stops_twice=True))
    assert rung.result.reason == "caller_hung_up"
    assert rung.outcome.ok


def test_a_carrier_that_closes_its_side_only_is_left() -> None:
    rung = talk(LineConditions(), Caller(TALK.steps[:2]).waits(1.5).closes_sending())
    assert rung.outcome.ok
    assert rung.result.reason == "carrier_lost"


def test_a_carrier_that_withholds_everything_for_a_while_loses_nothing() -> None:
    rung = talk(
        LineConditions(),
        Caller()
        .waits_for_agent()
        .stops_sending(1.5)
        .says("When do you open on Sunday?")
        .waits_for_agent()
        .hangs_up(),
    )
    assert rung.said("user") == SAID[:1]
    assert rung.result.counts["frames_lost"] == rung.result.counts["frames_dropped"] == 0


def test_a_carrier_that_sends_nothing_more_is_given_up_although_it_reads() -> None:
    rung = talk(LineConditions(), Caller().waits_for_agent().stops_sending(8.0).hangs_up())
    assert rung.result.reason == "carrier_silent"
