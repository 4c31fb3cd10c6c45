from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._turns.edges import SpeechTracker
from patter_trio.abc import VADProvider
from patter_trio.errors import PatterConfigError
from patter_trio.vad import EnergyVAD


def noise(seconds: float, level_db: float, seed: int = 1) -> bytes:
    samples = (
        np.random.default_rng(seed).standard_normal(round(seconds * 8000)) * 32768 * 10 ** (level_db / 20)
    )
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


def edges(pcm: bytes, vad: EnergyVAD) -> list[tuple[bool, float]]:
    detector = vad.open_detector(8000)
    tracker = SpeechTracker(vad.thresholds, detector.window)
    found = []
    for number, probability in enumerate(detector.feed(pcm), 1):
        edge = tracker.feed(probability)
        if edge is not None:
            found.append((edge, number * detector.window))
    return found


def test_it_is_a_provider() -> None:
    assert isinstance(EnergyVAD(), VADProvider)


@pytest.mark.parametrize("floor_db", [-90.0, -65.0, -50.0])
def test_a_voice_over_the_lines_noise_makes_two_edges(floor_db: float) -> None:
    pcm = noise(2, floor_db) + noise(1, -22) + noise(1, floor_db)
    (began, at), (ended, until) = edges(pcm, EnergyVAD())
    assert (began, ended) == (True, False)
    assert math.isclose(at, 2.06, abs_tol=0.021)
    assert math.isclose(until, 3.25, abs_tol=0.041)


def test_a_click_is_no_voice() -> None:
    assert edges(noise(2, -60) + noise(0.04, -15) + noise(1, -60), EnergyVAD()) == []


def test_noise_that_stays_becomes_the_floor() -> None:
    found = edges(noise(2, -65) + noise(12, -45), EnergyVAD())
    assert [edge for edge, _ in found] == [True, False]
    assert found[1][1] < 8


def test_nothing_below_the_absolute_limit_is_speech() -> None:
    assert edges(noise(2, -85) + noise(1, -58), EnergyVAD()) == []
    assert edges(noise(2, -85) + noise(1, -58), EnergyVAD(quietest_db=-70)) != []


def test_direct_current_is_no_sound() -> None:
    assert edges(np.full(16000, 9000, "<i2").tobytes(), EnergyVAD()) == []


@given(st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_how_the_sound_is_cut_does_not_change_what_it_says(sizes: list[int]) -> None:
    pcm = noise(0.2, -60) + noise(0.2, -20)
    whole = EnergyVAD().open_detector(8000).feed(pcm)
    detector, cut, start = EnergyVAD().open_detector(8000), list[float](), 0
    for size in [*sizes, len(pcm)]:
        cut += detector.feed(pcm[start : start + size])
        start += size
    assert cut == whole


@pytest.mark.parametrize("setting", [{"above_noise_db": 0}, {"onset_windows": 0}, {"min_silence_ms": -1}])
def test_a_setting_out_of_range_is_refused(setting: dict[str, int]) -> None:
    with pytest.raises(PatterConfigError):
        EnergyVAD(**setting)  # type: ignore[arg-type]  # a wrong value is the point


def test_an_unknown_rate_is_refused() -> None:
    with pytest.raises(PatterConfigError, match="11025"):
        EnergyVAD().open_detector(11025)
