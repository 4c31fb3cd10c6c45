"""When an utterance is committed, with the time in hand."""

from __future__ import annotations

import math

import pytest

from patter_trio._turns.endpointing import Endpointing, EndpointingSettings
from patter_trio.events import Transcript


@pytest.fixture
def ends() -> Endpointing:
    return Endpointing(EndpointingSettings(min_delay=0.1, max_delay=1.5))


def final(text: str) -> Transcript:
    return Transcript(text, is_final=True)


def test_nothing_is_due_before_anything_happened(ends: Endpointing) -> None:
    assert ends.deadline == math.inf
    assert ends.poll(100.0) is None


def test_a_final_after_the_edge_commits_after_the_minimum_delay(ends: Endpointing) -> None:
    ends.speech_started(1.0)
    ends.speech_ended(2.0, 0.25)
    ends.transcript(final("what are your hours"), 2.03)
    assert ends.poll(2.09) is None
    assert ends.deadline == pytest.approx(2.1)
    utterance = ends.poll(2.1)
    assert utterance is not None
    assert utterance.text == "what are your hours"
    assert (utterance.speech_started, utterance.speech_ended) == (1.0, 2.0)
    assert utterance.trailing_silence == 0.25
    assert ends.poll(9.0) is None


def test_a_late_final_commits_the_moment_it_comes(ends: Endpointing) -> None:
    ends.speech_started(1.0)
    ends.speech_ended(2.0)
    ends.transcript(final("hello"), 2.7)
    assert ends.poll(2.7) is not None


def test_without_a_final_the_interim_words_are_taken_at_the_maximum_delay(ends: Endpointing) -> None:
    ends.speech_started(1.0)
    ends.transcript(Transcript("are you"), 1.5)
    ends.transcript(Transcript("are you open"), 1.8)
    ends.speech_ended(2.0)
    assert ends.poll(3.49) is None
    utterance = ends.poll(3.5)
    assert utterance is not None
    assert utterance.text == "are you open"


def test_speech_that_goes_on_joins_the_same_utterance(ends: Endpointing) -> None:
    ends.speech_started(1.0)
    ends.speech_ended(2.0)
    ends.transcript(final("I would like"), 2.02)
    ends.speech_started(2.05)
    assert ends.poll(2.9) is None
    ends.speech_ended(3.0)
    ends.transcript(final("an appointment"), 3.02)
    utterance = ends.poll(3.1)
    assert utterance is not None
    assert utterance.text == "I would like an appointment"
    assert utterance.speech_started == 1.0


def test_a_final_while_the_caller_speaks_on_is_only_a_part(ends: Endpointing) -> None:
    ends.speech_started(1.0)
    ends.transcript(final("first part"), 2.0)
    assert ends.poll(5.0) is None
    ends.speech_ended(5.0)
    assert ends.poll(5.1) is None
    ends.transcript(final("second part"), 5.2)
    utterance = ends.poll(5.2)
    assert utterance is not None
    assert utterance.text == "first part second part"


def test_a_recogniser_that_heard_the_end_is_believed_over_a_voice_in_the_background(
    ends: Endpointing,
) -> None:
    ends.speech_started(1.0)
    ends.transcript(Transcript("are you open", is_final=True, speech_final=True), 2.0)
    utterance = ends.poll(2.1)
    assert utterance is not None
    assert utterance.text == "are you open"


def test_a_voice_in_which_nobody_understands_anything_does_not_hold_the_answer_back(
    ends: Endpointing,
) -> None:
    ends.speech_started(1.0)
    ends.transcript(final("are you open"), 2.0)
    ends.transcript(Transcript("um"), 3.0)
    assert ends.poll(6.9) is None
    assert ends.poll(7.0) is not None


def test_a_final_that_was_not_waited_for_adds_only_its_new_words(ends: Endpointing) -> None:
    ends.speech_started(1.0)
    ends.transcript(Transcript("are you"), 1.5)
    ends.speech_ended(2.0)
    assert ends.poll(3.5) is not None
    ends.transcript(final("Are you open today?"), 3.6)
    utterance = ends.poll(3.7)
    assert utterance is not None
    assert utterance.text == "open today?"


def test_a_corrected_final_of_committed_words_is_not_said_again(ends: Endpointing) -> None:
    ends.speech_started(1.0)
    ends.transcript(Transcript("went are you open"), 1.5)
    ends.speech_ended(2.0)
    assert ends.poll(3.5) is not None
    ends.transcript(final("When are you open?"), 3.6)
    assert ends.poll(100.0) is None


def test_speech_without_words_is_committed_empty(ends: Endpointing) -> None:
    ends.speech_started(1.0)
    ends.speech_ended(1.3)
    ends.transcript(final(""), 1.32)
    utterance = ends.poll(1.41)
    assert utterance is not None
    assert utterance.text == ""


def test_words_without_an_edge_are_committed_too(ends: Endpointing) -> None:
    ends.transcript(final("hello?"), 1.0)
    assert ends.deadline == pytest.approx(1.1)
    utterance = ends.poll(1.1)
    assert utterance is not None
    assert utterance.text == "hello?"


def test_a_repeated_final_is_not_a_second_utterance(ends: Endpointing) -> None:
    ends.speech_started(1.0)
    ends.speech_ended(2.0)
    ends.transcript(final("Yes please."), 2.0)
    assert ends.poll(2.1) is not None
    ends.transcript(final("yes please"), 3.0)
    assert ends.poll(10.0) is None


