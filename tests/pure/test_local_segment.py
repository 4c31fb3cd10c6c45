from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._local.moonshine import without_echoes
from patter_trio._local.segment import Segmenter, as_samples
from patter_trio.events import LINEAR_8K, MULAW_8K


def ramp(seconds: float, start: int = 0) -> bytes:
    """Linear sound in which every sample is another one."""
    return (np.arange(round(seconds * 8000)) + start).astype("<i2").tobytes()


def blocks(sound: bytes, size: int = 960) -> list[tuple[bytes, float]]:
    return [(sound[at : at + size], at / 16000) for at in range(0, len(sound), size)]


def test_speech_has_the_sound_before_its_edge() -> None:
    segmenter = Segmenter(LINEAR_8K, pre_roll=0.3, longest=25)
    sound = ramp(2.0)
    for block, at in blocks(sound[: 2 * 8000]):
        segmenter.hear(block, at)
    segmenter.begin(0.9)
    for block, at in blocks(sound[2 * 8000 :]):
        segmenter.hear(block, at + 1.0)
    assert segmenter.end() == sound[round(0.6 * 8000) * 2 :]


def test_only_what_is_there_can_stand_before_the_edge() -> None:
    segmenter = Segmenter(LINEAR_8K, pre_roll=0.3, longest=25)
    segmenter.hear(ramp(0.1), 0.0)
    segmenter.begin(0.05)
    assert segmenter.end() == ramp(0.1)


def test_the_end_of_one_speech_is_the_beginning_of_the_next() -> None:
    segmenter = Segmenter(LINEAR_8K, pre_roll=0.3, longest=25)
    segmenter.begin(0.0)
    segmenter.hear(ramp(1.0), 0.0)
    assert segmenter.end() == ramp(1.0)
    segmenter.begin(1.0)
    assert segmenter.end() == ramp(0.3, start=5600)


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=60))
def test_memory_while_nobody_speaks_is_bounded(sizes: list[int]) -> None:
    segmenter = Segmenter(MULAW_8K, pre_roll=0.3, longest=25)
    at = 0.0
    for size in sizes:
        segmenter.hear(bytes(size), at)
        at += size / 8000
    segmenter.begin(0.0)
    assert len(segmenter.end()) <= 1.2 * 8000 + max(sizes)


def test_a_speech_that_is_too_long_is_cut_where_it_is_quiet() -> None:
    noise = np.random.default_rng(3).normal(0, 3000, 5 * 8000).astype("<i2")
    noise[round(3.4 * 8000) : round(3.6 * 8000)] //= 100
    segmenter = Segmenter(LINEAR_8K, pre_roll=0.3, longest=5.0)
    segmenter.begin(0.0)
    older = [piece for block, at in blocks(noise.tobytes()) if (piece := segmenter.hear(block, at))]
    assert len(older) == 1
    assert 3.4 <= len(older[0]) / 16000 <= 3.6
    assert older[0] + segmenter.end() == noise.tobytes()


def test_a_pause_is_seen_in_the_running_speech() -> None:
    rng = np.random.default_rng(5)
    loud, soft = (rng.normal(0, level, 8000).astype("<i2").tobytes() for level in (3000, 20))
    segmenter = Segmenter(LINEAR_8K, pre_roll=0.0, longest=25)
    segmenter.begin(0.0)
    for block, at in blocks(loud + soft):
        segmenter.hear(block, at)
    assert 0.9 < segmenter.voiced_until <= 1.08
    assert segmenter.ends_at == 2.0


def test_sound_becomes_floats_at_the_models_rate() -> None:
    samples = as_samples(b"\x80" * 800, MULAW_8K, 16000)
    assert len(samples) == 1600
    assert samples.dtype == np.float32
    assert 0.9 < samples[800] < 1.0


def test_a_decoder_that_talks_to_itself_is_stopped() -> None:
    said = [5, 6, 7]
    assert without_echoes([*said, *[1, 2, 3, 4] * 4]) == [*said, 1, 2, 3, 4]
    assert without_echoes([*said, *[9] * 12]) == [*said, 9]


def test_digits_of_a_telephone_number_may_repeat() -> None:
    for tokens in ([5] * 4, [8, 5, 5, 5, 5, 1, 2], [1, 2] * 3, list(range(40))):
        assert without_echoes(tokens) == tokens
