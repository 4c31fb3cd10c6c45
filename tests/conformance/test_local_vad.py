from __future__ import annotations

import statistics

import numpy as np
import pytest

from patter_trio._audio import g711
from patter_trio.abc import VADProvider
from patter_trio.errors import PatterConfigError
from patter_trio.tts import HibariTTS
from patter_trio.vad import SileroVAD

from .local_line import DESK, hearing_of, onsets, quiet, sound_of, tone, with_noise

pytestmark = pytest.mark.local

# Every sentence has this much silence before it; its sound begins 30 ms into the voice's piece.
LEAD = 0.8


async def test_silero_is_a_provider_and_its_settings_are_what_the_call_reads() -> None:
    settings = SileroVAD(threshold=0.6, release_threshold=0.4, onset_windows=3, min_silence_ms=400)
    assert isinstance(settings, VADProvider)
    read = settings.thresholds
    assert (read.onset, read.release, read.onset_windows, read.min_silence) == (0.6, 0.4, 3, 0.4)
    async with settings.open() as live:
        assert isinstance(live, VADProvider)
        assert live.open_detector(8000).window == live.open_detector(16000).window == 0.032


@pytest.mark.parametrize("setting", [{"threshold": 1.0}, {"release_threshold": 0.6}, {"onset_windows": 0}])
def test_silero_refuses_a_setting_that_cannot_work(setting: dict[str, float]) -> None:
    with pytest.raises(PatterConfigError):
        SileroVAD(**setting)  # type: ignore[arg-type]  # a wrong value is the point


def test_silero_refuses_a_rate_it_was_not_trained_on() -> None:
    with pytest.raises(PatterConfigError, match="44100"):
        SileroVAD().open_detector(44100)


@pytest.mark.parametrize(
    "sound",
    [
        quiet(6),
        with_noise(quiet(6), -50),
        with_noise(quiet(6), -30),
        tone(440, 480, seconds=8, on=2, off=4),
        tone(1000, seconds=5),
        tone(480, 620, seconds=5, on=0.5, off=0.5),
        tone(697, 1209, seconds=3, on=0.1, off=0.1),
    ],
    ids=["silence", "soft noise", "loud noise", "ringing", "tone", "busy", "dtmf"],
)
def test_what_is_no_voice_is_not_noticed(sound: bytes) -> None:
    assert onsets(SileroVAD(), quiet(0.5) + sound) == []


async def test_a_voice_is_noticed_within_a_tenth_of_a_second_and_left_when_it_ends() -> None:
    late: list[float] = []
    for text in DESK:
        sound = await sound_of(HibariTTS(), text)
        noticed = onsets(SileroVAD(), quiet(LEAD) + sound + quiet(0.6))
        late.append(noticed[0] - LEAD - 0.03)
    assert statistics.median(late) <= 0.12
    assert max(late) <= 0.4


async def test_a_voice_in_noise_and_a_faint_voice_are_noticed() -> None:
    sound = quiet(LEAD) + await sound_of(HibariTTS(), DESK[1]) + quiet(0.6)
    assert onsets(SileroVAD(), with_noise(sound, -45))[0] < LEAD + 0.3
    faint = np.frombuffer(g711.mulaw_to_linear(sound), "<i2") // 10
    assert onsets(SileroVAD(), g711.linear_to_mulaw(faint.astype("<i2").tobytes()))[0] < LEAD + 0.5


async def test_how_the_sound_is_cut_does_not_change_the_probabilities() -> None:
    pcm = g711.mulaw_to_linear(await sound_of(HibariTTS(), DESK[0]))
    whole = SileroVAD().open_detector(8000).feed(pcm)
    for size in (2, 160, 320, 1000, 4096):
        detector = SileroVAD().open_detector(8000)
        cut = [
            value for start in range(0, len(pcm), size) for value in detector.feed(pcm[start : start + size])
        ]
        assert cut == whole
    assert len(whole) == len(pcm) // 512


async def test_two_calls_share_the_network_and_not_its_memory() -> None:
    pcm = g711.mulaw_to_linear(await sound_of(HibariTTS(), DESK[0]))
    alone = SileroVAD().open_detector(8000).feed(pcm)
    async with SileroVAD().open() as live:
        first, second = live.open_detector(8000), live.open_detector(8000)
        interleaved = []
        for start in range(0, len(pcm), 320):
            second.feed(b"\x00\x11" * 160)
            interleaved += first.feed(pcm[start : start + 320])
    assert interleaved == alone


async def test_the_edges_stand_around_the_speech() -> None:
    sound = await sound_of(HibariTTS(), DESK[3])
    items = hearing_of(SileroVAD(), quiet(1.0) + sound + quiet(0.8))
    began = next(item.at for item in items if type(item).__name__ == "SpeechStarted")
    ended = [item.at for item in items if type(item).__name__ == "SpeechEnded"][-1]
    assert 0.95 < began < 1.3
    assert abs(ended - (1.0 + len(sound) / 8000)) < 0.25
