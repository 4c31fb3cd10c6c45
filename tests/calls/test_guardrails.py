"""What must not be said is not said, and what is said in its place."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._call.asking import Asking
from patter_trio._call.guardrails import Guard, Guardrail, check_guardrails, guardrail
from patter_trio._text.sentences import SentenceChunker
from patter_trio._text.speakable import speakable
from patter_trio.errors import PatterConfigError

SORRY = "I'm sorry, I can't respond to that."


def guard(*rails: Guardrail) -> Guard:
    return Guard(rails, Asking("CA1"))


def said(watch: Guard, *sentences: str) -> list[str]:
    return [watch.apply(sentence)[0] for sentence in sentences]


def test_a_blocked_sentence_is_replaced_and_the_others_are_said() -> None:
    rail = Guardrail("prices", blocked_terms=["discount"])
    watch = guard(rail)
    assert watch.apply("We have bread.") == ("We have bread.", None)
    assert watch.apply("There is a DISCOUNT on it.") == (SORRY, rail)
    assert watch.apply("Anything else?") == ("Anything else?", None)


@pytest.mark.parametrize(
    ("term", "sentence"),
    [
        ("discount", "Two discounts, please."),  # inside a word
        ("STRASSE", "In der Hauptstraße."),
        ("bad word", "A bad\n  word."),
        ("don’t", "I don't know."),
        ("don't", "I don’t know."),
        ("ａｂｃ", "abc"),
        ("秘密", "这是一个秘密。"),
        (" ass ", "You ass !"),
        (" ass", "ass"),
    ],
)
def test_a_term_is_found_anywhere_however_it_is_written(term: str, sentence: str) -> None:
    assert said(guard(Guardrail("x", blocked_terms=[term])), sentence) == [SORRY]


def test_a_term_with_a_space_at_its_end_matches_only_there() -> None:
    assert said(guard(Guardrail("x", blocked_terms=[" ass "])), "We class them.") == ["We class them."]


def test_a_check_decides_and_terms_are_asked_first() -> None:
    asked: list[str] = []

    def check(sentence: str) -> object:
        asked.append(sentence)
        return [1] if "7" in sentence else []

    watch = guard(Guardrail("x", check, ["bad"], "No."))
    assert said(watch, "bad 7", "good 7", "good 8") == ["No.", "", "good 8"]
    assert asked == ["good 7", "good 8"]


def test_several_blocked_sentences_in_a_row_are_replaced_once() -> None:
    watch = guard(Guardrail("a", blocked_terms=["a"], replacement="A!"), Guardrail("b", blocked_terms=["b"]))
    assert said(watch, "a", "a", "b", "c", "a") == ["A!", "", SORRY, "c", "A!"]


def test_an_empty_replacement_says_nothing() -> None:
    assert said(guard(Guardrail("x", blocked_terms=["x"], replacement="")), "x", "y") == ["", "y"]


def test_a_term_that_is_cut_by_the_end_of_a_piece_is_never_completed() -> None:
    rail = Guardrail("x", blocked_terms=["secret word of ours"])
    assert said(guard(rail), "It is the secret", "word", "of ours.") == ["It is the secret", "word", SORRY]
    assert said(guard(rail), "It is the secret w", "ord of ours.") == ["It is the secret w", SORRY]
    assert said(guard(rail), "It is the secret", "thing of ours.")[1] == "thing of ours."


def test_what_was_replaced_is_not_the_beginning_of_anything() -> None:
    watch = guard(Guardrail("x", blocked_terms=["bad", "one two"]))
    assert said(watch, "bad one", "two") == [SORRY, "two"]


def broken(sentence: str) -> bool:
    raise ValueError("no idea")


async def waits(sentence: str) -> bool:
    return False


class Undecided:
    def __bool__(self) -> bool:
        raise ValueError("neither")


@pytest.mark.parametrize("check", [broken, lambda sentence: waits(sentence), lambda sentence: Undecided()])
def test_a_check_that_cannot_judge_blocks_and_is_told_once(
    check: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert said(guard(Guardrail("mine", check)), "a", "b") == [SORRY, ""]
    assert len(caplog.records) == 1
    assert "'mine'" in caplog.text


@given(
    st.lists(st.sampled_from(["the", "secret", "word", "x" * 30, "a.", "b,", "so"]), max_size=60),
    st.integers(1, 9),
)
def test_no_blocked_term_is_ever_spoken_whole(words: list[str], size: int) -> None:
    text = " ".join(words)
    chunker = SentenceChunker(aggressive_first_flush=True)
    pieces = [
        piece for start in range(0, len(text), size) for piece in chunker.push(text[start : start + size])
    ]
    watch = guard(Guardrail("x", blocked_terms=["secret word"], replacement="-"))
    spoken = said(watch, *filter(None, map(speakable, [*pieces, *chunker.flush()])))
    assert "secret word" not in " ".join(filter(None, spoken))


def test_a_guardrail_is_frozen_and_the_function_makes_the_same() -> None:
    rail = guardrail("profanity", blocked_terms=["badword"], replacement="Let me rephrase that.")
    assert rail == Guardrail("profanity", None, ["badword"], "Let me rephrase that.")
    assert rail.blocked_terms == ("badword",)
    assert guardrail("x", check=bool).replacement == SORRY
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        rail.name = "x"  # type: ignore[misc]
    assert said(guard(attrs.evolve(rail, blocked_terms=["other"])), "badword", "other")[0] == "badword"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"name": "x"}, "blocks nothing"),
        ({"name": "", "check": bool}, "name"),
        ({"name": "x", "blocked_terms": []}, "blocked_terms"),
        ({"name": "x", "blocked_terms": "word"}, "blocked_terms="),
        ({"name": "x", "blocked_terms": 7}, "blocked_terms"),
        ({"name": "x", "blocked_terms": ["a", " "]}, "blocked term"),
        ({"name": "x", "blocked_terms": [7]}, "blocked term"),
        ({"name": "x", "check": 7}, "not a function"),
        ({"name": "x", "check": waits}, "on_sentence"),
        ({"name": "x", "check": bool, "replacement": None}, "replacement"),
    ],
)
def test_a_guardrail_that_cannot_work_is_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PatterConfigError, match=complaint):
        Guardrail(**settings)
    with pytest.raises(PatterConfigError, match=complaint):
        guardrail(**settings)


@pytest.mark.parametrize("value", [Guardrail("x", bool), ["x"], "x", 7])
def test_guardrails_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(PatterConfigError):
        check_guardrails(value)


def test_no_guardrails_are_none() -> None:
    assert check_guardrails(None) == ()
    assert check_guardrails([]) == ()
