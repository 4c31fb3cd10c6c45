"""Which words take the floor."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio import BackchannelStrategy, MinWordsStrategy, PatterConfigError
from patter_trio._text.backchannels import BACKCHANNELS, backchannels_of
from patter_trio._text.words import normalise
from patter_trio.abc import BargeInStrategy


@pytest.mark.parametrize("strategy", [MinWordsStrategy(2), BackchannelStrategy()])
def test_they_are_strategies(strategy: object) -> None:
    assert isinstance(strategy, BargeInStrategy)


@pytest.mark.parametrize(
    ("words", "interim", "speaking", "takes"),
    [
        ("wait", True, True, False),
        ("wait now", True, True, True),
        ("wait", False, False, True),
        ("...", False, False, False),
        ("wait — now", False, True, True),
    ],
)
def test_min_words(words: str, interim: bool, speaking: bool, takes: bool) -> None:
    assert MinWordsStrategy(2).evaluate(words, interim, speaking) is takes


def test_interim_words_may_be_left_out() -> None:
    assert not MinWordsStrategy(1, use_interim=False).evaluate("one two", True, True)
    assert MinWordsStrategy(1, use_interim=False).evaluate("one two", False, True)
    assert not BackchannelStrategy(use_interim=False).evaluate("stop that", True, True)


@pytest.mark.parametrize("least", [0, -1, 1.5, True, "2"])
def test_fewer_than_one_word_is_refused(least: Any) -> None:
    with pytest.raises(PatterConfigError, match="at least 1"):
        MinWordsStrategy(least)


@pytest.mark.parametrize(
    ("language", "words", "takes"),
    [
        ("en", "Mm-hm.", False),
        ("en-US", "Okay, got it", False),
        ("en", "Uh-huh, yeah. Right!", False),
        ("en", "got", True),
        ("en", "Okay, but", True),
        ("fr", "D'accord, très bien", False),
        ("it", "Sì.", False),
        ("ja", "なるほど。", False),
        ("xx", "mhm", False),
        ("xx", "yes", True),
        ("en", "", False),
    ],
)
def test_backchannels(language: str, words: str, takes: bool) -> None:
    assert BackchannelStrategy(language).evaluate(words, False, True) is takes


def test_more_phrases_may_be_added() -> None:
    assert BackchannelStrategy().evaluate("roger that", False, True)
    assert not BackchannelStrategy(phrases=["Roger that"]).evaluate("Roger that, okay", False, True)


@pytest.mark.parametrize("phrases", ["roger", 5, [1]])
def test_phrases_that_are_none_are_refused(phrases: Any) -> None:
    with pytest.raises(PatterConfigError, match="phrases"):
        BackchannelStrategy(phrases=phrases)


@pytest.mark.parametrize("language", BACKCHANNELS)
def test_every_phrase_is_written_as_it_is_compared(language: str) -> None:
    assert all(normalise(phrase) == phrase for phrase in backchannels_of(language))


@given(st.lists(st.sampled_from(sorted(backchannels_of("en"))), min_size=1, max_size=6))
def test_no_row_of_backchannels_takes_the_floor(phrases: list[str]) -> None:
    assert not BackchannelStrategy().evaluate(", ".join(phrases), False, True)
