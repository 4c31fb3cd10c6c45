"""The memory of a conversation, and the milliseconds of a turn."""

from __future__ import annotations

from patter_trio._turns.history import History, HistoryEntry
from patter_trio._turns.latency import TurnTimes


def test_a_model_never_sees_words_that_were_not_heard() -> None:
    history = History()
    history.add(HistoryEntry("assistant", "We are open", 1.0, unheard="until six."))
    history.add(HistoryEntry("assistant", "", 2.0, unheard="Never said."))
    assert history.messages() == [{"role": "assistant", "content": "We are open"}]
    assert len(history.entries) == 2


def test_one_message_a_side_in_turn() -> None:
    history = History()
    for text in ("one", "two"):
        history.add(HistoryEntry("user", text, 1.0))
    history.add(HistoryEntry("assistant", "three", 1.0))
    assert [message["content"] for message in history.messages()] == ["one two", "three"]
    assert len(history.transcript()) == 3


def test_the_oldest_entries_go_first() -> None:
    history = History(2)
    for text in "abc":
        history.add(HistoryEntry("user", text, 1.0))
    assert [entry.text for entry in history.entries] == ["b", "c"]


def test_an_entry_without_words_is_none() -> None:
    history = History()
    history.add(HistoryEntry("user", "", 1.0))
    assert history.entries == ()


def test_the_response_is_counted_from_the_callers_last_sound() -> None:
    times = TurnTimes(
        started=10.35,
        speech_started=8.0,
        speech_ended=10.25,
        trailing_silence=0.25,
        final=10.3,
        committed=10.35,
    )
    times.first_token, times.first_sentence, times.first_audio = 10.40, 10.45, 10.50
    times.first_frame, times.ended = 10.51, 12.0
    found = times.breakdown()
    assert found.agent_response_ms == 510.0
    assert found.endpoint_ms == 350.0
    assert found.stt_ms == 50.0
    assert found.llm_ttft_ms == 50.0
    assert found.tts_ms == 50.0
    assert found.user_speech_duration_ms == 2000.0
    assert found.bargein_ms is None
