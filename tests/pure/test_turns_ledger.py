"""What was heard, by the marks that came back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._turns.ledger import Ledger
from patter_trio.events import Word

RATE = 8000


def spoken(*sentences: str, seconds: float = 2.0) -> Ledger:
    ledger = Ledger(7, RATE)
    for sentence in sentences:
        ledger.write(sentence)
        ledger.synthesise(int(seconds * RATE), sentence)
    ledger.complete = True
    return ledger


def test_nothing_is_heard_before_a_mark_comes_back() -> None:
    ledger = spoken("one two three four")
    ledger.send(RATE, 0.0)
    ledger.mark()
    assert ledger.heard(0.9) == 0
    assert ledger.heard_text(0.9) == ""
    assert ledger.unheard_text(0.9) == "one two three four"


def test_marks_are_named_after_their_turn() -> None:
    assert spoken("a").mark() == "7.1"


def test_heard_follows_the_clock_between_marks_but_never_past_one_that_is_out() -> None:
    ledger = spoken("one two three four")
    ledger.send(160, 0.0)
    first = ledger.mark()
    ledger.send(RATE, 0.0)
    ledger.mark()
    ledger.send(RATE // 2, 0.0)
    assert ledger.mark_played(first, 0.1)
    assert ledger.heard(0.1) == 160
    assert ledger.heard(0.6) == 160 + RATE // 2
    assert ledger.heard(2.9) == 160 + RATE, "the second mark is still out"


def test_everything_is_heard_when_the_last_mark_came_back() -> None:
    ledger = spoken("Hello there.", "How are you?")
    ledger.send(4 * RATE, 0.0)
    assert ledger.mark_played(ledger.mark(), 4.1)
    assert ledger.heard_text(4.1) == "Hello there. How are you?"
    assert ledger.unheard_text(4.1) == ""


def test_the_cut_is_inside_the_sentence_by_its_letters() -> None:
    ledger = spoken("aaaa bbbb cccc dddd")  # 19 letters in 2 s
    ledger.send(RATE, 0.0)
    assert ledger.mark_played(ledger.mark(), 1.0)
    ledger.cut(1.0)
    assert ledger.heard_text(9.0) == "aaaa bbbb"
    assert ledger.unheard_text(9.0) == "cccc dddd"


def test_the_cut_is_at_the_word_where_the_voice_gives_times() -> None:
    ledger = Ledger(1, RATE)
    ledger.write("slow fast fast")
    words = (Word("slow", 0.0, 1.5), Word("fast", 1.5, 1.7), Word("fast", 1.7, 2.0))
    ledger.synthesise(2 * RATE, "slow fast fast", words)
    ledger.complete = True
    ledger.send(RATE, 0.0)
    assert ledger.mark_played(ledger.mark(), 1.0)
    assert ledger.heard_text(1.0) == ""
    ledger.send(int(0.75 * RATE), 1.0)
    assert ledger.mark_played(ledger.mark(), 1.75)
    assert ledger.heard_text(1.75) == "slow fast"


def test_marks_that_a_clear_returns_at_once_prove_nothing() -> None:
    ledger = spoken("aaaa bbbb cccc dddd")
    ledger.send(160, 0.0)
    first = ledger.mark()
    ledger.send(RATE, 0.0)
    second = ledger.mark()
    assert ledger.mark_played(first, 0.1)
    barrier = ledger.clear(0.5)
    assert ledger.mark_played(second, 0.6), "it would have been played at 1.1 at the earliest"
    assert not ledger.settled
    assert ledger.mark_played(barrier, 0.6)
    assert ledger.settled
    assert ledger.heard(9.0) == 160 + RATE // 2, "what the clear found unplayed is not heard"


def test_a_mark_played_while_the_clear_was_on_its_way_counts() -> None:
    ledger = spoken("aaaa bbbb cccc dddd")
    ledger.send(160, 0.0)
    first = ledger.mark()
    ledger.send(RATE // 2, 0.0)
    second = ledger.mark()
    assert ledger.mark_played(first, 0.12)
    barrier = ledger.clear(0.55)
    assert ledger.mark_played(second, 0.62)
    assert ledger.mark_played(barrier, 0.75)
    assert ledger.heard(9.0) == 160 + RATE // 2


def test_a_barrier_that_never_comes_leaves_the_clocks_word() -> None:
    ledger = spoken("aaaa bbbb cccc dddd")
    ledger.send(160, 0.0)
    first = ledger.mark()
    ledger.send(RATE, 0.0)
    ledger.mark()
    assert ledger.mark_played(first, 0.1)
    ledger.clear(0.6)
    ledger.cut(1.6)
    assert ledger.heard(9.0) == 160 + RATE // 2


def test_marks_that_come_back_after_the_cut_prove_nothing() -> None:
    ledger = spoken("one two three four")
    ledger.send(2 * RATE, 0.0)
    mark = ledger.mark()
    ledger.cut(0.5)
    assert not ledger.mark_played(mark, 0.51)
    assert ledger.heard_text(2.0) == ""


def test_unknown_and_repeated_marks_are_not_ours() -> None:
    ledger = spoken("one two")
    ledger.send(RATE, 0.0)
    mark = ledger.mark()
    assert not ledger.mark_played("6.1", 0.5)
    assert ledger.mark_played(mark, 1.0)
    assert not ledger.mark_played(mark, 1.1)


def test_a_mark_that_is_lost_is_covered_by_the_next_one() -> None:
    ledger = spoken("one two three four")
    ledger.send(RATE, 0.0)
    ledger.mark()
    ledger.send(RATE, 1.0)
    assert ledger.mark_played(ledger.mark(), 2.0)
    assert ledger.all_marks_played
    assert ledger.heard_text(2.0) == "one two three four"


def test_an_echo_that_comes_after_its_successors_changes_nothing() -> None:
    ledger = spoken("one two three four")
    ledger.send(RATE, 0.0)
    first = ledger.mark()
    ledger.send(RATE // 2, 1.0)
    second = ledger.mark()
    ledger.send(RATE // 2, 1.5)
    ledger.mark()
    assert ledger.mark_played(second, 1.6)
    assert not ledger.mark_played(first, 1.7)
    assert ledger.heard(1.7) == pytest.approx(1.6 * RATE)


def test_no_more_is_heard_than_can_have_been_played() -> None:
    ledger = spoken("one two three four")
    ledger.send(160, 0.0)
    assert ledger.mark_played(ledger.mark(), 0.1)
    ledger.send(RATE, 1.0)
    assert ledger.heard(1.1) == 160 + RATE // 10, "a second has passed since the echo, and 0.1 s of sound"


def test_the_silence_that_fills_the_last_frame_is_not_taken_for_sound() -> None:
    ledger = Ledger(1, RATE)
    ledger.synthesise(200)
    ledger.send(160, 0.0)
    assert ledger.mark_played(ledger.mark(), 0.03)
    ledger.send(160, 0.06)
    assert (ledger.sent, ledger.heard(0.06)) == (200, 160)
    assert ledger.heard(0.08) == 200


def test_a_barrier_that_comes_late_does_not_make_up_sound() -> None:
    ledger = spoken("one two three four")
    ledger.send(160, 0.0)
    first = ledger.mark()
    ledger.send(RATE, 0.0)
    assert ledger.mark_played(first, 0.1)
    barrier = ledger.clear(0.5)
    assert ledger.mark_played(barrier, 1.4)
    assert RATE // 2 <= ledger.heard(9.0) <= RATE // 2 + 0.03 * RATE + 1


def test_a_carrier_that_returns_nothing_at_a_clear_is_judged_by_the_barrier() -> None:
    ledger = spoken("one two three four")
    ledger.send(160, 0.0)
    first = ledger.mark()
    ledger.send(RATE, 0.0)
    ledger.mark()
    assert ledger.mark_played(first, 0.1)
    assert ledger.mark_played(ledger.clear(0.5), 0.6)
    assert ledger.heard(9.0) == 160 + RATE // 2


def test_a_carrier_without_marks_is_believed_by_the_clock_in_the_end() -> None:
    ledger = spoken("one two three four")
    ledger.send(2 * RATE, 0.0)
    ledger.mark()
    assert ledger.heard(3.9) == 0
    assert ledger.heard(4.0) == 2 * RATE


def test_a_carrier_without_marks_is_believed_by_the_clock_at_a_clear() -> None:
    ledger = spoken("one two three four", "five six seven eight", seconds=4.0)
    ledger.send(RATE, 0.0)
    ledger.mark()
    ledger.send(4 * RATE, 1.0)
    ledger.clear(3.5)
    ledger.cut(4.5)
    assert ledger.heard(9.0) == 3.5 * RATE


def test_the_last_echoes_may_be_lost() -> None:
    ledger = spoken("one two three four")
    ledger.send(RATE, 0.0)
    assert ledger.mark_played(ledger.mark(), 1.1)
    ledger.send(RATE, 1.0)
    lost = ledger.mark()
    assert ledger.heard(3.9) <= 2 * RATE
    ledger.cut(4.0)
    assert ledger.heard_text(4.0) == "one two three four"
    assert not ledger.mark_played(lost, 4.1)


def test_an_echo_that_was_given_up_does_not_take_back_what_was_heard() -> None:
    ledger = spoken("one two three four", seconds=9.0)
    ledger.send(160, 0.0)
    ledger.mark()
    ledger.send(4 * RATE, 0.0)
    second = ledger.mark()
    by_the_clock = ledger.heard(3.0)
    assert by_the_clock == 3 * RATE
    ledger.send(RATE, 4.0)
    third = ledger.mark()
    assert ledger.mark_played(second, 5.0)
    assert ledger.heard(5.0) >= by_the_clock
    assert ledger.mark_played(third, 5.1)


def test_words_that_were_never_synthesised_are_unheard() -> None:
    ledger = Ledger(1, RATE)
    ledger.write("First sentence.")
    ledger.write("Second sentence.")
    ledger.synthesise(RATE, "First sentence.")
    ledger.send(RATE, 0.0)
    assert ledger.mark_played(ledger.mark(), 1.0)
    assert ledger.unheard_text(1.0).endswith("Second sentence.")


def test_a_voice_that_does_not_say_its_sentences_is_cut_over_all_of_them() -> None:
    ledger = Ledger(1, RATE)
    ledger.write("aaaa bbbb.")
    ledger.write("cccc dddd.")
    ledger.synthesise(2 * RATE)
    ledger.complete = True
    ledger.send(RATE, 0.0)
    assert ledger.mark_played(ledger.mark(), 1.0)
    assert ledger.heard_text(1.0) == "aaaa bbbb."
    assert ledger.unheard_text(1.0) == "cccc dddd."


def test_a_sentence_cut_while_it_was_still_being_made_is_not_taken_for_whole() -> None:
    ledger = Ledger(1, RATE)
    sentence = "this is a rather long sentence of which only the first half second exists so far"
    ledger.write(sentence)
    ledger.synthesise(RATE // 2, sentence)
    ledger.send(RATE // 2, 0.0)
    assert ledger.mark_played(ledger.mark(), 0.5)
    heard = ledger.heard_text(0.5)
    assert heard == "this is"
    assert f"{heard} {ledger.unheard_text(0.5)}" == sentence


# --- what fills a pause -------------------------------------------------------------------------------------


def test_a_filler_that_was_cut_is_heard_as_far_as_it_went_and_owed_no_more() -> None:
    ledger = Ledger(1, 8000)
    ledger.synthesise(8000, "one two three four", passing=True)
    ledger.filled()
    ledger.send(4000, 0.0)
    ledger.forget_unsent()
    assert (ledger.synthesised, ledger.sent) == (4000, 4000)
    ledger.write("The answer.")
    ledger.synthesise(4000, "The answer.")
    ledger.complete = True
    ledger.send(4000, 0.5)
    mark = ledger.mark()
    assert ledger.mark_played(mark, 1.0)
    assert ledger.heard_text(1.0) == "one two The answer."
    assert ledger.unheard_text(1.0) == ""


def test_what_is_unheard_of_a_filler_is_not_said_later() -> None:
    ledger = Ledger(1, 8000)
    ledger.synthesise(8000, "one two three four", passing=True)
    ledger.filled()
    ledger.send(4000, 0.0)
    mark = ledger.mark()
    ledger.write("The answer.")
    assert ledger.mark_played(mark, 0.5)
    ledger.cut(0.5)
    assert ledger.heard_text(0.5) == "one two"
    assert ledger.unheard_text(0.5) == "The answer."


def test_a_filler_of_which_nothing_was_sent_leaves_no_trace() -> None:
    ledger = Ledger(1, 8000)
    ledger.synthesise(8000, "one two", passing=True)
    ledger.forget_unsent()
    assert ledger.synthesised == 0
    assert ledger.heard_text(9.0) == ledger.unheard_text(9.0) == ""


def test_a_filler_whose_synthesis_was_cut_is_not_heard_beyond_its_sound() -> None:
    ledger = Ledger(1, 8000)
    words = tuple(Word(text, n / 4, (n + 1) / 4) for n, text in enumerate(["one", "two", "three", "four"]))
    ledger.synthesise(4000, "one two three four", words, passing=True)
    ledger.send(4000, 0.0)
    ledger.forget_unsent()
    mark = ledger.mark()
    assert ledger.mark_played(mark, 0.5)
    assert ledger.heard_text(0.5) == "one two"


def test_sound_without_words_ends_a_sentence_and_is_nobodys_words() -> None:
    ledger = Ledger(1, 8000)
    ledger.write("I choose sales.")
    ledger.synthesise(8000, "I choose sales.")
    ledger.synthesise(4000, "")
    ledger.synthesise(4000, "")
    ledger.send(16000, 0.0)
    ledger.mark_played(ledger.mark(), 2.0)
    assert ledger.heard_text(2.0) == "I choose sales."
    assert ledger.unheard_text(2.0) == ""
    ledger.write("And wait.")
    ledger.synthesise(8000, "And wait.")
    ledger.complete = True
    assert ledger.heard_text(2.0) == "I choose sales."
    assert ledger.unheard_text(2.0) == "And wait."


def test_a_voice_that_does_not_tell_its_sentences_goes_on_behind_sound_without_words() -> None:
    ledger = Ledger(1, 8000)
    ledger.write("One two.")
    ledger.synthesise(8000)
    ledger.synthesise(8000, "")
    ledger.write("Three four.")
    ledger.synthesise(8000)
    ledger.complete = True
    ledger.send(24000, 0.0)
    ledger.mark_played(ledger.mark(), 3.0)
    assert ledger.heard_text(3.0) == "One two. Three four."


# --- sound that is none of the turn's -----------------------------------------------------------------------


def test_what_the_carrier_plays_first_is_not_heard_as_this_turns() -> None:
    ledger = Ledger(1, 8000, echoing=False)
    ledger.synthesise(1600, "one two")
    ledger.send(800, 0.0, busy_until=0.05)
    assert ledger.plays_until == pytest.approx(0.15)
    assert [ledger.heard(now) for now in (0.0, 0.05, 0.10, 0.15, 0.2)] == [0, 0, 400, 800, 800]


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=30))
def test_sound_in_between_neither_hastens_nor_takes_back_what_was_heard(
    steps: list[tuple[int, bool]],
) -> None:
    """Against a carrier that plays one sample after the other and knows whose each of them is."""
    ledger = Ledger(1, 8000, echoing=False)
    ledger.synthesise(1_000_000, "much")
    queue: list[bool] = []
    played = clock = 0
    busy_until = 0.0
    for wait, ours in steps:
        for _ in range(wait):
            clock += 1
            played += queue.pop(0) if queue else 0
            assert ledger.heard(clock * 0.01) == played * 80
        now = clock * 0.01
        if ours:
            ledger.send(160, now, busy_until)
        else:
            busy_until = now + (len(queue) + 2) * 0.01
        queue += [ours] * 2
    ledger.cut(clock * 0.01 + len(queue) * 0.01)
    assert ledger.heard(0.0) == (played + sum(queue)) * 80


def test_how_much_was_heard_of_some_of_the_sentences() -> None:
    ledger = Ledger(1, 8000)
    ledger.synthesise(800, "Well.", passing=True)
    ledger.synthesise(160, "")
    for sentence in ("one", "two", "three"):
        ledger.write(sentence)
        ledger.synthesise(1000, sentence)
        ledger.synthesise(600)
    ledger.send(800 + 160 + 1600 + 400, 0.0)
    now = ledger.plays_until
    ledger.mark_played(ledger.mark(), now)
    assert [ledger.heard_within(number, 1, now) for number in range(4)] == [1600, 400, 0, 0]
    assert ledger.heard_within(0, 3, now) == 2000
