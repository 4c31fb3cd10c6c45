from __future__ import annotations

import itertools
import re
from typing import Any

from hypothesis import given

from patter_trio._wire.anthropic import MessageStream
from patter_trio._wire.anthropic_request import messages_request

from .chat_histories import answered, messages, said_by


def request(history: list[dict[str, Any]], thoughts: Any = None, caching: bool = True) -> dict[str, Any]:
    return messages_request(history, None, prompt_caching=caching, thinking_before=(thoughts or {}).get)


def blocks(asked: dict[str, Any], role: str, kind: str) -> list[dict[str, Any]]:
    return [
        block
        for message in asked["messages"]
        if message["role"] == role
        for block in message["content"]
        if block["type"] == kind
    ]


@given(messages)
def test_the_request_keeps_everything_and_anthropics_rules(history: list[dict[str, Any]]) -> None:
    asked = request(history)
    assert [block["text"] for block in asked.get("system", [])] == said_by(history, "system", "developer")
    assert [block["text"] for block in blocks(asked, "assistant", "text")] == said_by(history, "assistant")
    spoken = [block["text"] for block in blocks(asked, "user", "text")]
    assert [text for text in spoken if not text.startswith("[The call")] == said_by(history, "user")
    made = [(call["function"]["name"], result) for call, result in answered(history)]
    uses, results = blocks(asked, "assistant", "tool_use"), blocks(asked, "user", "tool_result")
    assert [use["name"] for use in uses] == [name for name, _ in made]
    assert [result["content"] for result in results] == [result for _, result in made]

    roles = [message["role"] for message in asked["messages"]]
    assert roles[0] == roles[-1] == "user"
    assert all(earlier != later for earlier, later in itertools.pairwise(roles))
    assert all(message["content"] for message in asked["messages"])
    own = [use["id"] for use in uses]
    assert len(set(own)) == len(own)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", id) for id in own)
    for at, message in enumerate(asked["messages"]):
        called = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        if called:
            next_blocks = asked["messages"][at + 1]["content"]
            assert [block.get("tool_use_id") for block in next_blocks[: len(called)]] == called
            kinds = [block["type"] for block in next_blocks[len(called) :]]
            assert "tool_result" not in kinds
    marked = [block for block in asked.get("system", []) if "cache_control" in block]
    assert len(marked) <= 2
    assert bool(marked) == bool(asked.get("system"))


def test_a_summary_that_changes_leaves_the_prompts_cache_alone() -> None:
    history = [{"role": "system", "content": text} for text in ("Prompt.", "Rules.", "Summary.")]
    marked = [block["text"] for block in request(history)["system"] if "cache_control" in block]
    assert marked == ["Prompt.", "Summary."]
    assert not any("cache_control" in block for block in request(history, caching=False)["system"])


def test_a_greeting_and_a_silence_get_a_user_before_and_after_them() -> None:
    asked = request([{"role": "assistant", "content": "Good morning!"}])
    assert [(message["role"], message["content"][0]["text"]) for message in asked["messages"]] == [
        ("user", "[The call is connected.]"),
        ("assistant", "Good morning!"),
        ("user", "[The caller says nothing.]"),
    ]
    assert [message["content"][0]["text"] for message in request([])["messages"]] == [
        "[The call is connected.]"
    ]


def test_thinking_begins_the_message_and_stays_between_its_calls() -> None:
    thoughts = {"a": [{"type": "thinking", "thinking": "1"}], "b": [{"type": "thinking", "thinking": "2"}]}
    made = [{"id": id, "function": {"name": "book", "arguments": "{}"}} for id in ("a", "b")]
    asked = request(
        [
            {"role": "user", "content": "Book."},
            {"role": "assistant", "content": "One moment.", "tool_calls": made},
            *({"role": "tool", "tool_call_id": id, "content": "ok"} for id in ("a", "b")),
        ],
        thoughts,
    )
    kinds = [block["type"] for block in asked["messages"][1]["content"]]
    assert kinds == ["thinking", "text", "tool_use", "thinking", "tool_use"]


def test_an_id_that_comes_again_in_a_later_turn_is_told_apart() -> None:
    turn: list[dict[str, Any]] = [
        {"role": "assistant", "tool_calls": [{"id": "call_0", "function": {"name": "book"}}]},
        {"role": "tool", "tool_call_id": "call_0", "content": "ok"},
    ]
    asked = request([*turn, {"role": "user", "content": "And?"}, *turn])
    ids = [block["id"] for block in blocks(asked, "assistant", "tool_use")]
    assert ids == ["call_0", "call_0_1"]
    assert [block["tool_use_id"] for block in blocks(asked, "user", "tool_result")] == ids


def test_the_stream_gives_nothing_after_its_end() -> None:
    stream = MessageStream(keep=lambda *_: None)
    ends = b'data: {"type": "message_stop"}\n\n'
    assert [chunk.type for chunk in stream.feed(ends + ends)] == ["done"]
    assert list(stream.finish()) == []
