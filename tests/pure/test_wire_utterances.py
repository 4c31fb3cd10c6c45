"""How parts of what a recogniser says become utterances, and which sound each second of it stands for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._wire.recognizer import Cue, Said
from patter_trio._wire.sent_sound import SentSound
from patter_trio._wire.utterances import Utterances
from patter_trio.events import LINEAR_16K, MULAW_8K, AudioFormat, SpeechAudio, Transcript, Word


def interim(text: str) -> Transcript:
    return Transcript(text, confidence=0.5)


def part(text: str, confidence: float | None = 0.9, **flags: bool) -> Transcript:
    return Transcript(text, is_final=True, confidence=confidence, words=(Word(text, 0, 1),), **flags)


def told(utterances: Utterances, *said: Said) -> list[Transcript]:
    return [transcript for each in said for transcript in utterances.hear(each)]


def test_parts_are_shown_as_interim_until_the_utterance_ends() -> None:
    utterances = Utterances(" ", 0.3)
    shown = told(utterances, interim("book"), part("Book"), interim("tuesday"), part("Tuesday"))
    assert [item.text for item in shown] == ["book", "Book", "Book tuesday", "Book Tuesday"]
    assert not any(item.is_final for item in shown)
    (final,) = told(utterances, part("please.", speech_final=True))
    assert (final.text, final.is_final, final.speech_final) == ("Book Tuesday please.", True, True)
    assert [word.text for word in final.words] == ["Book", "Tuesday", "please."]
    assert not final.from_finalize
    assert utterances.finish() == ()


def test_an_end_without_words_is_nothing_unless_it_was_asked_for() -> None:
    utterances = Utterances(" ", 0.3)
    assert told(utterances, part("", speech_final=True), Cue.UTTERANCE_ENDED, Cue.FINALISED) == []
    utterances.ask(1.0)
    assert told(utterances, part("", speech_final=True), Cue.UTTERANCE_ENDED) == []
    (answer,) = told(utterances, Cue.FINALISED)
    assert (answer.text, answer.from_finalize) == ("", True)
    assert not utterances.asked


def test_confidence_is_the_mean_over_the_words_that_have_one() -> None:
    utterances = Utterances(" ", 0.3)
    (final,) = [
        item
        for item in told(
            utterances, part("one", 0.5), part("two three four", 0.9), part("x", None, speech_final=True)
        )
        if item.is_final
    ]
    assert final.confidence == pytest.approx((0.5 + 3 * 0.9) / 4)


def test_an_answer_that_does_not_come_is_given_later_where_words_are_on_their_way() -> None:
    utterances = Utterances(" ", 0.3)
    utterances.ask(10.0)
    assert utterances.deadline == pytest.approx(10.3)
    assert utterances.poll(10.2) == ()
    told(utterances, interim("two rolls"))
    assert utterances.deadline == pytest.approx(11.0)
    (answer,) = utterances.poll(11.0)
    assert (answer.text, answer.is_final, answer.from_finalize) == ("two rolls", True, True)
    assert utterances.deadline == float("inf")
    (late,) = told(utterances, part("Two rolls.", from_finalize=True))
    assert (late.text, late.from_finalize) == ("Two rolls.", False)


def test_parts_that_bring_their_spaces_are_put_together_as_they_are() -> None:
    utterances = Utterances("", 0.3)
    shown = told(utterances, part(" Tues"), part("day"), part(".", speech_final=True))
    assert [item.text for item in shown] == ["Tues", "Tuesday", "Tuesday."]


@given(
    st.lists(
        st.one_of(
            st.just("ask"),
            st.sampled_from([Cue.FINALISED, Cue.UTTERANCE_ENDED]),
            st.builds(interim, st.text("ab ", max_size=3)),
            st.builds(
                part, st.text("ab ", max_size=3), speech_final=st.booleans(), from_finalize=st.booleans()
            ),
        )
    )
)
def test_every_question_has_one_answer_and_no_part_is_lost(happened: list[str | Said]) -> None:
    utterances, given_out, asked, parts = Utterances(" ", 0.3), [], 0, []
    for now, item in enumerate(happened):
        given_out += list(utterances.poll(now))
        if isinstance(item, str):
            utterances.ask(now)
            asked += 1
        else:
            given_out += list(utterances.hear(item))
            if isinstance(item, Transcript) and item.is_final:
                parts += item.text.split()
    while utterances.asked:
        given_out += list(utterances.poll(float("inf")))
    given_out += list(utterances.finish())
    finals = [item for item in given_out if item.is_final]
    assert sum(item.from_finalize for item in finals) == asked
    said = " ".join(item.text for item in finals).split()
    assert [word for word in said if word in parts] or not parts
    assert len(said) >= len(parts)


# --- sound --------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 900), max_size=30), st.sampled_from([0.0, 0.05, 0.06]), st.data())
def test_pieces_have_their_size_and_hold_all_of_the_sound(
    sizes: list[int], smallest: float, data: st.DataObject
) -> None:
    sound = SentSound(MULAW_8K, MULAW_8K, smallest, 0.1)
    pieces, given_in, at = [], b"", 0.0
    for size in sizes:
        block = data.draw(st.binary(min_size=size, max_size=size))
        pieces += list(sound.add(SpeechAudio(block, at)))
        given_in += block
        at += size / 8000
    pieces += list(sound.rest())
    assert all(pieces)
    sent = b"".join(pieces)
    assert sent.startswith(given_in)
    assert set(sent[len(given_in) :]) <= {0xFF}
    assert all(MULAW_8K.bytes_for(smallest) <= len(piece) <= 800 for piece in pieces)


def test_times_are_those_of_the_call_also_after_a_gap() -> None:
    sound = SentSound(MULAW_8K, MULAW_8K, 0.0, 1.0)
    assert sound.media_time(1.0) == 1.0
    for at in (5.0, 5.5, 9.0):
        list(sound.add(SpeechAudio(b"\xff" * 4000, at)))
    assert [sound.media_time(sent) for sent in (0.0, 0.5, 0.99, 1.0, 1.25)] == pytest.approx(
        [5.0, 5.5, 5.99, 9.0, 9.25]
    )


def test_silence_that_was_added_moves_what_comes_after_it() -> None:
    sound = SentSound(MULAW_8K, MULAW_8K, 0.0, 1.0)
    list(sound.add(SpeechAudio(b"\xff" * 800, 0.0)))
    assert sound.silence(0.1) == b"\xff" * 800
    list(sound.add(SpeechAudio(b"\xff" * 800, 0.1)))
    assert sound.media_time(0.25) == pytest.approx(0.15)


@pytest.mark.parametrize("source", [MULAW_8K, LINEAR_16K, AudioFormat("alaw", 8000)])
def test_sound_is_converted_on_its_way(source: AudioFormat) -> None:
    sound = SentSound(source, LINEAR_16K, 0.0, 0.25)
    pieces = list(sound.add(SpeechAudio(source.silence * source.sample_rate, 0.0)))
    assert LINEAR_16K.seconds_in(sum(map(len, pieces))) == pytest.approx(1.0, abs=0.01)
    assert max(map(len, pieces)) <= LINEAR_16K.bytes_for(0.25)
