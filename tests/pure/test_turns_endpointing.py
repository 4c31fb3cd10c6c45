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
