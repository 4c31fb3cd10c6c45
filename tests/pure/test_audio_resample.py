"""Levels are measured with pure tones under a Hann window, in dB relative to the tone that went in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from patter_trio._audio.resample import Resampler
from patter_trio.errors import PatterConfigError

RATES = (8000, 11025, 16000, 22050, 24000, 44100, 48000)
AMPLITUDE = 16000.0

down_to_telephone = pytest.mark.parametrize("rate", [16000, 22050, 24000, 44100, 48000])


def tone(frequency: float, rate: int, seconds: float = 0.5) -> bytes:
    time = np.arange(round(seconds * rate)) / rate
    return np.rint(AMPLITUDE * np.sin(2 * np.pi * frequency * time)).astype("<i2").tobytes()


def resample(pcm: bytes, from_rate: int, to_rate: int) -> NDArray[np.float64]:
    resampler = Resampler(from_rate, to_rate)
    return np.frombuffer(resampler.feed(pcm) + resampler.flush(), "<i2").astype(np.float64)


def level(sound: NDArray[np.float64], frequency: float, rate: int) -> float:
    middle = sound[len(sound) // 5 : -len(sound) // 5]
    window = np.hanning(len(middle))
    turning = np.exp(-2j * np.pi * frequency * np.arange(len(middle)) / rate)
    found = 2 * abs(np.sum(middle * window * turning)) / np.sum(window)
    return float(20 * np.log10(max(found, 1e-6) / AMPLITUDE))


@down_to_telephone
@pytest.mark.parametrize("frequency", [4400, 4700, 5000, 6000, 7000, 7900])
def test_what_a_telephone_cannot_carry_does_not_fold_back(rate: int, frequency: float) -> None:
    sound = resample(tone(frequency, rate), rate, 8000)
    assert level(sound, 8000 - frequency, 8000) <= -80


@down_to_telephone
@pytest.mark.parametrize("frequency", [100, 300, 1000, 2000, 3000])
def test_speech_keeps_its_level_on_the_way_down(rate: int, frequency: float) -> None:
    assert level(resample(tone(frequency, rate), rate, 8000), frequency, 8000) == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("rate", [16000, 24000, 44100, 48000])
@pytest.mark.parametrize("frequency", [300, 1000, 3000, 3500])
def test_there_is_no_image_of_the_caller_above_4_khz(rate: int, frequency: float) -> None:
    sound = resample(tone(frequency, 8000), 8000, rate)
    assert level(sound, 8000 - frequency, rate) <= -80
    if frequency <= 3000:
        assert level(sound, frequency, rate) == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize(("from_rate", "to_rate"), [*itertools.permutations(RATES, 2)])
def test_every_rate_changes_into_every_other_in_time_and_in_shape(from_rate: int, to_rate: int) -> None:
    sound = resample(tone(1000, from_rate, 0.25), from_rate, to_rate)
    assert len(sound) == -(-round(0.25 * from_rate) * to_rate // from_rate)
    wanted = AMPLITUDE * np.sin(2 * np.pi * 1000 * np.arange(len(sound)) / to_rate)
    middle = slice(len(sound) // 5, -len(sound) // 5)
    assert float(np.abs(sound - wanted)[middle].max()) < AMPLITUDE / 1000


def test_a_frame_is_withheld_for_no_more_than_2_ms() -> None:
    resampler = Resampler(24000, 8000)
    lengths = [len(resampler.feed(bytes(2 * 480))) // 2 for _ in range(5)]
    assert lengths == [160 - 16, 160, 160, 160, 160]
    assert len(resampler.flush()) // 2 == 16


def test_full_scale_is_clipped_and_never_wraps() -> None:
    square = np.where(np.arange(4800) // 120 % 2, 32767, -32768).astype("<i2").tobytes()
    sound = resample(square, 24000, 8000)
    assert sound.max() == 32767
    assert sound.min() == -32768
    # A sample that wrapped would lie far on the other side of its neighbours.
    assert np.abs(np.diff(sound[5:35])).max() < 3000


def test_silence_stays_silent() -> None:
    assert not resample(bytes(9600), 24000, 8000).any()


def test_a_stream_after_the_flush_knows_nothing_of_the_one_before() -> None:
    resampler = Resampler(24000, 8000)
    first = resampler.feed(tone(700, 24000, 0.05) + b"x") + resampler.flush()
    assert resampler.feed(tone(700, 24000, 0.05)) + resampler.flush() == first
    assert resampler.flush() == b""


def test_an_empty_stream_gives_nothing() -> None:
    resampler = Resampler(8000, 16000)
    assert resampler.feed(b"") + resampler.feed(b"x") + resampler.flush() == b""


def test_equal_rates_give_the_sound_itself() -> None:
    resampler, sound = Resampler(16000, 16000), tone(700, 16000, 0.02)
    assert resampler.feed(sound) is sound
    assert resampler.feed(sound[:3]) + resampler.feed(sound[3:]) == sound
    assert resampler.flush() == b""


@pytest.mark.parametrize(("from_rate", "to_rate"), [(0, 8000), (8000, -1), (44101, 8000), (8000, 47999)])
def test_rates_without_a_simple_ratio_are_refused(from_rate: int, to_rate: int) -> None:
    with pytest.raises(PatterConfigError):
        Resampler(from_rate, to_rate)
