"""Conversations in OpenAI's chat shape as no vendor would like them: for the tests of the wires."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

# Few ids, so that they come twice, and signs that some vendors refuse.
ids = st.sampled_from(["call_0", "call_1", "functions.book:0", "tööl"])
texts = st.text(max_size=12)
arguments = st.one_of(
    st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=2).map(json.dumps),
    st.sampled_from(["", "{", "[1]", '"x"', "null"]),
)
contents = st.one_of(
    st.none(), texts, st.lists(texts.map(lambda text: {"type": "text", "text": text}), max_size=2)
)


def _call(id: str, name: str, written: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": written}}


calls = st.builds(_call, ids, st.sampled_from(["book", "hours"]), arguments)
_called = st.lists(calls, min_size=1, max_size=3, unique_by=lambda call: call["id"])
_results = st.fixed_dictionaries({"role": st.just("tool"), "tool_call_id": ids, "content": texts})
_said = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant"]), "content": contents}
)


@st.composite
def _tool_turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Calls with most of their results, in any order; somebody may speak in between."""
    made = draw(_called)
    asked = {"role": "assistant", "content": draw(contents), "tool_calls": made}
    after = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(texts)}
        for call in made
        if draw(st.sampled_from([True, True, True, False]))
    ]
    return [asked, *draw(st.permutations([*after, *draw(st.lists(_said, max_size=1))]))]


messages = st.lists(
    st.one_of(_said.map(lambda message: [message]), _results.map(lambda result: [result]), _tool_turns()),
    max_size=5,
).map(lambda turns: [message for turn in turns for message in turn])


def parts_of(message: dict[str, Any]) -> list[str]:
    """The texts of a message that hold more than white space."""
    content = message["content"]
    given = [content] if isinstance(content, str) else [part["text"] for part in content or ()]
    return [text for text in given if text.strip()]


def said_by(history: list[dict[str, Any]], *roles: str) -> list[str]:
    return [text for message in history if message["role"] in roles for text in parts_of(message)]


def answered(history: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """The tool calls that have a result, in order, each with all of it."""
    asked: list[tuple[dict[str, Any], list[str]]] = []
    latest: dict[str, list[str]] = {}
    for message in history:
        for call in message.get("tool_calls", ()):
            results: list[str] = []
            asked.append((call, results))
            latest[call["id"]] = results
        if message["role"] == "tool" and message["tool_call_id"] in latest:
            latest[message["tool_call_id"]].append(message["content"])
    return [(call, "\n".join(results)) for call, results in asked if results]
