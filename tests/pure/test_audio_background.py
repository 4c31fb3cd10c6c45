"""What is heard behind the agent: sources, loudness, and how it gives way to speech."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from patter_trio._audio import g711
from patter_trio._audio.background import AudioConfig, BackgroundAudioPlayer, Bed
from patter_trio._audio.clips import CLIP_RATE, BuiltinAudioClip, clip_pcm
from patter_trio._audio.mix import fade_pcm, mix_pcm, scale_pcm
from patter_trio._audio.wav import write_wav
from patter_trio.errors import PatterConfigError
from patter_trio.events import LINEAR_8K, LINEAR_16K, AudioFormat

SILENT_FRAME = bytes(320)
pcm_of = st.lists(st.integers(-32768, 32767), max_size=50).map(
    lambda samples: np.array(samples, "<i2").tobytes()
)


def samples(pcm: bytes) -> NDArray[np.float64]:
    return np.frombuffer(pcm, "<i2").astype(float)


def level(pcm: bytes) -> float:
    return math.sqrt(float((samples(pcm) ** 2).mean()))


def tone(seconds: float = 1.0, rate: int = 8000, loud: int = 10000, hertz: float = 500.0) -> bytes:
    turns = 2 * math.pi * hertz * np.arange(round(seconds * rate)) / rate
    return bytes(np.rint(loud * np.sin(turns)).astype("<i2"))


def wav_of(*channels: bytes, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    write_wav(file, channels, rate)
    return file.getvalue()


# --- mixing -------------------------------------------------------------------------------------------------


@given(pcm_of, pcm_of)
def test_a_mix_is_the_sum_limited_and_never_wrapped_around(first: bytes, second: bytes) -> None:
    length = max(len(first), len(second))
    wanted = samples(first.ljust(length, b"\0")) + samples(second.ljust(length, b"\0"))
    assert np.array_equal(samples(mix_pcm(first, second)), np.clip(wanted, -32768, 32767))


def test_half_a_sample_is_left_out_of_a_mix() -> None:
    assert mix_pcm(b"\1\0\7", b"\2\0") == b"\3\0"


@given(pcm_of, st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 0.2))
def test_a_fade_moves_step_by_step_and_says_where_it_ended(
    pcm: bytes, start: float, stop: float, step: float
) -> None:
    faded, gain = fade_pcm(pcm, start, stop, step)
    gains, at = [], start
    for _ in range(len(pcm) // 2):
        at = min(at + step, stop) if stop > start else max(at - step, stop)
        gains.append(at)
    assert len(faded) == len(pcm)
    assert np.abs(samples(faded) - samples(pcm) * gains).max(initial=0) <= 1
    assert gain == pytest.approx(gains[-1] if gains else stop)


def test_a_louder_scale_is_limited() -> None:
    assert samples(scale_pcm(np.array([20000, -20000], "<i2").tobytes(), 2.0)).tolist() == [32767, -32768]


# --- the bed ------------------------------------------------------------------------------------------------


def opened(source: Any, audio: AudioFormat = LINEAR_8K, **settings: Any) -> Bed:
    settings = {"volume": 0.5, "loop": True, **settings}
    return BackgroundAudioPlayer(AudioConfig(source, sample_rate=8000), **settings).open_bed(audio)


def settled(bed: Bed, *, speech: bytes | None = None) -> bytes:
    """A second of it, once its fades are over."""
    take = bed.alone if speech is None else lambda: bed.under(speech)
    for _ in range(10):
        take()
    return b"".join(take() for _ in range(50))


def test_it_is_heard_at_its_volume() -> None:
    assert level(settled(opened(tone(), volume=0.5))) == pytest.approx(level(tone()) * 0.5, rel=0.01)
    assert level(settled(opened(tone(), volume=0.1))) == pytest.approx(level(tone()) * 0.1, rel=0.01)


@pytest.mark.parametrize("duck_db", [0.0, -6.0, -20.0])
def test_under_speech_it_is_softer_by_so_many_decibels(duck_db: float) -> None:
    bed = opened(tone(), duck_db=duck_db)
    alone, under = settled(bed), settled(bed, speech=SILENT_FRAME)
    assert 20 * math.log10(level(under) / level(alone)) == pytest.approx(duck_db, abs=0.1)


@pytest.mark.parametrize("audio", [AudioFormat("mulaw"), AudioFormat("alaw"), LINEAR_8K, LINEAR_16K])
def test_speech_is_heard_over_it_in_every_format(audio: AudioFormat) -> None:
    bed = opened(tone(hertz=500), audio)
    speech = tone(12.0, audio.sample_rate, hertz=1000)
    frames = [
        g711.encode(speech[at : at + audio.sample_rate // 25], audio)
        for at in range(0, len(speech), audio.sample_rate // 25)
    ]
    for frame in frames[:20]:
        assert len(bed.under(frame)) == len(frame)
    mixed = samples(g711.decode(b"".join(bed.under(frame) for frame in frames[:50]), audio))
    spectrum = np.abs(np.fft.rfft(mixed)) / (len(mixed) / 2)
    assert spectrum[1000] == pytest.approx(10000, rel=0.02)
    assert spectrum[500] == pytest.approx(10000 * 0.5 * 10**-0.5, rel=0.05)


def test_it_gives_way_and_comes_back_without_a_step() -> None:
    constant = np.full(8000, 20000, "<i2").tobytes()
    bed = opened(constant, duck_db=-20.0)
    heard = b"".join(bed.alone() for _ in range(15))
    heard += b"".join(bed.under(SILENT_FRAME) for _ in range(15))
    heard += b"".join(bed.alone() for _ in range(15))
    steps = np.abs(np.diff(samples(heard), prepend=0))
    # From full volume to nothing takes 150 ms: 1200 samples.
    assert steps.max() <= 10000 / 1200 + 1
    assert samples(heard)[[2350, 4750, 7150]] == pytest.approx([10000, 1000, 10000], abs=2)


def test_it_begins_again_without_a_gap_when_it_loops() -> None:
    # 0.5 s of whole periods: the loop is one endless tone.
    bed = opened(tone(0.5), volume=1.0)
    heard = samples(settled(bed))
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.sort(spectrum)[-2] < spectrum.max() / 500
    assert not bed.ended


def test_a_loop_of_another_rate_has_no_seam_either() -> None:
    sound = AudioConfig(tone(0.5, 24000), sample_rate=24000)
    heard = samples(settled(BackgroundAudioPlayer(sound, volume=1.0, loop=True).open_bed(LINEAR_8K)))
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.sort(spectrum)[-2] < spectrum.max() / 500


def test_it_ends_when_it_does_not_loop_and_speech_is_left_alone() -> None:
    bed = opened(tone(0.05), loop=False)
    frames = [bed.alone() for _ in range(3)]
    assert bed.ended
    assert all(len(frame) == 320 for frame in frames)
    speech = tone(0.02)
    assert bed.under(speech) is speech


def test_what_is_too_loud_together_is_limited() -> None:
    bed = opened(np.full(8000, 32767, "<i2").tobytes(), volume=1.0, duck_db=0.0)
    mixed = samples(settled(bed, speech=np.full(160, 32767, "<i2").tobytes()))
    assert (mixed == 32767).all()


# --- sources ------------------------------------------------------------------------------------------------


def test_a_wav_file_is_read_from_its_path_or_its_bytes_and_made_one_channel(tmp_path: Path) -> None:
    left, right = tone(0.1), bytes(1600)
    (tmp_path / "room.wav").write_bytes(wav_of(left, right, rate=16000))
    by_path = AudioConfig(str(tmp_path / "room.wav"))
    assert by_path.rate == AudioConfig(tmp_path / "room.wav").rate == 16000
    assert by_path.pcm == AudioConfig(wav_of(left, right, rate=16000)).pcm
    assert samples(by_path.pcm) == pytest.approx(samples(left) / 2, abs=0.5)


@pytest.mark.parametrize("clip", BuiltinAudioClip)
def test_a_clip_is_sound_that_loops_without_a_click(clip: BuiltinAudioClip) -> None:
    pcm = clip_pcm(clip)
    assert pcm is clip_pcm(clip)
    assert 5 <= len(pcm) / 2 / CLIP_RATE <= 10
    assert 0.6 < np.abs(samples(pcm)).max() / 32767 < 0.71
    steps = np.abs(np.diff(samples(pcm)))
    assert abs(samples(pcm)[0] - samples(pcm)[-1]) <= steps.max()
    assert level(settled(BackgroundAudioPlayer(clip, volume=0.5, loop=True).open_bed(LINEAR_16K))) > 50


def test_of_several_sounds_each_call_hears_one_as_often_as_it_is_likely() -> None:
    quiet = AudioConfig(tone(loud=1000), probability=0.25, sample_rate=8000)
    loud = AudioConfig(tone(loud=20000), volume=0.5, sample_rate=8000)
    never = AudioConfig(tone(loud=1), probability=0.0, sample_rate=8000)
    player = BackgroundAudioPlayer([quiet, loud, never], volume=1.0, loop=True)
    levels = [level(settled(player.open_bed(LINEAR_8K))) for _ in range(60)]
    loud_ones = sum(found == pytest.approx(10000 / math.sqrt(2), rel=0.01) for found in levels)
    quiet_ones = sum(found == pytest.approx(1000 / math.sqrt(2), rel=0.01) for found in levels)
    assert loud_ones + quiet_ones == 60
    assert loud_ones > quiet_ones > 0


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"source": 7}, "no sound"),
        ({"source": []}, "no sound"),
        ({"source": "/nowhere/room.wav"}, "cannot be read"),
        ({"source": b"RIFFxxxx"}, "WAV"),
        ({"source": b"\0\0"}, "rate of bare linear16"),
        ({"source": wav_of(b"")}, "empty"),
        ({"source": BuiltinAudioClip.ROOM_TONE, "volume": 1.1}, "volume"),
        ({"source": BuiltinAudioClip.ROOM_TONE, "volume": True}, "volume"),
        ({"source": BuiltinAudioClip.ROOM_TONE, "duck_db": 3.0}, "duck_db"),
        ({"source": BuiltinAudioClip.ROOM_TONE, "duck_db": math.nan}, "duck_db"),
        ({"source": wav_of(b"\0\0", rate=44101)}, "simple ratio"),
    ],
)
def test_what_cannot_be_played_is_refused_when_it_is_written_down(
    settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(PatterConfigError, match=complaint):
        BackgroundAudioPlayer(**settings)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"source": wav_of(tone(0.1)), "sample_rate": 8000}, "its own"),
        ({"source": b"\0\0", "sample_rate": 0}, "sample_rate"),
        ({"source": b"", "sample_rate": 8000}, "empty"),
        ({"source": b"\0\0", "sample_rate": 8000, "probability": 2}, "probability"),
        ({"source": b"\0\0", "sample_rate": 8000, "volume": -1}, "volume"),
    ],
)
def test_a_sound_that_contradicts_itself_is_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PatterConfigError, match=complaint):
        AudioConfig(**settings)


def test_sounds_that_are_never_chosen_are_refused() -> None:
    with pytest.raises(PatterConfigError, match="probability 0"):
        BackgroundAudioPlayer([AudioConfig(b"\0\0", probability=0.0, sample_rate=8000)])
