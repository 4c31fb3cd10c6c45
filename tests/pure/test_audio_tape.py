"""What was heard on a line, put together from what passed on its stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from patter_trio._audio import g711
from patter_trio._audio.tape import Tape
from patter_trio.events import MULAW_8K, AudioFormat

LOUD = bytes([0x10]) * 160
QUIET = bytes([0x50]) * 160
SILENT = b"\xff" * 160


class Line:
    """A carrier without delay that plays at once, and the tape beside it."""

    def __init__(self, audio: AudioFormat = MULAW_8K) -> None:
        self.tape = Tape(audio, 100.0)
        self.taken = b""
        self.frames = 0

    @property
    def now(self) -> float:
        return 100.0 + 0.02 * self.frames

    def passes(self, frames: int, caller: bytes = SILENT) -> None:
        for _ in range(frames):
            self.tape.caller(caller, 0.02 * self.frames, self.now)
            self.taken += self.tape.take(self.now)
            self.frames += 1

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Both channels, the loudness of each frame."""
        self.taken += self.tape.take(self.now, everything=True)
        both = np.frombuffer(self.taken, "<i2").reshape(-1, 2)
        size = self.tape._rate // 50
        levels = np.abs(both[: len(both) // size * size].astype(int)).reshape(-1, size, 2).max(axis=1)
        return levels[:, 0], levels[:, 1]


def loudness(frame: bytes) -> int:
    return int(np.abs(np.frombuffer(g711.mulaw_to_linear(frame), "<i2").astype(int)).max())


def test_the_callers_sound_is_where_its_time_says() -> None:
    line = Line()
    line.passes(10)
    line.passes(5, LOUD)
    line.passes(10)
    left, right = line.ends()
    assert left.tolist() == [0] * 10 + [loudness(LOUD)] * 5 + [0] * 10
    assert not right.any()


def test_frames_that_were_lost_are_silence_and_late_ones_find_their_place() -> None:
    line = Line()
    line.passes(5, LOUD)
    line.frames += 3
    line.passes(5, LOUD)
    line.tape.caller(QUIET, 0.12, line.now)
    left, _ = line.ends()
    whole, soft = loudness(LOUD), loudness(QUIET)
    assert left.tolist() == [whole] * 5 + [0, soft, 0] + [whole] * 5


def test_the_agents_sound_is_played_behind_what_the_carrier_holds() -> None:
    line = Line()
    line.passes(10)
    for _ in range(5):
        line.tape.sent(LOUD, line.now)
    line.passes(10)
    line.tape.sent(QUIET, line.now)
    line.passes(10)
    _, right = line.ends()
    assert right.tolist() == [0] * 10 + [loudness(LOUD)] * 5 + [0] * 5 + [loudness(QUIET)] + [0] * 9


def test_an_echo_tells_how_late_it_was_and_the_next_words_are_as_late() -> None:
    line = Line()
    line.passes(10)
    line.tape.sent(LOUD, line.now)
    line.tape.marked("1.1")
    line.passes(5)
    line.tape.echoed("1.1", line.now)  # the last frame began at 0.28: the sound ended there
    line.passes(5)
    line.tape.sent(QUIET, line.now)
    line.passes(10)
    _, right = line.ends()
    assert np.flatnonzero(right).tolist() == [13, 23]


def test_an_echo_that_was_held_up_is_not_believed() -> None:
    line = Line()
    line.passes(10)
    for name, wait in (("1.1", 1), ("1.2", 40)):
        line.tape.sent(LOUD, line.now)
        line.tape.marked(name)
        line.passes(wait)
        line.tape.echoed(name, line.now)
    line.passes(10)
    _, right = line.ends()
    assert np.flatnonzero(right).tolist() == [9, 10]


def test_two_echoes_that_are_late_alike_tell_of_a_carrier_that_had_stopped_to_read() -> None:
    line = Line()
    line.passes(10)
    line.tape.sent(LOUD, line.now)
    line.tape.marked("1.1")
    line.passes(1)
    line.tape.echoed("1.1", line.now)
    line.passes(4)
    for name in ("1.2", "1.3"):
        line.tape.sent(LOUD, line.now)
        line.tape.marked(name)
    line.tape.sent(QUIET, line.now)
    # Nothing is read for a second; then one frame after the other is played.
    line.passes(50)
    for name in ("1.2", "1.3"):
        line.tape.echoed(name, line.now)
        line.passes(1)
    line.passes(10)
    _, right = line.ends()
    # Of the frame before the first of the two echoes nobody can tell.
    assert np.flatnonzero(right == loudness(QUIET)).tolist() == [65]
    assert right[64] == loudness(LOUD)


def test_what_was_cleared_before_it_was_played_is_not_on_it() -> None:
    line = Line()
    line.passes(10)
    for _ in range(10):
        line.tape.sent(LOUD, line.now)
    line.passes(4)
    line.tape.cleared(line.now - 0.01)
    line.tape.marked("1.2")
    line.tape.echoed("1.2", line.now - 0.01)
    line.passes(4)
    line.tape.sent(QUIET, line.now)
    line.passes(4)
    _, right = line.ends()
    assert np.flatnonzero(right == loudness(LOUD)).tolist() == [10, 11, 12, 13]
    assert np.flatnonzero(right == loudness(QUIET)).tolist() == [18]


def test_a_carrier_that_does_not_answer_a_clear_is_believed_by_the_clock() -> None:
    line = Line()
    line.passes(10)
    for _ in range(10):
        line.tape.sent(LOUD, line.now)
    line.passes(4)
    line.tape.cleared(line.now - 0.01)
    line.tape.marked("1.2")
    line.passes(100)
    line.tape.echoed("1.2", line.now)
    _, right = line.ends()
    assert np.flatnonzero(right).tolist() == [10, 11, 12, 13]


def test_marks_that_a_clear_set_free_do_not_move_what_was_played() -> None:
    line = Line()
    line.passes(10)
    for number in range(10):
        line.tape.sent(LOUD, line.now)
        line.tape.marked(f"1.{number}")
    line.passes(4)
    line.tape.cleared(line.now - 0.01)
    line.tape.marked("barrier")
    for number in range(10):
        line.tape.echoed(f"1.{number}", line.now - 0.01)
    line.tape.echoed("barrier", line.now - 0.01)
    line.passes(10)
    _, right = line.ends()
    assert np.flatnonzero(right).tolist() == [10, 11, 12, 13]


def test_what_was_not_played_when_the_caller_left_is_not_on_it() -> None:
    line = Line()
    line.passes(10)
    for _ in range(10):
        line.tape.sent(LOUD, line.now)
    line.passes(3)
    line.frames += 100
    _, right = line.ends()
    assert np.flatnonzero(right).tolist() == [10, 11, 12]


@pytest.mark.parametrize("jump", [1e9, 30.0, -10.0])
def test_a_clock_that_jumps_neither_fills_a_disk_nor_loses_the_line(jump: float) -> None:
    line = Line()
    line.passes(300, LOUD)
    for _ in range(100):
        line.tape.caller(QUIET, 0.02 * line.frames + jump, line.now)
        line.taken += line.tape.take(line.now)
        line.frames += 1
    left, _ = line.ends()
    assert len(left) == pytest.approx(400, abs=2)
    assert (left == loudness(QUIET)).sum() >= 98


@given(st.lists(st.tuples(st.sampled_from("csmexw"), st.floats(0, 2)), max_size=60))
@example([("c", 0.4375), ("c", 0.5), ("c", 0.5625)])
def test_whatever_comes_it_stays_bounded_and_both_sides_are_as_long(steps: list[tuple[str, float]]) -> None:
    tape, now, taken, marks = Tape(MULAW_8K, 0.0), 0.0, 0, 0
    for what, value in steps:
        if what == "c":
            tape.caller(LOUD, value * 10, now)
        elif what == "s":
            tape.sent(QUIET, now)
        elif what == "m":
            marks += 1
            tape.marked(str(marks))
        elif what == "e":
            tape.echoed(str(round(value * 2)), now)
        elif what == "x":
            tape.cleared(now)
        else:
            now += value
        taken += len(tape.take(now))
        assert taken % 4 == 0
        assert taken / 4 <= max(0.0, now + 1.1) * 8000
        assert len(tape._left) <= 2 * 8000 * 8
    taken += len(tape.take(now, everything=True))
    assert taken / 4 <= (now + 1.1) * 8000


@pytest.mark.parametrize("audio", [AudioFormat("alaw"), AudioFormat("linear16", 16000)])
def test_other_formats_are_taped_at_their_own_rate(audio: AudioFormat) -> None:
    line = Line(audio)
    size = audio.bytes_for(0.02)
    quiet = audio.silence * (size // audio.bytes_per_sample)
    line.passes(5, quiet)
    line.tape.sent(bytes([0x10]) * size + b"\1" * (audio.bytes_per_sample - 1), line.now)
    line.passes(5, quiet)
    left, right = line.ends()
    assert len(left) == len(right) == 10
    assert np.flatnonzero(right > 100).tolist() == [5]
