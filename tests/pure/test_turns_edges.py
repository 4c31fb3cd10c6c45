"""Speech edges from window probabilities."""

from __future__ import annotations

from patter_trio._turns.edges import SpeechTracker
from patter_trio.abc import DetectorThresholds

WINDOW = 0.032


def tracker() -> SpeechTracker:
    return SpeechTracker(DetectorThresholds(onset_windows=2, min_silence=0.25), WINDOW)


def edges(probabilities: list[float]) -> list[tuple[int, bool]]:
    speech = tracker()
    found = [(number, speech.feed(value)) for number, value in enumerate(probabilities)]
    return [(number, edge) for number, edge in found if edge is not None]


def test_one_voiced_window_is_no_speech() -> None:
    assert edges([0.9, 0.1, 0.9, 0.1]) == []


def test_two_voiced_windows_in_a_row_begin_speech() -> None:
    assert edges([0.1, 0.9, 0.9]) == [(2, True)]


def test_speech_ends_after_the_silence_and_not_before() -> None:
    assert edges([0.9] * 5 + [0.1] * 7) == [(1, True)]
    assert edges([0.9] * 5 + [0.1] * 8) == [(1, True), (12, False)]


def test_a_pause_inside_speech_is_not_its_end() -> None:
    assert edges([0.9] * 5 + [0.1] * 6 + [0.4] + [0.1] * 6) == [(1, True)]


def test_voiced_time_does_not_count_the_silence_that_ends_a_cough() -> None:
    speech = tracker()
    for value in [0.9, 0.9, 0.9, *[0.0] * 9]:
        speech.feed(value)
    assert not speech.speaking
    assert speech.voiced == 3 * WINDOW


def test_the_next_speech_starts_counting_afresh() -> None:
    speech = tracker()
    for value in [0.9] * 20 + [0.0] * 10 + [0.9, 0.9]:
        speech.feed(value)
    assert speech.speaking
    assert speech.voiced == 2 * WINDOW
