"""An answer that begins with what was told before is told from there on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patter_trio._text.repetition import Repetition


def said(told: str, *pieces: str) -> str:
    repetition = Repetition(told)
    return "".join([repetition.feed(piece) for piece in pieces] + [repetition.flush()])


def test_what_was_told_is_left_out() -> None:
    assert said("We open at eight", "We open at eight in the morning. ") == "in the morning. "


def test_another_answer_is_said_whole() -> None:
    assert said("We open at eight", "At nine, sorry. ") == "At nine, sorry. "


def test_nothing_new_is_nothing() -> None:
    assert said("We open at eight.", "We open ", "at eight.") == ""


def test_a_short_answer_is_not_held_for_ever() -> None:
    assert said("We open at eight in the morning", "Yes.") == "Yes."


@given(
    words=st.lists(st.sampled_from(["a", "bb", "c."]), max_size=8),
    cut=st.integers(0, 8),
    at=st.integers(0, 30),
)
def test_how_it_is_cut_never_matters(words: list[str], cut: int, at: int) -> None:
    text = " ".join(words)
    told = " ".join(words[:cut])
    assert said(told, text[:at], text[at:]).split() == words[cut:]
