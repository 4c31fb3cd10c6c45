"""The memory of a conversation, and the milliseconds of a turn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._turns.compaction import CompactionConfig, estimate_tokens, plan_compaction
from patter_trio._turns.history import History, HistoryEntry, UsedTool
from patter_trio._turns.latency import TurnTimes
from patter_trio.errors import PatterConfigError


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


def test_tools_and_their_results_are_told_on_later_turns() -> None:
    history = History()
    history.add(HistoryEntry("user", "Book me in.", 1.0))
    tools = (UsedTool("a", "slots", '{"day": 1}', "[9]"), UsedTool("b", "who", "", "Ada"))
    history.add(HistoryEntry("assistant", "One moment.", 2.0, tools=tools))
    history.add(HistoryEntry("assistant", "", 3.0, tools=(UsedTool("c", "book", "{}", "done"),)))
    history.add(HistoryEntry("assistant", "You are in.", 4.0))
    function = {"name": "slots", "arguments": '{"day": 1}'}
    assert history.messages() == [
        {"role": "user", "content": "Book me in."},
        {
            "role": "assistant",
            "content": "One moment.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": function},
                {"id": "b", "type": "function", "function": {"name": "who", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "[9]"},
        {"role": "tool", "tool_call_id": "b", "content": "Ada"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "book", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "done"},
        {"role": "assistant", "content": "You are in."},
    ]
    assert [entry["text"] for entry in history.transcript()] == ["Book me in.", "One moment.", "You are in."]


def test_words_heard_before_a_tool_stand_in_the_message_that_called_it() -> None:
    history = History()
    history.add(HistoryEntry("user", "Hi", 1.0))
    history.add(HistoryEntry("assistant", "I will look.", 1.0))
    history.add(HistoryEntry("assistant", "Now.", 1.0, tools=(UsedTool("a", "look", "{}", "x"),)))
    assert [message["role"] for message in history.messages()] == ["user", "assistant", "tool"]
    assert history.messages()[1]["content"] == "I will look. Now."


@pytest.mark.parametrize("arguments", ["", "{", "[1]", "null", '"x"', '{"x": NaN}', '{"x":' * 9999])
def test_arguments_that_are_no_object_do_not_reach_the_next_request(arguments: str) -> None:
    assert UsedTool("a", "look", arguments, "x").arguments == "{}"


def test_tools_whose_question_was_forgotten_are_not_told() -> None:
    history = History(2)
    history.add(HistoryEntry("user", "Look.", 1.0))
    history.add(HistoryEntry("assistant", "", 1.0, tools=(UsedTool("a", "look", "{}", "x"),)))
    history.add(HistoryEntry("assistant", "Found it.", 1.0))
    assert history.messages() == [{"role": "assistant", "content": "Found it."}]
    assert len(history.entries) == 2


uses = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True).map(
    lambda ids: tuple(UsedTool(name, name, "{}", name * 3) for name in ids)
)
words = st.sampled_from(["", "one", "two words"])
entries = st.one_of(
    st.builds(HistoryEntry, st.just("user"), words, st.just(1.0)),
    st.builds(HistoryEntry, st.just("assistant"), words, st.just(1.0), words),
    st.builds(HistoryEntry, st.just("assistant"), words, st.just(1.0), words, st.just(0), uses),
)


def check_conversation(messages: list[dict[str, Any]]) -> None:
    """What every chat endpoint asks of a conversation."""
    waiting: list[str] = []
    before = ""
    asked = False
    for message in messages:
        role = message["role"]
        if role == "tool":
            assert message["tool_call_id"] == waiting.pop(0), "a result follows its call, in order"
            before = role
            continue
        assert not waiting, "every call has its result before anything else is said"
        assert role != before, "one message a side"
        asked = asked or role == "user"
        waiting = [call["id"] for call in message.get("tool_calls", ())]
        assert message["content"] or waiting
        assert asked or not waiting
        # Two messages with tools in a row have their results between them.
        before = role
    assert not waiting


@given(st.lists(entries, max_size=30), st.integers(1, 12), st.lists(st.integers(0, 40), max_size=3))
def test_no_call_is_ever_without_its_result_nor_a_result_without_its_call(
    added: list[HistoryEntry], limit: int, summarised: list[int]
) -> None:
    history = History(limit)
    for place, entry in enumerate(added):
        history.add(entry)
        if place in summarised:
            history.summarise(history.added - 1, "notes")
        messages = history.messages()
        if history.summary:
            assert messages.pop(0)["role"] == "system"
        check_conversation(messages)
        assert len(history.entries) <= limit


def conversation(turns: int, size: int = 400) -> History:
    history = History()
    for turn in range(turns):
        history.add(HistoryEntry("user", f"q{turn} " + "x" * size, 1.0))
        history.add(HistoryEntry("assistant", "", 1.0, tools=(UsedTool("a", "look", "{}", f"found{turn}"),)))
        history.add(HistoryEntry("assistant", f"a{turn} " + "y" * size, 1.0))
    return history


def test_a_short_conversation_is_not_summarised() -> None:
    assert plan_compaction(conversation(5), CompactionConfig()) is None
    assert plan_compaction(History(), CompactionConfig(2, 1, 1)) is None


def test_the_trigger_counts_only_what_may_be_summarised() -> None:
    history = conversation(5)
    old = estimate_tokens(history.messages()[:4])
    assert plan_compaction(history, CompactionConfig(old + 1, 1, 4)) is None
    plan = plan_compaction(history, CompactionConfig(old, 1, 4))
    assert plan is not None
    assert [entry.text[:2] for entry in plan.entries] == ["q0", "", "a0"]


def test_the_last_turns_stay_word_for_word_and_the_rest_becomes_the_second_system_message() -> None:
    history = conversation(6)
    plan = plan_compaction(history, CompactionConfig(100, 50, 2))
    assert plan is not None
    material = plan.request()[1]["content"]
    assert "Caller: q3" in material
    assert "Tool look {}: found3" in material
    assert "q4" not in material
    history.add(HistoryEntry("user", "q6", 1.0))  # said while the model was writing
    assert plan.apply(history, " They want bread. ")
    first, *rest = history.messages()
    assert first["role"] == "system"
    assert first["content"].endswith("They want bread.")
    assert [message["content"][:2] for message in rest if message["role"] == "user"] == ["q4", "q5", "q6"]
    assert len(history.entries) == 19, "callbacks still see everything"
    assert len(history.transcript()) == 13


def test_a_summary_is_summarised_with_what_came_after_it() -> None:
    history = conversation(6)
    config = CompactionConfig(300, 299, 2)
    first = plan_compaction(history, config)
    assert first is not None
    first.apply(history, "They want bread.")
    for entry in conversation(4).entries:
        history.add(entry)
    second = plan_compaction(history, config)
    assert second is not None
    assert "Notes so far: They want bread." in second.request()[1]["content"]
    assert second.apply(history, "Bread and rolls.")
    assert not first.apply(history, "Too late."), "an older summary never replaces a newer one"
    assert history.summary == "Bread and rolls."


def test_the_target_is_asked_for_and_kept_to() -> None:
    history = conversation(6)
    plan = plan_compaction(history, CompactionConfig(300, 100, 2))
    assert plan is not None
    assert "at most 70 words" in plan.request()[0]["content"]
    assert plan.apply(history, "z" * 5000)
    assert len(history.summary) == 400


def test_an_empty_summary_leaves_the_conversation_as_it_is() -> None:
    history = conversation(6)
    plan = plan_compaction(history, CompactionConfig(300, 100, 2))
    before = history.messages()
    assert plan is not None
    assert not plan.apply(history, " \n")
    assert history.messages() == before


def test_entries_that_fell_out_meanwhile_do_not_shift_the_summary() -> None:
    history = History(9)
    for entry in conversation(3).entries:
        history.add(entry)
    plan = plan_compaction(history, CompactionConfig(100, 50, 1))
    assert plan is not None
    for entry in conversation(1).entries:
        history.add(entry)
    assert plan.apply(history, "notes")
    assert [m["content"][:2] for m in history.messages() if m["role"] == "user"] == ["q2", "q0"]


@pytest.mark.parametrize(
    "settings",
    [
        {"trigger_tokens": 0},
        {"target_tokens": 2.5},
        {"keep_last_turns": True},
        {"keep_last_turns": 0},
        {"trigger_tokens": 100, "target_tokens": 100},
    ],
)
def test_a_compaction_that_cannot_work_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        CompactionConfig(**settings)


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
