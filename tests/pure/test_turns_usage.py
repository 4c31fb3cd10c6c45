"""What the model cost, and what of it was of no use."""

from __future__ import annotations

from patter_trio import Usage
from patter_trio._turns.cancelled import Stages
from patter_trio._turns.usage import Tally
from patter_trio.events import LLMChunk


def test_usage_adds_up() -> None:
    assert Usage(1, 2, 3, 4, 5) + Usage(1, 1, 1, 1, 1) == Usage(2, 3, 4, 5, 6)


def test_a_lost_request_was_asked_what_the_winner_was_asked() -> None:
    tally = Tally()
    tally.asked()
    tally.asked()
    tally.lost()
    tally.used(LLMChunk("usage", input_tokens=100, output_tokens=7))
    assert tally.spent == Usage(1, 100, 7)
    assert tally.wasted_in_all == Usage(1, 100, 0)


def test_an_answer_that_nobody_needs_counts_its_pieces_when_its_provider_has_not_counted() -> None:
    tally = Tally()
    tally.asked()
    tally.pieces = 12
    assert tally.all_wasted() == Usage(1, 0, 12)
    tally.used(LLMChunk("usage", input_tokens=50, output_tokens=20))
    assert tally.all_wasted() == Usage(1, 50, 20)


def test_stages_tell_who_was_cut_and_how_long_each_took() -> None:
    stages = Stages()
    assert stages.first_cut is None
    stages.cut("generate", 10.002)
    stages.cut("play", 10.001)
    assert stages.first_cut == 10.001
    report = stages.report(10.0, 10.003, audible=False, frames_unsent=2, text_unheard="x")
    assert report.running == ("generate", "play")
    assert report.stopped_ms == {"generate": 2.0, "play": 1.0}
    assert (report.cancel_ms, report.phase) == (3.0, "thinking")
