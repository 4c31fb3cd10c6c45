"""A model's text, sentence by sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._text.sentences import SentenceChunker


def sentences(text: str, **settings: object) -> list[str]:
    chunker = SentenceChunker(**settings)  # type: ignore[arg-type]  # keyword settings of the test
    return chunker.push(text) + chunker.flush()


def test_sentences_come_one_by_one() -> None:
    assert sentences("We are open from eight to six. Shall I book it for you? Good, see you soon then!") == [
        "We are open from eight to six.",
        "Shall I book it for you?",
        "Good, see you soon then!",
    ]


def test_a_sentence_is_given_as_soon_as_the_next_one_begins() -> None:
    chunker = SentenceChunker()
    assert chunker.push("We are open from eight to six.") == []
    assert chunker.push(" ") == ["We are open from eight to six."]


def test_short_sentences_are_spoken_together() -> None:
    assert sentences("Yes. We are open until six.") == ["Yes. We are open until six."]


@pytest.mark.parametrize(
    "text",
    [
        "It costs 3.50 dollars for the whole box today.",
        "Please ask Dr. Miller about the second appointment.",
        "The U.S. office opens at nine in the morning.",
        "Bring something to drink, e.g. water, with you.",
        "Visit us at example.com for the opening hours.",
        "Mr. and Mrs. Jones are coming on Saturday too.",
    ],
)
def test_a_full_stop_inside_a_sentence_does_not_end_it(text: str) -> None:
    assert sentences(text) == [text]


def test_scripts_without_spaces_end_where_their_full_stop_stands() -> None:
    assert sentences("私たちは月曜日から金曜日まで開いています。土曜日は閉まっています。", min_chars=5) == [
        "私たちは月曜日から金曜日まで開いています。",
        "土曜日は閉まっています。",
    ]


def test_lines_end_sentences() -> None:
    assert sentences("Here are all of our hours\nMonday from eight to six") == [
        "Here are all of our hours",
        "Monday from eight to six",
    ]


def test_closing_quotes_stay_with_their_sentence() -> None:
    assert sentences('She said "we are open today." Then she left.')[0] == 'She said "we are open today."'


def test_a_text_without_end_is_cut_at_a_space() -> None:
    parts = sentences("word " * 200)
    assert all(len(part) <= 400 for part in parts)
    assert " ".join(parts).split() == ["word"] * 200


def test_the_first_clause_may_go_early() -> None:
    text = "We have an opening on Thursday in the afternoon, and another one on Friday."
    assert sentences(text) == [text]
    assert sentences(text, aggressive_first_flush=True) == [
        "We have an opening on Thursday in the afternoon,",
        "and another one on Friday.",
    ]
    assert sentences(text, aggressive_first_flush=True, language="it-IT") == [text]


def test_an_open_bracket_is_not_left_open_by_an_early_flush() -> None:
    text = "We have an opening on Thursday (in the afternoon, at two) if that suits you."
    assert sentences(text, aggressive_first_flush=True) == [text]


PIECES = st.lists(
    st.sampled_from(
        [
            "Hello there. ", "Yes! ", "It costs 3.50 now. ", "Dr. Who is in. ", "\n", "- item one\n", "…", "?!",
            "word ", "a, ", "long enough to be a sentence of its own. ", "这是一个句子。", "\"quoted.\" ", "(x, y) ",
        ]
    ),
    max_size=20,
)  # fmt: skip


@given(pieces=PIECES, cuts=st.lists(st.integers(0, 400), max_size=30), early=st.booleans())
def test_how_the_text_is_cut_never_changes_the_sentences(
    pieces: list[str], cuts: list[int], early: bool
) -> None:
    text = "".join(pieces)
    expected = sentences(text, aggressive_first_flush=early)
    chunker = SentenceChunker(aggressive_first_flush=early)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    found = [s for a, b in zip(places, places[1:], strict=False) for s in chunker.push(text[a:b])]
    assert found + chunker.flush() == expected
    assert "".join(expected).replace(" ", "").replace("\n", "") == text.replace(" ", "").replace("\n", "")
