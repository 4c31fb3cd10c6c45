from __future__ import annotations

import math

import pytest

from patter_trio._audio import g711
from patter_trio._audio.convert import Converter
from patter_trio._audio.levels import rms_dbfs
from patter_trio._audio.resample import Resampler
from patter_trio.errors import PatterConfigError
from patter_trio.events import LINEAR_8K, LINEAR_16K, MULAW_8K, AudioFormat

VOICE_24K = AudioFormat("linear16", 24000)
ALAW_8K = AudioFormat("alaw", 8000)


def sine(frequency: float, rate: int, seconds: float) -> bytes:
    samples = (
        round(12000 * math.sin(2 * math.pi * frequency * number / rate))
        for number in range(round(seconds * rate))
    )
    return b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)


def convert(audio: bytes, source: AudioFormat, target: AudioFormat, piece: int | None = None) -> bytes:
    converter = Converter(source, target)
    step = piece or max(1, len(audio))
    out = [converter.feed(audio[at : at + step]) for at in range(0, len(audio), step)]
    return b"".join(out) + converter.flush()


def test_a_voice_becomes_what_the_carrier_takes() -> None:
    speech = sine(500, 24000, 0.2)
    mulaw = convert(speech, VOICE_24K, MULAW_8K)
    assert len(mulaw) == 1600
    assert rms_dbfs(g711.decode(mulaw, MULAW_8K)) == pytest.approx(rms_dbfs(speech), abs=0.2)
    resampler = Resampler(24000, 8000)
    assert mulaw == g711.encode(resampler.feed(speech) + resampler.flush(), MULAW_8K)


def test_the_caller_becomes_what_the_recogniser_takes() -> None:
    caller = g711.encode(sine(500, 8000, 0.2), MULAW_8K)
    linear = convert(caller, MULAW_8K, LINEAR_16K)
    assert len(linear) == 2 * 3200
    assert rms_dbfs(linear) == pytest.approx(rms_dbfs(g711.decode(caller, MULAW_8K)), abs=0.2)


def test_one_law_becomes_the_other() -> None:
    pcm = sine(500, 8000, 0.1)
    mulaw = g711.encode(pcm, MULAW_8K)
    assert convert(mulaw, MULAW_8K, ALAW_8K) == g711.encode(g711.decode(mulaw, MULAW_8K), ALAW_8K)


@pytest.mark.parametrize("audio", [MULAW_8K, ALAW_8K, LINEAR_8K, VOICE_24K])
def test_equal_formats_pass_the_sound_itself(audio: AudioFormat) -> None:
    sound = bytes(range(256))
    converter = Converter(audio, audio)
    assert converter.feed(sound) is sound
    assert converter.flush() == b""


@pytest.mark.parametrize("target", [MULAW_8K, ALAW_8K, LINEAR_8K, LINEAR_16K])
@pytest.mark.parametrize("source", [LINEAR_8K, VOICE_24K])
def test_a_provider_that_cuts_samples_in_half_is_understood(source: AudioFormat, target: AudioFormat) -> None:
    sound = sine(700, source.sample_rate, 0.05)
    assert convert(sound, source, target, piece=333) == convert(sound, source, target)


def test_half_a_sample_at_the_very_end_is_left_out() -> None:
    assert convert(sine(700, 8000, 0.02) + b"x", LINEAR_8K, LINEAR_8K) == sine(700, 8000, 0.02)


def test_rates_without_a_simple_ratio_are_refused() -> None:
    with pytest.raises(PatterConfigError, match="44101"):
        Converter(AudioFormat("linear16", 44101), MULAW_8K)
