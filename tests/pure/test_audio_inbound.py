"""Rumble out and loudness evened, on sound whose levels are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from patter_trio._audio.inbound import AgcConfig, AutomaticGain, HighPass
from patter_trio._audio.levels import rms_dbfs
from patter_trio.errors import PatterConfigError


def tone(hertz: float, seconds: float, rate: int, dbfs: float = -10.0) -> bytes:
    """A sine whose level (RMS) is ``dbfs``."""
    loud = 32768 * 10 ** (dbfs / 20) * math.sqrt(2)
    turns = 2 * math.pi * hertz * np.arange(round(seconds * rate)) / rate
    return bytes(np.rint(np.clip(loud * np.sin(turns), -32768, 32767)).astype("<i2"))


def samples(pcm: bytes) -> NDArray[np.float64]:
    return np.frombuffer(pcm, "<i2").astype(float)


def in_frames(stage: HighPass | AutomaticGain, pcm: bytes, rate: int) -> bytes:
    size = rate // 25
    return b"".join(stage.process(pcm[at : at + size]) for at in range(0, len(pcm), size))


# --- the high-pass ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("corner", [80.0, 100.0, 200.0])
@pytest.mark.parametrize("hertz", [25.0, 50.0, 100.0, 300.0, 1000.0, 3000.0])
def test_it_falls_as_a_butterworth_filter_does(rate: int, corner: float, hertz: float) -> None:
    heard = in_frames(HighPass(corner, rate), tone(hertz, 1.0, rate), rate)
    # Prewarped by the bilinear transform, the response is exact in the tangents.
    ratio = math.tan(math.pi * corner / rate) / math.tan(math.pi * hertz / rate)
    wanted = -10 - 10 * math.log10(1 + ratio**4)
    assert rms_dbfs(heard[rate:]) == pytest.approx(wanted, abs=0.1)


@given(
    st.lists(st.integers(-32768, 32767), max_size=400),
    st.lists(st.integers(0, 130), max_size=8),
    st.sampled_from([8000, 16000]),
)
def test_it_is_the_recursion_of_the_books_however_the_sound_is_split(
    values: list[int], cuts: list[int], rate: int
) -> None:
    pcm = np.array(values, "<i2").tobytes()
    stage, heard, at = HighPass(100, rate), b"", 0
    for cut in cuts:
        heard += stage.process(pcm[at : at + 2 * cut])
        at += 2 * cut
    heard += stage.process(pcm[at:])
    turn = 2 * math.pi * 100 / rate
    alpha = math.sin(turn) / (2 * math.sqrt(0.5))
    b0, b1 = (1 + math.cos(turn)) / 2, -(1 + math.cos(turn))
    wanted, x1, x2, y1, y2 = [], 0.0, 0.0, 0.0, 0.0
    for x in values:
        y = (b0 * x + b1 * x1 + b0 * x2 + 2 * math.cos(turn) * y1 - (1 - alpha) * y2) / (1 + alpha)
        x1, x2, y1, y2 = x, x1, y, y1
        wanted.append(min(32767, max(-32768, y)))
    assert np.abs(samples(heard) - np.array(wanted)).max(initial=0) <= 0.51


def test_direct_current_is_gone() -> None:
    heard = in_frames(HighPass(100, 8000), np.full(8000, 5000, "<i2").tobytes(), 8000)
    assert not samples(heard)[4000:].any()


def test_half_a_sample_is_left_out() -> None:
    assert len(HighPass(100, 8000).process(bytes(33))) == 32
    assert AutomaticGain(AgcConfig(), 8000).process(b"\1") == b""


@pytest.mark.parametrize("hertz", [0, -1, 4000, math.nan])
def test_a_frequency_that_the_rate_does_not_have_is_refused(hertz: float) -> None:
    with pytest.raises(PatterConfigError, match="high-pass"):
        HighPass(hertz, 8000)


# --- the gain -----------------------------------------------------------------------------------------------


def evened(pcm: bytes, rate: int = 8000, /, **settings: float) -> bytes:
    return in_frames(AutomaticGain(AgcConfig(**settings), rate), pcm, rate)


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("dbfs", [-40.0, -30.0, -18.0, -6.0])
def test_a_voice_is_brought_to_the_target(rate: int, dbfs: float) -> None:
    heard = evened(tone(400, 3.0, rate, dbfs), rate)
    assert rms_dbfs(heard[4 * rate :]) == pytest.approx(-18, abs=0.2)


def test_the_target_is_a_setting() -> None:
    heard = evened(tone(400, 3.0, 8000, -30), target_dbfs=-24.0)
    assert rms_dbfs(heard[32000:]) == pytest.approx(-24, abs=0.2)


def test_no_voice_is_changed_by_more_than_the_most() -> None:
    assert rms_dbfs(evened(tone(400, 3.0, 8000, -40), max_gain_db=6.0)[32000:]) == pytest.approx(-34, abs=0.2)
    assert rms_dbfs(evened(tone(400, 3.0, 8000, -4), max_gain_db=6.0)[32000:]) == pytest.approx(-10, abs=0.2)


def test_silence_is_not_pumped_up() -> None:
    """What was -60 dB behind a loud word is -60 dB less the gain of that word, however long it lasts."""
    word, hiss = tone(400, 1.0, 8000, -10), tone(400, 5.0, 8000, -60)
    heard = evened(word + hiss)
    assert rms_dbfs(heard[-8000:]) == pytest.approx(-68, abs=1)
    assert rms_dbfs(evened(hiss)) == pytest.approx(-60, abs=1)


def test_the_floor_is_a_setting() -> None:
    heard = evened(tone(400, 3.0, 8000, -50), floor_dbfs=-55.0)
    assert rms_dbfs(heard[-8000:]) == pytest.approx(-50 + 30, abs=0.5)


def seconds_to_settle(before: float, after: float, **settings: float) -> float:
    """From a change of level until the output is within 1 dB of the target."""
    heard = evened(tone(400, 4.0, 8000, before) + tone(400, 4.0, 8000, after), **settings)[4 * 16000 :]
    frames = [rms_dbfs(heard[at : at + 320]) for at in range(0, len(heard), 320)]
    return 0.02 * max(number for number, level in enumerate(frames) if abs(level + 18) > 1)


def test_the_gain_falls_fast_and_rises_slowly() -> None:
    assert seconds_to_settle(-36, -12) < 0.1
    assert 0.3 < seconds_to_settle(-12, -36) < 1.0


def test_attack_and_release_are_settings() -> None:
    assert seconds_to_settle(-36, -21, attack_ms=400.0) > 0.4
    assert seconds_to_settle(-12, -36, release_ms=20.0) < 0.1


@pytest.mark.parametrize("ceiling", [0.5, 0.99])
def test_a_sudden_shout_does_not_pass_the_ceiling(ceiling: float) -> None:
    shout = tone(300, 0.5, 8000, -1)
    heard = evened(tone(300, 3.0, 8000, -40) + shout, ceiling=ceiling)
    assert np.abs(samples(heard)).max() <= ceiling * 32768 + 1
    assert np.abs(samples(heard)[24000:24200]).max() > ceiling * 32768 * 0.9


@given(st.lists(st.lists(st.integers(-32768, 32767), max_size=200), max_size=8))
def test_as_much_comes_out_as_goes_in_and_never_louder_than_the_ceiling(pieces: list[list[int]]) -> None:
    stage = AutomaticGain(AgcConfig(), 8000)
    for piece in pieces:
        heard = stage.process(np.array(piece, "<i2").tobytes())
        assert len(heard) == 2 * len(piece)
        assert np.abs(samples(heard)).max(initial=0) <= 0.99 * 32768 + 1


@pytest.mark.parametrize("field", ["target_dbfs", "max_gain_db", "floor_dbfs", "attack_ms", "ceiling"])
@pytest.mark.parametrize("wrong", [-1000, 1e9, math.nan, True, "loud"])
def test_settings_out_of_range_are_refused(field: str, wrong: Any) -> None:
    with pytest.raises(PatterConfigError, match=field):
        AgcConfig(**{field: wrong})
