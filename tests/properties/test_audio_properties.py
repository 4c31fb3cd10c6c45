from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patter_trio._audio.convert import Converter
from patter_trio._audio.frame import Reblocker
from patter_trio._audio.resample import Resampler
from patter_trio.events import AudioFormat

rates = st.sampled_from([8000, 11025, 16000, 22050, 24000, 44100, 48000])
formats = st.one_of(
    st.builds(AudioFormat, st.just("linear16"), rates),
    st.builds(AudioFormat, st.sampled_from(["mulaw", "alaw"]), st.just(8000)),
)


@st.composite
def sounds(draw: st.DrawFn) -> bytes:
    """Loud noise, odd lengths included, from a seed: hypothesis need not draw every sample."""
    length = draw(st.integers(0, 6000))
    return draw(st.randoms(use_true_random=False)).randbytes(length)


@st.composite
def splits(draw: st.DrawFn, sound: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(sound)), max_size=12)))
    return [sound[a:b] for a, b in zip([0, *cuts], [*cuts, len(sound)], strict=True)]


@given(st.data(), sounds(), rates, rates)
def test_how_the_input_is_split_never_changes_a_bit(
    data: st.DataObject, sound: bytes, from_rate: int, to_rate: int
) -> None:
    whole, pieces = Resampler(from_rate, to_rate), Resampler(from_rate, to_rate)
    expected = whole.feed(sound) + whole.flush()
    assert b"".join(map(pieces.feed, data.draw(splits(sound)))) + pieces.flush() == expected
    samples = len(sound) // 2
    assert len(expected) == 2 * -(-samples * to_rate // from_rate)
    # What was fed belongs to the stream that the flush ended; half a sample at its end is no sound.
    assert whole.feed(sound[: 2 * samples]) + whole.flush() == expected


@given(st.data(), sounds(), formats, formats)
def test_conversion_depends_on_the_sound_alone(
    data: st.DataObject, sound: bytes, source: AudioFormat, target: AudioFormat
) -> None:
    whole, pieces = Converter(source, target), Converter(source, target)
    expected = whole.feed(sound) + whole.flush()
    assert b"".join(map(pieces.feed, data.draw(splits(sound)))) + pieces.flush() == expected
    assert len(expected) % target.bytes_per_sample == 0


@given(sounds(), rates, rates)
def test_the_first_sound_can_be_had_before_the_rest_exists(
    sound: bytes, from_rate: int, to_rate: int
) -> None:
    resampler = Resampler(from_rate, to_rate)
    early = resampler.feed(sound)
    late = len(resampler.flush()) // 2
    assert late <= 17 * max(1.0, to_rate / from_rate) + 1
    longer = Resampler(from_rate, to_rate)
    assert longer.feed(sound[: len(sound) & ~1] + bytes(4000)).startswith(early)


@given(st.data(), sounds(), st.integers(1, 700))
def test_blocks_are_whole_and_lose_nothing(data: st.DataObject, sound: bytes, size: int) -> None:
    blocks = Reblocker(size)
    out = [blocks.feed(piece) for piece in data.draw(splits(sound))]
    assert all(len(block) % size == 0 for block in out)
    rest = blocks.flush()
    assert len(rest) < size
    assert b"".join(out) + rest == sound
