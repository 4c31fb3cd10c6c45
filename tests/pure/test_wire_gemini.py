from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from patter_trio._wire.gemini_request import Kept, contents_request, least_thinking

from .chat_histories import answered, messages, said_by

SKIP = "skip_thought_signature_validator"


def request(
    history: list[dict[str, Any]], model: str = "gemini-3.8-flash", kept: Any = None
) -> dict[str, Any]:
    return contents_request(history, None, model=model, kept_with=(kept or {}).get)


def parts(asked: dict[str, Any], role: str, kind: str) -> list[Any]:
    return [
        part[kind]
        for content in asked["contents"]
        if content["role"] == role
        for part in content["parts"]
        if kind in part
    ]


@given(messages, st.sampled_from(["gemini-2.5-flash", "gemini-3.8-flash"]))
def test_the_request_keeps_everything_and_geminis_rules(history: list[dict[str, Any]], model: str) -> None:
    asked = request(history, model)
    system = asked.get("systemInstruction", {"parts": []})
    assert [part["text"] for part in system["parts"]] == said_by(history, "system", "developer")
    assert parts(asked, "model", "text") == said_by(history, "assistant")
    spoken = parts(asked, "user", "text")
    assert [text for text in spoken if not text.startswith("[The call")] == said_by(history, "user")
    made, responses = parts(asked, "model", "functionCall"), parts(asked, "user", "functionResponse")
    expected = answered(history)
    assert [call["name"] for call in made] == [call["function"]["name"] for call, _ in expected]
    assert all(isinstance(call["args"], dict) for call in made)
    assert [response["name"] for response in responses] == [call["name"] for call in made]
    for response, (_, result) in zip(responses, expected, strict=True):
        if not result.lstrip().startswith("{"):  # objects have a test of their own
            assert response["response"] == {"output": result}

    roles = [content["role"] for content in asked["contents"]]
    assert roles[0] == roles[-1] == "user"
    assert all(earlier != later for earlier, later in itertools.pairwise(roles))
    for at, content in enumerate(asked["contents"]):
        called = [part for part in content["parts"] if "functionCall" in part]
        if called:
            next_parts = asked["contents"][at + 1]["parts"]
            assert all("functionResponse" in part for part in next_parts[: len(called)])
            assert not any("functionResponse" in part for part in next_parts[len(called) :])
            # Only the first of several calls is signed, and only from Gemini 3 on.
            signed = [part.get("thoughtSignature") for part in called]
            assert signed == [SKIP if model == "gemini-3.8-flash" else None] + [None] * (len(called) - 1)
    assert not any("id" in call for call in made)


def tool_turn(result: str) -> list[dict[str, Any]]:
    call = {"id": "a", "function": {"name": "book", "arguments": "{}"}}
    return [
        {"role": "user", "content": "Book."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": result},
    ]


def test_a_result_is_an_object_of_its_own_or_an_output() -> None:
    for result, sent in (
        ('{"ok": true}', {"ok": True}),
        ("8 to 5", {"output": "8 to 5"}),
        ("[1]", {"output": "[1]"}),
        ("", {"output": ""}),
        ('{"a": NaN}', {"output": '{"a": NaN}'}),
    ):
        (response,) = parts(request(tool_turn(result)), "user", "functionResponse")
        assert response["response"] == sent


def test_what_gemini_gave_with_a_call_goes_back_with_it() -> None:
    asked = request(tool_turn("ok"), kept={"a": Kept(id="fc1", signature="c2ln")})
    (part,) = asked["contents"][1]["parts"]
    assert part == {"functionCall": {"name": "book", "args": {}, "id": "fc1"}, "thoughtSignature": "c2ln"}
    (response,) = parts(asked, "user", "functionResponse")
    assert response["id"] == "fc1"


def test_of_calls_at_once_that_another_model_made_only_the_first_is_signed() -> None:
    made = [{"id": id, "function": {"name": "book", "arguments": "{}"}} for id in ("a", "b")]
    history: list[dict[str, Any]] = [
        {"role": "assistant", "tool_calls": made},
        *({"role": "tool", "tool_call_id": id, "content": "ok"} for id in ("a", "b")),
    ]
    for model, signature in (("gemini-3.8-flash", SKIP), ("gemini-2.5-flash", None)):
        called = request(history, model)["contents"][1]["parts"]
        assert [part.get("thoughtSignature") for part in called] == [signature, None]


def test_only_known_models_are_told_how_to_think() -> None:
    assert least_thinking("gemini-flash-latest") == {}
    assert least_thinking("gemini-2.5-pro") == {}
    assert least_thinking("gemini-2.5-flash") == {"thinkingBudget": 0}
