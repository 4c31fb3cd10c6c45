"""How long one caller pauses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._turns.pauses import Pauses
from patter_trio._turns.window import SoundWindow


def test_of_a_caller_nothing_is_known_the_shortest_delay_is_used() -> None:
    assert Pauses(0.1, 1.5).delay(0.25) == 0.1


def test_after_a_pause_the_next_one_of_that_length_is_waited_for() -> None:
    pauses = Pauses(0.1, 1.5)
    pauses.paused(0.8)
    assert pauses.delay(0.25) > 0.8 - 0.25


def test_who_stops_pausing_is_answered_sooner_again() -> None:
    pauses = Pauses(0.1, 1.5)
    pauses.paused(0.8)
    before = pauses.delay(0.25)
    for _ in range(60):
        pauses.finished()
    assert pauses.delay(0.25) < before
    assert pauses.delay(0.25) == 0.1


@given(st.lists(st.one_of(st.none(), st.floats(0, 60)), max_size=50), st.floats(0, 1))
def test_the_delay_never_leaves_its_bounds(history: list[float | None], silent: float) -> None:
    pauses = Pauses(0.1, 1.5)
    for pause in history:
        if pause is None:
            pauses.finished()
        else:
            pauses.paused(pause)
    assert 0.1 <= pauses.delay(silent) <= 1.5


@given(st.lists(st.binary(max_size=50).map(lambda data: data[: len(data) & ~1]), max_size=40))
def test_the_window_is_the_end_of_what_was_fed(pieces: list[bytes]) -> None:
    window = SoundWindow(0.01, 8000)
    for piece in pieces:
        window.feed(piece)
    whole = b"".join(pieces)
    assert window.sound() == whole[-160:]


def test_the_window_keeps_no_more_than_a_piece_beyond_its_length() -> None:
    window = SoundWindow(8.0, 8000)
    for _ in range(2000):
        window.feed(bytes(320))
    assert window._held <= 8 * 16000 + 320
    assert len(window.sound()) == pytest.approx(8 * 16000)
