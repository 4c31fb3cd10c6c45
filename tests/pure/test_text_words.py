from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._text.words import normalise, split_words


def test_words_keep_the_punctuation_that_clings_to_them() -> None:
    assert split_words(' "Hello,"  he said – at 3.14 p.m.\n') == [
        *('"Hello,"', "he", "said", "–", "at", "3.14", "p.m."),
    ]
    assert split_words("") == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello, world!", "hello world"),
        ("I don't know.", "I don’t know"),
        ("ＡＢＣ１２３", "abc123"),
        ("Straße", "STRASSE"),
        ("  two\nlines ", "two lines"),
        ("e-mail", "e mail"),
        ("今天很好。", "今天很好"),
        ("नमस्ते, दुनिया।", "नमस्ते दुनिया"),
        ("Cafe\u0301", "café"),
        ("...", ""),
    ],
)
def test_transcripts_that_say_the_same_are_equal(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(("one", "other"), [("cafe", "café"), ("their", "there"), ("की", "का"), ("1", "2")])
def test_different_words_stay_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_the_vowel_signs_of_a_script_do_not_split_its_words() -> None:
    assert normalise("नमस्ते दुनिया।") == "नमस्ते दुनिया"


@given(st.text())
def test_folding_is_on_one_line(text: str) -> None:
    folded = normalise(text)
    assert folded == " ".join(folded.split())
