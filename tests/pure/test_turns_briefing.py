"""What a person who takes over is told, and in which language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._text.languages import with_region
from patter_trio._turns.briefing import brief
from patter_trio._turns.history import HistoryEntry, UsedTool


def said(*texts: str) -> list[HistoryEntry]:
    """Turns of the agent and the caller, one after the other."""
    roles = ("assistant", "user")
    return [HistoryEntry(roles[number % 2], text, float(number)) for number, text in enumerate(texts)]  # type: ignore[arg-type]


def test_the_last_exchanges_are_told_in_order() -> None:
    told = brief(said("Hello.", "A cake.", "Which one?", "The big one.", "For when?", "Monday.", "Fine."))
    assert told == (
        "Caller: A cake. Agent: Which one? Caller: The big one. Agent: For when? Caller: Monday. Agent: Fine."
    )


def test_what_nobody_has_answered_is_the_end_of_it() -> None:
    assert brief(said("Hello."), "Give me a person") == "Agent: Hello. Caller: Give me a person"


def test_nothing_is_told_of_silence_and_tools() -> None:
    used = HistoryEntry("assistant", "", 0.0, "never heard", tools=(UsedTool("1", "book", "{}", "secret"),))
    assert brief([used]) == ""


def test_long_words_are_cut_at_a_word() -> None:
    told = brief(said("word " * 100))
    assert told.endswith("word…")
    assert len(told) < 160


@given(st.lists(st.text(max_size=600), max_size=30), st.text(max_size=600))
def test_it_is_never_long_and_always_has_the_last_words(texts: list[str], waiting: str) -> None:
    told = brief(said(*texts), waiting)
    assert len(told) <= 400
    assert "\n" not in told
    assert bool(told) == any(text.strip() for text in [*texts, waiting])


@pytest.mark.parametrize(
    ("tag", "whole"),
    [("en", "en-US"), ("it", "it-IT"), ("en-GB", "en-GB"), ("ja", "ja-JP"), ("PT", "pt-PT"), ("zh", "zh-CN")],
)
def test_a_language_has_a_region(tag: str, whole: str) -> None:
    assert with_region(tag) == whole
