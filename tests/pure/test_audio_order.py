"""The caller's frames, put back in order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._audio.order import FrameOrder
from patter_trio.events import MULAW_8K, AudioReceived

SILENCE = b"\xff"


def frame(number: int, start: float = 0.0) -> AudioReceived:
    return AudioReceived(bytes([number % 255]) * 160, start + number * 20 / 1000)


def heard(order: FrameOrder, *numbers: int) -> list[AudioReceived]:
    return [piece for number in numbers for piece in order.feed(frame(number))]


def numbers(pieces: list[AudioReceived]) -> list[int | str]:
    return ["silence" if piece.audio[:1] == SILENCE else piece.audio[0] for piece in pieces]


def test_frames_in_order_pass_at_once_and_untouched() -> None:
    order = FrameOrder(MULAW_8K)
    for number in range(100):
        assert order.feed(frame(number)) == [frame(number)]
    assert (order.lost, order.late, order.repeated, order.reordered) == (0, 0, 0, 0)


def test_neighbours_that_changed_places_are_put_back() -> None:
    order = FrameOrder(MULAW_8K)
    assert numbers(heard(order, 0, 2)) == [0], "nobody knows yet whether 1 is lost"
    assert numbers(heard(order, 1)) == [1, 2]
    assert order.reordered == 1
    assert order.lost == 0


def test_three_frames_may_overtake_one() -> None:
    order = FrameOrder(MULAW_8K)
    assert numbers(heard(order, 0, 2, 3, 4, 1, 5)) == [0, 1, 2, 3, 4, 5]
    assert order.lost == 0


def test_a_frame_that_more_than_three_overtook_is_late() -> None:
    order = FrameOrder(MULAW_8K)
    assert numbers(heard(order, 0, 2, 3, 4, 5)) == [0, "silence", 2, 3, 4, 5]
    assert heard(order, 1) == []
    assert numbers(heard(order, 6)) == [6]
    assert (order.lost, order.late, order.repeated) == (1, 1, 0)


def test_what_never_comes_is_silence_of_the_same_length() -> None:
    order = FrameOrder(MULAW_8K)
    pieces = heard(order, 0, 30)
    assert numbers(pieces) == [0, "silence", 30], "29 frames in a row were not overtaken: no waiting"
    assert pieces[1].audio == SILENCE * 29 * 160
    assert pieces[1].at == pytest.approx(0.02)
    assert order.lost == 29


def test_a_jump_of_the_carriers_clock_is_not_all_filled() -> None:
    order = FrameOrder(MULAW_8K)
    pieces = heard(order, 0, 5000)
    assert [len(piece.audio) for piece in pieces] == [160, 8000, 160]
    assert pieces[1].at == pytest.approx(99.0)
    assert numbers(heard(order, 5001)) == [5001 % 255]


def test_a_frame_is_heard_once_however_often_it_comes() -> None:
    order = FrameOrder(MULAW_8K)
    assert numbers(heard(order, 0, 0, 1, 3, 3, 1, 2, 2, 3, 0, 4)) == [0, 1, 2, 3, 4]
    assert order.repeated == 6
    assert order.late == 0


def test_what_came_before_the_first_frame_we_got_is_late() -> None:
    order = FrameOrder(MULAW_8K)
    assert numbers(heard(order, 1, 0, 2)) == [1, 2]
    assert order.late == 1


def test_a_clock_that_is_set_back_does_not_deafen_us() -> None:
    order = FrameOrder(MULAW_8K)
    heard(order, *range(1000, 1010))
    pieces = heard(order, *range(10, 20))
    assert numbers(pieces) == list(range(10, 20))
    assert [piece.at for piece in pieces] == pytest.approx([(1010 + n) * 0.02 for n in range(10)])


def test_a_single_time_far_ahead_does_not_deafen_us() -> None:
    order = FrameOrder(MULAW_8K)
    heard(order, 0, 1, 100_000)
    assert numbers(heard(order, 2, 3, 4)) == [2, 3, 4]


def test_times_that_are_a_little_off_lose_nothing() -> None:
    order = FrameOrder(MULAW_8K)
    offsets = [0, 3, -4, 12, -2, 0, 16, 0, -13, 1]
    fed = [
        AudioReceived(bytes([number]) * 160, 1 + number * 0.02 + off / 1000)
        for number, off in enumerate(offsets)
    ]
    pieces = [piece for one in fed for piece in order.feed(one)] + order.flush()
    assert [number for number in numbers(pieces) if number != "silence"] == list(range(10))
    assert order.late == order.repeated == 0


def test_at_the_end_nothing_is_held_back() -> None:
    order = FrameOrder(MULAW_8K)
    heard(order, 0, 2, 4)
    assert numbers(order.flush()) == ["silence", 2, "silence", 4]
    assert order.flush() == []


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60)
    | st.lists(st.tuples(st.just(0) | st.none(), st.booleans()), max_size=60),
    st.integers(0, 10**6),
)
def test_within_the_window_every_order_gives_the_same_sound(
    fates: list[tuple[int | None, bool]], origin: int
) -> None:
    """Frames overtaken by up to three others, or some of them lost, and some there twice."""
    sent = [(0, 0)]  # the very first one sets the clock
    for number, (overtaken_by, twice) in enumerate(fates, 1):
        if overtaken_by is not None:
            sent += [(number + overtaken_by, number)] * (1 + twice)
    arrived = {number for _, number in sent}
    order, start = FrameOrder(MULAW_8K), origin / 1000
    pieces = [piece for _, number in sorted(sent) for piece in order.feed(frame(number, start))]
    pieces += order.flush()
    places = range(max(arrived) + 1)
    expected = [frame(number).audio if number in arrived else SILENCE * 160 for number in places]
    assert b"".join(piece.audio for piece in pieces) == b"".join(expected)
    assert order.late == 0
    for before, after in pairwise(pieces):
        assert after.at == pytest.approx(before.at + len(before.audio) / 8000)


@given(st.lists(st.integers(0, 200), max_size=80))
def test_media_time_never_runs_back_whatever_comes(times: list[int]) -> None:
    order = FrameOrder(MULAW_8K)
    pieces = [
        piece
        for number, at in enumerate(times)
        for piece in order.feed(AudioReceived(bytes([number]) * 160, at * 7 / 1000))
    ] + order.flush()
    for before, after in pairwise(pieces):
        assert after.at >= before.at + len(before.audio) / 8000 - 0.0101
    assert len(pieces) <= 2 * len(times)
    passed = sum(piece.audio[:1] != SILENCE for piece in pieces)
    assert passed + order.late + order.repeated == len(times)
