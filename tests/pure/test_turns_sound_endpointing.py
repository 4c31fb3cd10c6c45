"""When a caller has finished whose words come later."""

from __future__ import annotations

import pytest

from patter_trio._turns.endpointing import EndpointingSettings
from patter_trio._turns.sound_endpointing import SoundEndpointing
from patter_trio.events import Transcript


def test_the_delay_after_the_edge_is_all_there_is_to_wait_for() -> None:
    endpointing = SoundEndpointing(EndpointingSettings(min_delay=0.2, max_delay=5.0))
    endpointing.speech_started(1.0)
    assert endpointing.deadline == float("inf")
    endpointing.speech_ended(2.0, 0.25)
    assert endpointing.deadline == pytest.approx(2.2)
    assert endpointing.poll(2.1) is None
    utterance = endpointing.poll(2.2)
    assert utterance is not None
    assert utterance.unworded
    assert utterance.says_something
    assert (utterance.text, utterance.speech_started, utterance.trailing_silence) == ("", 1.0, 0.25)


def test_speech_that_goes_on_is_one_utterance() -> None:
    endpointing = SoundEndpointing(EndpointingSettings(min_delay=0.2))
    endpointing.speech_started(1.0)
    endpointing.speech_ended(2.0)
    endpointing.speech_started(2.1)
    assert endpointing.poll(9.0) is None
    endpointing.speech_ended(10.0)
    utterance = endpointing.poll(10.2)
    assert utterance is not None
    assert utterance.speech_started == 1.0


def test_words_make_no_utterance() -> None:
    endpointing = SoundEndpointing()
    endpointing.transcript(Transcript("Hello.", is_final=True), 1.0)
    assert endpointing.deadline == float("inf")
    assert endpointing.text == ""


def test_somebody_else_may_say_that_they_have_finished() -> None:
    endpointing = SoundEndpointing()
    endpointing.commit()
    assert endpointing.poll(0.5) is None
    endpointing.speech_started(1.0)
    endpointing.commit()
    utterance = endpointing.poll(1.5)
    assert utterance is not None
    assert utterance.trigger == "manual_commit"


def test_a_turn_detector_may_hold_it_open() -> None:
    endpointing = SoundEndpointing(EndpointingSettings(min_delay=0.1, semantic_hold=1.0))
    endpointing.speech_started(1.0)
    endpointing.speech_ended(2.0)
    silence = endpointing.ask(2.0)
    assert silence is not None
    assert endpointing.deadline == pytest.approx(3.0)
    endpointing.judged(silence, True)
    assert endpointing.deadline == pytest.approx(2.1)


def test_the_delay_is_learned_where_that_is_wanted() -> None:
    endpointing = SoundEndpointing(EndpointingSettings(min_delay=0.1, max_delay=2.0, adaptive=True))
    at = 0.0
    for _ in range(8):
        endpointing.speech_started(at)
        endpointing.speech_ended(at + 1.0, 0.0)
        at += 1.8
        if endpointing.poll(at) is None:
            continue
    endpointing.speech_started(at)
    endpointing.speech_ended(at + 1.0, 0.0)
    assert endpointing.deadline > at + 1.1 + 0.2
