from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given

from patter_trio._wire.chat_messages import Said, read_functions, read_messages
from patter_trio._wire.keepsakes import Keepsakes
from patter_trio.errors import LanguageModelError

from .chat_histories import answered, messages, said_by


@given(messages)
def test_nothing_is_lost_and_the_sides_take_turns(history: list[dict[str, Any]]) -> None:
    conversation = read_messages(history)
    assert list(conversation.system) == said_by(history, "system", "developer")
    said = conversation.said
    assert [text for line in said if line.role == "assistant" for text in line.texts] == said_by(
        history, "assistant"
    )
    of_user = [text for line in said if line.role == "user" for text in line.texts]
    made_up = [text for text in of_user if text.startswith("[The call")]
    assert [text for text in of_user if text not in made_up] == said_by(history, "user")
    assert len(made_up) <= 2
    assert [(call.name, call.result) for line in said for call in line.calls] == [
        (call["function"]["name"], result) for call, result in answered(history)
    ]
    assert said[0].role == "user"
    assert said[-1].role == "user" or said[-1].calls
    for earlier, later in itertools.pairwise(said):
        assert earlier.role != later.role or earlier.calls
    assert all(line.texts or line.calls for line in said)


def test_a_call_without_its_result_and_a_result_without_its_call_are_left_out() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "book", "arguments": "{}"}}
    conversation = read_messages(
        [
            {"role": "tool", "tool_call_id": "gone", "content": "orphan"},
            {"role": "user", "content": "Book."},
            {"role": "assistant", "content": "One moment.", "tool_calls": [call]},
            {"role": "user", "content": "Hello?"},
        ]
    )
    assert conversation.said == (
        Said("user", ("Book.",)),
        Said("assistant", ("One moment.",)),
        Said("user", ("Hello?",)),
    )


def test_a_result_that_comes_late_joins_its_call_and_a_second_one_adds_to_it() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "book", "arguments": '{"day": "Tue"}'}}
    conversation = read_messages(
        [
            {"role": "user", "content": "Book."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "user", "content": "Hello?"},
            {"role": "tool", "tool_call_id": "a", "content": "begun"},
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "done"}]},
        ]
    )
    (made,) = conversation.said[1].calls
    assert (made.arguments, made.result) == ({"day": "Tue"}, "begun\ndone")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        *(('{"a": 1}', {"a": 1}), ({"a": 1}, {"a": 1}), ("", {}), (None, {})),
        *(('{"a": ', {"malformed_arguments": '{"a": '}), ("[1]", {"malformed_arguments": "[1]"})),
    ],
)
def test_arguments_are_an_object_whatever_was_written(written: Any, read: Any) -> None:
    call = {"id": "a", "function": {"name": "book", "arguments": written}}
    history: list[dict[str, Any]] = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
    ]
    assert read_messages(history).said[1].calls[0].arguments == read


@pytest.mark.parametrize(
    "message",
    [
        {"role": "function", "content": "x"},
        {"content": "x"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]},
        {"role": "user", "content": [7]},
        {"role": "user", "content": 7},
    ],
)
def test_what_cannot_be_sent_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(LanguageModelError, match=r"cannot be sent|must be text"):
        read_messages([message])


@pytest.mark.parametrize("tool", [{"type": "web_search"}, {"type": "function", "function": {}}, {}])
def test_a_tool_of_another_shape_is_refused_with_the_shape(tool: dict[str, Any]) -> None:
    with pytest.raises(LanguageModelError, match="tools have the shape"):
        read_functions([tool])


def test_keepsakes_forget_the_oldest_and_keep_phone_calls_apart() -> None:
    kept: Keepsakes[str] = Keepsakes(limit=2)
    kept.keep("one", "a", "1")
    kept.keep("two", "a", "2")
    assert (kept.find("one", "a"), kept.find("two", "a"), kept.find(None, "a")) == ("1", "2", None)
    kept.keep("one", "a", "1!")
    kept.keep("one", "b", "3")
    assert (kept.find("one", "a"), kept.find("two", "a"), kept.find("one", "b")) == ("1!", None, "3")
