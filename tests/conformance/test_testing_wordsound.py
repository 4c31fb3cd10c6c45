from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._audio import g711
from patter_trio.events import LINEAR_8K, LINEAR_16K, MULAW_8K
from patter_trio.testing import HeardWord, WordReader, speak_words
from patter_trio.testing.ear import is_loud
from patter_trio.testing.wordsound import FRAME_BYTES, join_words, noise, word_times

WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Z", "C"], exclude_characters="\x1c\x1d\x1e\x1f\x85"), min_size=1
).filter(lambda word: not word.isspace() and len(word.split()) == 1)
TEXTS = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)
SILENCE = b"\xff" * FRAME_BYTES


def read(sound: bytes, sizes: list[int] | None = None) -> list[HeardWord]:
    reader, heard = WordReader(), list[HeardWord]()
    while sound:
        size = sizes[len(heard) % len(sizes)] if sizes else len(sound)
        heard += reader.feed(sound[:size])
        sound = sound[size:]
    return heard


@given(TEXTS, st.integers(0, 2**32 - 1))
def test_what_is_spoken_is_read(text: str, serial: int) -> None:
    heard = read(speak_words(text, serial=serial))
    assert join_words(heard) == text
    assert all(word.complete and word.serial == serial for word in heard)


@given(TEXTS, st.lists(st.integers(1, 999), min_size=1), st.integers(0, 400), st.integers(0, 3))
def test_cuts_and_silence_do_not_matter(text: str, sizes: list[int], before: int, between: int) -> None:
    words = [speak_words(word, first_word=place) for place, word in enumerate(text.split())]
    sound = b"\xff" * before + (SILENCE * between).join(words)
    assert read(sound, sizes) == read(sound)
    assert join_words(read(sound)) == text


@given(TEXTS)
def test_linear_and_back_keeps_every_bit(text: str) -> None:
    sound = speak_words(text)
    assert g711.encode(g711.decode(sound, MULAW_8K), MULAW_8K) == sound
    assert join_words(WordReader(LINEAR_8K).feed(g711.decode(sound, MULAW_8K))) == text


@given(st.data())
def test_a_word_counts_as_heard_when_its_last_frame_arrived(data: st.DataObject) -> None:
    words = ["one", "two", "three"]
    sound = speak_words(" ".join(words))
    frames = [sound[start : start + FRAME_BYTES] for start in range(0, len(sound), FRAME_BYTES)]
    lost = data.draw(st.sets(st.integers(0, len(frames) - 1)))
    total = len(frames) // len(words)
    reader = WordReader()
    heard = reader.feed(b"".join(SILENCE if place in lost else frame for place, frame in enumerate(frames)))
    complete = [word for place, word in enumerate(words) if (place + 1) * total - 1 not in lost]
    assert [word.text for word in heard if word.complete] == complete


def test_a_cut_word_is_known_as_cut_when_the_next_one_begins() -> None:
    cut = speak_words("interrupted")[: 5 * FRAME_BYTES]
    heard = read(cut + SILENCE * 20 + speak_words("next", serial=2))
    assert [(word.text, word.complete) for word in heard] == [("interrupted", False), ("next", True)]


def test_a_word_held_up_in_its_middle_is_complete() -> None:
    sound = speak_words("resumed")
    middle = 5 * FRAME_BYTES
    heard = read(sound[:middle] + SILENCE * 20 + sound[middle:])
    assert [(word.text, word.complete) for word in heard] == [("resumed", True)]
    assert heard[0].end - heard[0].start == pytest.approx(len(sound) / 8000 + 0.4)


def test_the_unfinished_word_can_be_asked_for() -> None:
    reader = WordReader()
    assert reader.unfinished() is None
    assert reader.feed(speak_words("hello")[: 3 * FRAME_BYTES]) == []
    unfinished = reader.unfinished()
    assert unfinished is not None
    assert (unfinished.text, unfinished.complete, unfinished.end) == ("hello", False, 0.06)


@given(st.integers(0, FRAME_BYTES - 1), st.integers(0, 255))
def test_a_damaged_frame_is_not_read(place: int, code: int) -> None:
    frame = bytearray(speak_words("word")[:FRAME_BYTES])
    damaged = frame[place] & 0x7F != code & 0x7F
    frame[place] = code
    frames = WordReader().read_frames(bytes(frame))
    assert (frames == []) if damaged else len(frames) <= 1


@given(st.binary(max_size=2000))
def test_other_sound_has_no_words(sound: bytes) -> None:
    assert WordReader().read_frames(sound) == []


def test_noise_is_loud_and_without_words() -> None:
    assert is_loud(noise(0.15)[:FRAME_BYTES])
    assert not is_loud(SILENCE)
    assert noise(0.15) == noise(0.15) != noise(0.15, seed=1)
    assert WordReader().read_frames(noise(2.0)) == []


def test_word_times_are_those_of_the_sound() -> None:
    text = "a " + "long" * 40 + " word"
    heard, times = read(speak_words(text, words_per_second=4)), word_times(text, words_per_second=4)
    assert " ".join(word.text for word in times) == text
    assert times[0].end == heard[0].end
    assert times[-1].start == pytest.approx(heard[-1].start)


def test_the_pace_sets_the_length() -> None:
    assert len(speak_words("one two three", words_per_second=2.5)) == 3 * 20 * FRAME_BYTES
    with pytest.raises(ValueError, match="words_per_second"):
        speak_words("slow", words_per_second=0.1)
    with pytest.raises(ValueError, match="8 kHz"):
        WordReader(LINEAR_16K)
