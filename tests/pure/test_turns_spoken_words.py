"""Which word a piece of an engine's sound speaks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._turns.spoken_words import SpokenWords
from patter_trio.events import AudioFormat, SpokenAudio

MULAW = AudioFormat("mulaw", 8000)
LINEAR = AudioFormat("linear16", 16000)

WORDS = st.lists(st.text("abc.", min_size=1, max_size=9), max_size=12)


def starts(pieces: list[SpokenAudio]) -> dict[str, int]:
    """Where each word begins, in bytes."""
    found: dict[str, int] = {}
    at = 0
    for piece in pieces:
        if piece.text:
            found[piece.text] = at
        at += len(piece.audio)
    return found


@given(
    WORDS,
    st.lists(st.integers(0, 3000), max_size=15),
    st.lists(st.booleans(), max_size=40),
    st.sampled_from([MULAW, LINEAR]),
)
def test_all_sound_and_all_words_come_out_once_and_in_order(
    words: list[str], sounds: list[int], order: list[bool], audio: AudioFormat
) -> None:
    size = audio.bytes_per_sample
    spoken = SpokenWords(audio)
    texts = [f" {word}" for word in words]
    blocks = [bytes([number % 256]) * (count * size) for number, count in enumerate(sounds)]
    whole, said, pieces = b"".join(blocks), list(words), list[SpokenAudio]()
    for is_text in [*order, *[True] * len(texts), *[False] * len(blocks)]:
        if is_text and texts:
            spoken.feed_text(texts.pop(0))
        elif not is_text and blocks:
            spoken.feed_sound(blocks.pop(0))
        pieces += spoken.take()
    spoken.finish()
    pieces += spoken.take()
    assert b"".join(piece.audio for piece in pieces) == whole
    given_words = [piece.text for piece in pieces if piece.text]
    assert given_words + spoken.rest == said
    assert all(len(piece.audio) % size == 0 for piece in pieces)
    if len(whole) >= MULAW.bytes_for(0.06) * 4:
        assert spoken.rest == [], "where there is sound, no word is without"
        assert all(piece.audio for piece in pieces), "a word without sound would count as unheard"


def test_words_begin_where_an_even_pace_has_them() -> None:
    spoken = SpokenWords(MULAW)
    spoken.feed_text("one two four")
    spoken.feed_sound(b"\0" * 12_000)
    spoken.finish()
    assert starts(list(spoken.take())) == {"one": 0, "two": 4000, "four": 8000}


def test_the_first_word_sounds_before_the_last_is_known() -> None:
    spoken = SpokenWords(MULAW)
    spoken.feed_text("one two fo")
    spoken.feed_sound(b"\0" * 2000)
    first = next(iter(spoken.take()))
    assert first.text == "one"
    assert len(first.audio) == 2000 - 480


def test_sound_ahead_of_its_text_does_not_wait_for_ever() -> None:
    spoken = SpokenWords(MULAW)
    spoken.feed_text("one ")
    spoken.feed_sound(b"\0" * 40_000)
    assert sum(len(piece.audio) for piece in spoken.take()) >= 40_000 - 480 - 4000


def test_sound_without_words_is_nobodys_words() -> None:
    spoken = SpokenWords(MULAW)
    spoken.feed_sound(b"\0" * 800)
    assert list(spoken.take()) == []
    spoken.finish()
    assert list(spoken.take()) == [SpokenAudio(b"\0" * 800, "")]


@pytest.mark.parametrize("pieces", [["o", "ne", " two"], ["one t", "wo"]])
def test_words_are_whole_however_the_text_is_cut(pieces: list[str]) -> None:
    spoken = SpokenWords(MULAW)
    for piece in pieces:
        spoken.feed_text(piece)
        list(spoken.take())
    spoken.feed_sound(b"\0" * 4000)
    spoken.finish()
    assert [piece.text for piece in spoken.take() if piece.text] == ["one", "two"]
