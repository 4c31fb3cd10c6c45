"""Keys of the telephone: collected to inputs, none lost; and read as strokes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._turns.keys import KeyCollector, KeyInput, Stroke, read_strokes
from patter_trio.errors import PatterConfigError

KEYS = "0123456789*#ABCD"
PRESSES = st.lists(st.tuples(st.sampled_from(KEYS), st.floats(0.0, 4.0)), max_size=150)


@given(PRESSES, st.floats(0.1, 3.0), st.sampled_from([*KEYS, ""]), st.booleans())
def test_no_key_is_lost_and_their_order_is_kept(
    presses: list[tuple[str, float]], timeout: float, terminator: str, looks: bool
) -> None:
    collector, now, inputs = KeyCollector(timeout, terminator), 0.0, list[KeyInput]()
    for key, after in presses:
        now += after
        if looks:
            while (found := collector.poll(now)) is not None:
                inputs.append(found)
        collector.press(key, now)
    while (found := collector.take()) is not None:
        inputs.append(found)
    assert "".join(found.keys for found in inputs) == "".join(key for key, _ in presses)
    assert all(found.keys for found in inputs)
    began = [found.began for found in inputs]
    assert began == sorted(began)
    if terminator:
        assert all(terminator not in found.keys[:-1] for found in inputs)
    assert all(len(found.keys) <= 64 for found in inputs)
    assert collector.deadline == collector.began == float("inf")


@given(PRESSES, st.floats(0.1, 3.0))
def test_keys_belong_together_that_follow_each_other_soon(
    presses: list[tuple[str, float]], timeout: float
) -> None:
    collector, now = KeyCollector(timeout, ""), 0.0
    expected, at = list[str](), list[float]()
    for key, after in presses:
        now += after
        together = at and now < at[-1] + timeout and len(expected[-1]) < 64
        expected[-1:] = [expected[-1] + key] if together else [*expected[-1:], key]
        at.append(now)
        collector.press(key, now)
    inputs = list[str]()
    while (found := collector.take()) is not None:
        inputs.append(found.keys)
    assert inputs == expected


def test_an_input_is_complete_at_its_terminator_or_when_none_follows() -> None:
    collector = KeyCollector(1.5)
    assert collector.poll(100.0) is None
    collector.press("1", 10.0)
    assert collector.deadline == 11.5
    collector.press("2", 11.0)
    assert collector.deadline == 12.5
    assert collector.poll(12.4) is None
    assert collector.poll(12.5) == KeyInput("12", 10.0)
    collector.press("3", 13.0)
    collector.press("#", 13.1)
    assert collector.poll(13.1) == KeyInput("3#", 13.0)


def test_an_input_is_told_like_any_words() -> None:
    assert KeyInput("12#", 0.0).text == "[DTMF: 12#]"


def test_strokes_have_their_times() -> None:
    assert read_strokes("1w#W", 0.3) == (
        Stroke("1", 0.3), Stroke("", 0.5), Stroke("#", 0.3), Stroke("", 1.0)
    )  # fmt: skip


@pytest.mark.parametrize("digits", ["", "a", "1 2", "１", "1" * 65, None, 5, b"1", ["1"]])
def test_what_is_no_key_is_refused(digits: object) -> None:
    with pytest.raises(PatterConfigError):
        read_strokes(digits, 0.3)
