"""Keys as tones, read back by a receiver of another make: Goertzel filters over blocks of 10 ms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patter_trio._audio import g711
from patter_trio._audio.dtmf import DTMF_KEYS, dtmf_tones
from patter_trio.errors import PatterConfigError

_LOW = {697: "123A", 770: "456B", 852: "789C", 941: "*0#D"}
_HIGH = (1209, 1336, 1477, 1633)

_LINES: dict[str, Callable[[bytes], bytes]] = {
    "linear": lambda pcm: pcm,
    "mulaw": lambda pcm: g711.mulaw_to_linear(g711.linear_to_mulaw(pcm)),
    "alaw": lambda pcm: g711.alaw_to_linear(g711.linear_to_alaw(pcm)),
}


def _power(block: list[int], frequency: float, rate: int) -> float:
    """Goertzel's recursion: the power of one frequency in a block."""
    factor = 2 * math.cos(2 * math.pi * frequency / rate)
    before = last = 0.0
    for sample in block:
        before, last = last, sample + factor * last - before
    return (last**2 + before**2 - factor * last * before) / (len(block) / 2) ** 2


def _key_in(block: list[int], rate: int) -> str | None:
    low = {f: _power(block, f, rate) for f in _LOW}
    high = {f: _power(block, f, rate) for f in _HIGH}
    row, column = max(low, key=low.__getitem__), max(high, key=high.__getitem__)
    total = sum(sample * sample for sample in block) / len(block)
    # Two tones and hardly anything else, both of them loud enough, neither 8 dB above the other.
    if total < 100**2 or (low[row] + high[column]) / 2 < 0.7 * total:
        return None
    if not -8 < 10 * math.log10(low[row] / high[column]) < 8:
        return None
    return _LOW[row][_HIGH.index(column)]


def _read_keys(pcm: bytes, rate: int) -> list[tuple[str, float]]:
    """Keys that lasted 40 ms or more, and the seconds at which they began."""
    samples = np.frombuffer(pcm, "<i2").tolist()
    # 13 ms tell two neighbouring rows apart; blocks follow each other every 5 ms.
    size, step = round(0.013 * rate), round(0.005 * rate)
    starts = range(0, len(samples) - size + 1, step)
    seen = [(_key_in(samples[at : at + size], rate), at / rate) for at in starts]
    runs = [list(run) for _, run in itertools.groupby(seen, key=lambda one: one[0])]
    return [(run[0][0], run[0][1]) for run in runs if run[0][0] is not None and len(run) >= 8]


@pytest.mark.parametrize("line", _LINES)
@pytest.mark.parametrize("rate", [8000, 16000])
@settings(max_examples=15, deadline=None)
@given(digits=st.text("0123456789*#ABCD", min_size=1, max_size=8))
def test_every_string_is_read_back_over_every_line(rate: int, line: str, digits: str) -> None:
    heard = _read_keys(_LINES[line](dtmf_tones(digits, rate)), rate)
    assert "".join(key for key, _ in heard) == digits


@pytest.mark.parametrize("line", _LINES)
def test_all_sixteen_keys_are_read_back(line: str) -> None:
    keys = "".join(DTMF_KEYS)
    assert len(keys) == 16
    for rate in (8000, 16000, 24000, 11025):
        assert "".join(key for key, _ in _read_keys(_LINES[line](dtmf_tones(keys, rate)), rate)) == keys


def test_pauses_last_half_a_second_and_a_whole_one() -> None:
    starts = [at for _, at in _read_keys(dtmf_tones("1w2W3", 8000), 8000)]
    assert starts == pytest.approx([0.0, 0.68, 1.86], abs=0.011)


def test_a_key_sounds_and_rests_as_long_as_asked() -> None:
    sound = np.frombuffer(dtmf_tones("5", 8000, tone_ms=200, pause_ms=300), "<i2")
    assert len(sound) == 8000 * 0.5
    assert np.abs(sound[1500:1590]).max() > 10000
    assert not sound[1600:].any()


def test_the_high_tone_is_two_decibels_louder_and_nothing_clips() -> None:
    for key, (low, high) in DTMF_KEYS.items():
        sound = np.frombuffer(dtmf_tones(key, 8000, tone_ms=1000), "<i2")
        block = sound[400:7400].tolist()
        twist = 10 * math.log10(_power(block, high, 8000) / _power(block, low, 8000))
        assert twist == pytest.approx(2.0, abs=0.1)
        assert np.abs(sound).max() < 0.7 * 32768


def test_keys_begin_and_end_without_a_click() -> None:
    sound = np.frombuffer(dtmf_tones("D", 16000), "<i2").astype(float)
    # Far above the tones there is nothing: a hard edge would put some -30 dB there.
    spectrum = np.abs(np.fft.rfft(sound))
    frequencies = np.fft.rfftfreq(len(sound), 1 / 16000)
    assert 20 * math.log10(spectrum[frequencies > 3000].max() / spectrum.max()) < -60


@pytest.mark.parametrize("digits", ["", "12x", "a", "1 2", "+1", "١"])
def test_what_is_no_key_is_refused(digits: str) -> None:
    with pytest.raises(PatterConfigError, match="0-9"):
        dtmf_tones(digits, 8000)


@pytest.mark.parametrize("wrong", [{"tone_ms": 39}, {"pause_ms": 0}, {"tone_ms": 5001}])
def test_lengths_that_no_receiver_takes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(PatterConfigError, match=next(iter(wrong))):
        dtmf_tones("1", 8000, **wrong)


def test_a_rate_too_low_for_the_tones_is_refused() -> None:
    with pytest.raises(PatterConfigError, match="sample_rate"):
        dtmf_tones("1", 4000)