def test_the_same_words_spoken_again_later_are_an_utterance(ends: Endpointing) -> None:
    ends.transcript(final("yes"), 1.0)
    assert ends.poll(1.1) is not None
    ends.transcript(final("yes"), 4.0)
    assert ends.poll(4.1) is not None


# --- meaning, somebody's word, habits, repetitions ----------------------------------------------------------


def judged(hold: float = 1.2) -> Endpointing:
    return Endpointing(EndpointingSettings(semantic_hold=hold))


def ended(ends: Endpointing, at: float = 2.0) -> Endpointing:
    ends.speech_started(1.0)
    ends.speech_ended(at, 0.25)
    ends.transcript(final("I would like"), at)
    return ends


def test_questions_come_at_the_edge_and_every_fifth_of_a_second_until_the_hold_is_over() -> None:
    ends = ended(judged())
    asked = []
    now = 2.0
    while ends.wake_at < math.inf and ends.poll(now) is None:
        if ends.ask(now) is not None:
            asked.append(round(now - 2.0, 3))
        now = max(now + 1e-9, ends.wake_at)
    assert asked == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert now == pytest.approx(3.2)


def test_a_verdict_that_the_caller_has_finished_ends_the_hold() -> None:
    ends = ended(judged())
    silence = ends.ask(2.0)
    assert silence is not None
    assert ends.deadline == pytest.approx(3.2)
    ends.judged(silence, True)
    assert ends.deadline == pytest.approx(2.1)
    utterance = ends.poll(2.1)
    assert utterance is not None
    assert utterance.trigger == "semantic_turn_detector"


def test_a_verdict_comes_before_the_words_are_final() -> None:
    ends = judged()
    ends.speech_started(1.0)
    ends.speech_ended(2.0, 0.25)
    silence = ends.ask(2.0)
    assert silence is not None
    ends.judged(silence, True)
    assert ends.deadline == pytest.approx(3.5), "the longest wait for the final"
    ends.transcript(final("yes"), 2.4)
    assert ends.poll(2.4) is not None


def test_a_detector_that_is_given_up_holds_nobody() -> None:
    ends = ended(judged())
    silence = ends.ask(2.0)
    assert silence is not None
    ends.judged(silence, None)
    assert ends.deadline == pytest.approx(2.1)
    assert ends.wake_at == ends.deadline
    ends.poll(2.1)
    ended(ends, 4.0)
    assert ends.ask(4.0) is None


def test_an_old_verdict_is_not_about_this_silence() -> None:
    ends = ended(judged())
    old = ends.ask(2.0)
    assert old is not None
    ends.speech_started(2.1)
    ends.speech_ended(3.0, 0.25)
    ends.transcript(final("two loaves"), 3.0)
    ends.judged(old, True)
    assert ends.deadline == pytest.approx(4.2)


def test_somebodys_word_takes_what_is_there_at_once() -> None:
    ends = Endpointing()
    ends.commit()
    assert ends.deadline == math.inf, "nothing was said"
    ends.speech_started(1.0)
    ends.transcript(Transcript("four eg"), 1.5)
    ends.commit()
    utterance = ends.poll(1.5)
    assert utterance is not None
    assert (utterance.text, utterance.trigger) == ("four eg", "manual_commit")
    assert ends.deadline == math.inf
    # The final of those words, when it comes, is not said again; what goes beyond is.
    ends.speech_ended(2.0, 0.25)
    ends.transcript(final("four eg please"), 2.1)
    rest = ends.poll(2.2)
    assert rest is not None
    assert rest.text == "please"


@pytest.mark.parametrize(
    ("again", "after", "left"),
    [
        ("What are your hours?", 1.9, None),
        ("What are your hours?", 2.1, "What are your hours?"),
        ("what are", 0.4, None),
        ("what are", 0.6, "what are"),
        ("what are your hours today", 0.4, "today"),
        ("whatever", 0.4, "whatever"),
    ],
)
def test_a_final_again_after_the_commit(again: str, after: float, left: str | None) -> None:
    ends = Endpointing()
    ends.speech_started(1.0)
    ends.speech_ended(2.0)
    ends.transcript(final("what are your hours"), 2.0)
    assert ends.poll(2.1) is not None
    ends.transcript(final(again), 2.1 + after)
    utterance = ends.poll(99.0)
    assert (utterance.text if utterance else None) == left


def test_a_caller_who_pauses_is_waited_for_within_bounds() -> None:
    ends = Endpointing(EndpointingSettings(min_delay=0.1, max_delay=1.0, adaptive=True))
    ended(ends)
    assert ends.deadline == pytest.approx(2.1)
    ends.speech_started(2.6)  # a pause of 0.85 s since the last sound
    ends.speech_ended(3.0, 0.25)
    ends.transcript(final("two loaves"), 3.0)
    assert 3.0 + 0.85 - 0.25 < ends.deadline <= 4.0


def test_interim_words_behind_a_final_are_waited_for() -> None:
    # The final of the first part comes after the edge of the second, whose own final is still on its way.
    ends = Endpointing()
    ends.speech_started(0.0)
    ends.speech_ended(1.8, 0.25)
    ends.speech_started(1.9)
    ends.speech_ended(2.6, 0.25)
    ends.transcript(final("one two three"), 2.86)
    ends.transcript(Transcript("four"), 2.86)
    assert ends.poll(3.6) is None
    ends.transcript(final("four"), 3.7)
    utterance = ends.poll(3.7)
    assert utterance is not None
    assert utterance.text == "one two three four"
    assert ends.poll(99.0) is None
