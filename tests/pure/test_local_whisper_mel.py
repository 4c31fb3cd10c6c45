"""The vector was made by another implementation: the one that the model was trained with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from patter_trio._local.whisper_mel import BANDS, HOP, SAMPLE_RATE, log_mel, normalised

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "whisper_mel.json").read_text(encoding="utf-8"))


def sweep_behind_silence() -> NDArray[np.float32]:
    """8 s: 3.3 s of silence, then a rising tone that swells, on a little direct current."""
    time = np.arange(8 * SAMPLE_RATE - 52800) / SAMPLE_RATE
    tone = 0.3 * np.sin(2 * np.pi * (200 * time + 350 * time**2)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time))
    return np.concatenate([np.zeros(52800), tone + 0.01]).astype(np.float32)


def test_the_picture_is_the_one_that_whisper_was_trained_on() -> None:
    picture = log_mel(normalised(sweep_behind_silence()))
    assert picture.shape == (BANDS, 800)
    assert picture.dtype == np.float32
    for column, expected in VECTOR["columns"].items():
        assert picture[:, int(column)] == pytest.approx(expected, abs=1e-3)


def test_loudness_and_direct_current_do_not_change_the_picture() -> None:
    sound = sweep_behind_silence()
    quiet = log_mel(normalised(sound * np.float32(0.1) + np.float32(0.05)))
    assert quiet == pytest.approx(log_mel(normalised(sound)), abs=0.01)


def test_silence_is_flat() -> None:
    silence = normalised(np.zeros(SAMPLE_RATE, np.float32))
    assert not silence.any()
    assert np.unique(log_mel(silence)).tolist() == [-1.5]


@given(st.integers(201, 4000), st.integers(0, 2**32 - 1))
def test_each_ten_milliseconds_has_a_column_within_eight_decades_of_the_loudest(
    samples: int, seed: int
) -> None:
    sound = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    picture = log_mel(normalised(sound))
    assert picture.shape == (BANDS, samples // HOP)
    assert np.isfinite(picture).all()
    assert np.ptp(picture) <= 2.0 + 1e-6


@pytest.mark.parametrize("frequency", [250, 1000, 3000, 6000])
def test_a_tone_lights_up_its_own_band(frequency: int) -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    picture = log_mel(np.sin(2 * np.pi * frequency * time).astype(np.float32))
    # Slaney's scale: linear to 1 kHz, then 27 mel per factor of 6.4; 80 bands up to 8 kHz.
    mel = frequency * 0.015 if frequency < 1000 else 15 + 27 * np.log(frequency / 1000) / np.log(6.4)
    top = 15 + 27 * np.log(8.0) / np.log(6.4)
    assert abs(int(picture[:, 50].argmax()) + 1 - mel / top * 81) <= 1
