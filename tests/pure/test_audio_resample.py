"""Rate changes: clean, aligned, and the same however the sound was cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from patter_trio import PatterConfigError
from patter_trio._audio.convert import Converter
from patter_trio._audio.resample import Resampler
from patter_trio.events import LINEAR_16K, MULAW_8K, AudioFormat

RATES = [
    (24000, 8000),
    (16000, 8000),
    (8000, 16000),
    (22050, 8000),
    (44100, 8000),
    (48000, 8000),
    (8000, 24000),
]


def tone(frequency: float, rate: int, seconds: float = 1.0) -> bytes:
    time = np.arange(int(rate * seconds)) / rate
    return (np.sin(2 * np.pi * frequency * time) * 16000).astype("<i2").tobytes()


def resampled(pcm: bytes, source: int, target: int) -> NDArray[np.float64]:
    resampler = Resampler(source, target)
    return np.frombuffer(resampler.feed(pcm) + resampler.flush(), "<i2").astype(float)


def level(samples: NDArray[np.float64], frequency: float, rate: int) -> float:
    """dB of one frequency, against the amplitude that went in."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    window = np.hanning(len(middle))
    time = np.arange(len(middle)) / rate
    found = abs(np.sum(middle * window * np.exp(-2j * np.pi * frequency * time))) / window.sum() * 2
    return float(20 * np.log10(max(found, 1e-9) / 16000))


@pytest.mark.parametrize(("source", "target"), RATES)
@pytest.mark.parametrize("frequency", [300, 1000, 3000])
def test_speech_passes_at_its_level(source: int, target: int, frequency: int) -> None:
    out = resampled(tone(frequency, source), source, target)
    assert level(out, frequency, target) == pytest.approx(0.0, abs=0.3)


@pytest.mark.parametrize("source", [16000, 24000, 44100, 48000])
@pytest.mark.parametrize("frequency", [4400, 5000, 6000, 7000])
def test_what_a_telephone_cannot_carry_does_not_fold_back(source: int, frequency: int) -> None:
    out = resampled(tone(frequency, source), source, 8000)
    assert level(out, abs(8000 - frequency), 8000) < -80


def test_upsampling_leaves_no_image() -> None:
    out = resampled(tone(3000, 8000), 8000, 16000)
    assert level(out, 5000, 16000) < -80


@pytest.mark.parametrize(("source", "target"), RATES)
def test_the_output_is_as_long_as_the_input_and_aligned_with_it(source: int, target: int) -> None:
    click = np.zeros(source // 5, "<i2")
    click[source // 10] = 30000
    out = resampled(click.tobytes(), source, target)
    assert len(out) == target // 5
    assert abs(int(np.argmax(np.abs(out))) - target // 10) <= 1


@settings(max_examples=60)
@given(
    rates=st.sampled_from(RATES),
    cuts=st.lists(st.integers(0, 4000), max_size=12),
    seed=st.integers(0, 1000),
)
def test_how_the_sound_is_cut_never_changes_a_bit(rates: tuple[int, int], cuts: list[int], seed: int) -> None:
    source, target = rates
    pcm = np.random.default_rng(seed).integers(-32768, 32768, 2000).astype("<i2").tobytes()
    whole = Resampler(source, target)
    expected = whole.feed(pcm) + whole.flush()
    pieces = Resampler(source, target)
    places = [0, *sorted(cuts), len(pcm)]
    found = b"".join(pieces.feed(pcm[a:b]) for a, b in zip(places, places[1:], strict=False)) + pieces.flush()
    assert found == expected


def test_a_resampler_begins_afresh_after_a_flush() -> None:
    resampler = Resampler(24000, 8000)
    first = resampler.feed(tone(440, 24000, 0.1)) + resampler.flush()
    assert resampler.feed(tone(440, 24000, 0.1)) + resampler.flush() == first


def test_equal_rates_pass_samples_untouched_even_in_odd_pieces() -> None:
    resampler = Resampler(8000, 8000)
    assert resampler.feed(b"\1\2\3") + resampler.feed(b"\4\5") == b"\1\2\3\4"


@pytest.mark.parametrize("rates", [(0, 8000), (8000, -1), (7919, 8000)])
def test_rates_that_cannot_be_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(PatterConfigError):
        Resampler(*rates)


def test_a_voice_reaches_the_carriers_format() -> None:
    converter = Converter(AudioFormat("linear16", 24000), MULAW_8K)
    out = converter.feed(tone(440, 24000)) + converter.flush()
    assert len(out) == 8000


def test_equal_formats_cost_nothing() -> None:
    sound = b"\1\2\3"
    assert Converter(MULAW_8K, MULAW_8K).feed(sound) is sound
    assert Converter(LINEAR_16K, LINEAR_16K).flush() == b""
