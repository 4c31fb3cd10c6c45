"""The pace of a turn's sound."""

from __future__ import annotations

from patter_trio._turns.ledger import Ledger
from patter_trio._turns.playout import Playout
from patter_trio.events import MULAW_8K

FRAME = 160


def playing(seconds: float, lead: float = 0.1) -> tuple[Playout, Ledger]:
    ledger = Ledger(1, 8000)
    playout = Playout(MULAW_8K, ledger, lead=lead)
    sound = bytes(i % 100 for i in range(int(seconds * 8000)))
    ledger.synthesise(len(sound))
    playout.push(sound)
    return playout, ledger


def test_the_lead_is_filled_at_once_and_then_a_frame_goes_out_at_each_tick() -> None:
    playout, _ = playing(1.0)
    assert len(list(playout.due(0.0))) == 5
    for tick in range(1, 20):
        assert len(list(playout.due(tick * 0.020))) == 1


def test_a_tick_that_comes_late_is_made_up_for() -> None:
    playout, _ = playing(1.0)
    list(playout.due(0.0))
    assert len(list(playout.due(0.060))) == 3


def test_the_carrier_never_holds_more_than_the_lead() -> None:
    playout, ledger = playing(5.0)
    for tick in range(200):
        now = tick * 0.020
        list(playout.due(now))
        assert ledger.plays_until - now <= 0.1 + 1e-9


def test_the_first_frame_and_the_last_are_marked() -> None:
    playout, _ = playing(0.1)
    playout.finish()
    marks = [mark for _, mark in playout.due(0.0)]
    assert marks[0] is not None
    assert marks[-1] is not None
    assert marks[1:-1] == [None] * 3


def test_a_mark_goes_out_every_half_second() -> None:
    playout, _ = playing(3.0)
    marks = [mark for tick in range(150) for _, mark in playout.due(tick * 0.020) if mark]
    assert 6 <= len(marks) <= 8


def test_sound_goes_on_at_the_very_next_sample_after_a_pause() -> None:
    playout, _ = playing(0.4)
    before = [frame for frame, _ in playout.due(0.0)]
    after = [frame for tick in range(100) for frame, _ in playout.due(5.0 + tick * 0.02)]
    sent = b"".join(before + after)
    assert sent == bytes(i % 100 for i in range(len(sent)))
    assert len(sent) == 0.4 * 8000


def test_the_last_frame_is_filled_up_with_silence() -> None:
    playout, _ = playing(0.010)
    assert list(playout.due(0.0)) == []
    playout.finish()
    ((frame, _),) = playout.due(0.0)
    assert len(frame) == FRAME
    assert frame[80:] == b"\xff" * 80
    assert playout.sent_all


def test_a_reply_without_sound_is_over_at_once() -> None:
    playout = Playout(MULAW_8K, Ledger(1, 8000), lead=0.1)
    playout.finish()
    assert playout.sent_all
    assert list(playout.due(0.0)) == []


def test_the_closing_mark_is_sent_once_for_the_same_place() -> None:
    playout, _ = playing(1.0)
    list(playout.due(0.0))
    assert playout.closing_mark() is not None
    assert playout.closing_mark() is None
