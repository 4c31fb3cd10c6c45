"""OpenAI's Realtime protocol as events of ours, and our wishes in its words."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._wire import openai_realtime as wire
from patter_trio.errors import RemoteProtocolError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "openai_realtime.json").read_text("utf-8"))
ENTRIES = {entry["id"].removeprefix("openai_realtime."): entry for entry in VECTORS["entries"]}


def read(name: str) -> list[wire.RealtimeEvent]:
    reader = wire.RealtimeReader()
    received = [frame["data"] for frame in ENTRIES[name]["frames"] if frame["dir"] == "recv"]
    return [event for data in received for event in reader.read(json.dumps(data))]


def of(events: Iterable[wire.RealtimeEvent], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def said(events: Iterable[wire.RealtimeEvent]) -> str:
    return "".join(event.text for event in of(events, wire.TextDelta))


@pytest.mark.parametrize("name", ENTRIES)
def test_what_the_vectors_expect(name: str) -> None:
    events, expect = read(name), ENTRIES[name]["expect"]
    if "agent_transcripts" in expect:
        assert [said(events)] == expect["agent_transcripts"]
    if "user_transcripts" in expect:
        heard = [event.text for event in of(events, wire.CallerUnderstood) if event.final and event.text]
        assert heard == expect["user_transcripts"]
    sound = of(events, wire.SoundDelta)
    if "audio_bytes" in expect:
        assert sum(len(event.audio) for event in sound) == expect["audio_bytes"]
    if "audio_first_byte_values" in expect:
        assert [event.audio[0] for event in sound] == expect["audio_first_byte_values"]
    if "response_status" in expect:
        (ended,) = of(events, wire.ResponseEnded)
        assert ended.status == expect["response_status"]
        assert ended.code == expect.get("failure_code", expect.get("reason", "turn_detected"))
    total = expect.get("usage_total_tokens", expect.get("billed_tokens"))
    if total is not None:
        usage = of(events, wire.ResponseEnded)[-1].usage
        assert usage.input_tokens + usage.output_tokens == total
    if "retry" in expect:
        refused = of(events, wire.Refused)
        active = [each for each in refused if each.code == "conversation_already_has_active_response"]
        assert [each.event_id for each in active] == expect["retry"]


def test_sound_and_text_name_their_response_and_item() -> None:
    events = read("ga.vad_turn")
    (started,) = of(events, wire.ResponseStarted)
    pieces = [*of(events, wire.SoundDelta), *of(events, wire.TextDelta)]
    assert {piece.response for piece in pieces} == {started.response}
    assert len({piece.item for piece in pieces}) == 1


def test_a_tool_call_that_is_told_twice_is_one() -> None:
    reader = wire.RealtimeReader()
    call = {"type": "function_call", "call_id": "c1", "name": "book", "arguments": '{"day":"Tue"}'}
    messages: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "response_id": "r", "item": {**call, "arguments": ""}},
        {"type": "response.function_call_arguments.done", "response_id": "r", **call, "name": None},
        {"type": "response.output_item.done", "response_id": "r", "item": call},
    ]
    messages[1]["type"] = "response.function_call_arguments.done"
    told = [event for message in messages for event in reader.read(json.dumps(message))]
    assert told == [wire.ToolAsked("r", "c1", "book", '{"day":"Tue"}')]


def test_a_call_that_was_cut_off_is_none() -> None:
    item = {"type": "function_call", "call_id": "c", "name": "b", "arguments": '{"d', "status": "incomplete"}
    message = {"type": "response.output_item.done", "response_id": "r", "item": item}
    assert list(wire.RealtimeReader().read(json.dumps(message))) == []


def test_text_that_comes_only_at_the_end_is_told_once() -> None:
    reader = wire.RealtimeReader()
    done = {"type": "response.output_audio_transcript.done", "response_id": "r", "item_id": "i"}
    delta = {"type": "response.output_audio_transcript.delta", "response_id": "r", "item_id": "j"}
    messages = [{**done, "transcript": "Hi."}, {**delta, "delta": "Ho."}]
    messages.append({**done, "item_id": "j", "transcript": "Ho."})
    told = [event for message in messages for event in reader.read(json.dumps(message))]
    assert [event.text for event in of(told, wire.TextDelta)] == ["Hi.", "Ho."]


@pytest.mark.parametrize("message", ["", "[]", "7", "{", '{"type":"response.audio.delta","delta":"%"}'])
def test_what_is_no_event_is_refused(message: str) -> None:
    with pytest.raises(RemoteProtocolError):
        list(wire.RealtimeReader().read(message))


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 3, "x", "", [], [1], {}, {"id": 7}, {"type": None}, {"error": []}, {"item": {"type": 1}}]
)
KINDS = sorted(wire._READINGS) + sorted(wire._BETA) + ["something.new"]
FIELDS = ["item", "response", "session", "error", "delta", "transcript", "item_id", "response_id", "usage"]


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), ODD))
def test_whatever_stands_in_the_fields_nothing_worse_than_a_protocol_error_comes(
    kind: str, fields: dict[str, Any]
) -> None:
    try:
        list(wire.RealtimeReader().read(json.dumps({**fields, "type": kind})))
    except RemoteProtocolError:
        assert kind.endswith("audio.delta"), "only sound can be no sound"


@given(st.binary(max_size=400))
def test_sound_arrives_as_it_was_sent(audio: bytes) -> None:
    assert base64.b64decode(json.loads(wire.append_sound(audio))["audio"]) == audio


# --- what we say, judged by the vendor's types --------------------------------------------------------------

SAID = {
    "update": wire.update_session({"instructions": "x", "tools": []}, "u-1"),
    "sound": wire.append_sound(b"\xff" * 160),
    "commit": wire.commit_sound("c-1"),
    "clear": wire.clear_sound(),
    "answer": wire.create_response("r-1"),
    "say": wire.create_response("r-2", say="Good morning."),
    "cancel": wire.cancel_response("resp_1"),
    "cancel the one that runs": wire.cancel_response(""),
    "truncate": wire.truncate_item("item_1", 1480),
    "text": wire.user_text("4 5 6"),
    "output": wire.tool_output("call_1", "done"),
}


@pytest.mark.parametrize("name", SAID)
def test_the_vendor_understands_it(name: str) -> None:
    from openai.types.realtime import RealtimeClientEvent
    from pydantic import TypeAdapter

    TypeAdapter(RealtimeClientEvent).validate_json(SAID[name])


def test_words_to_be_said_stand_alone() -> None:
    response = json.loads(SAID["say"])["response"]
    assert response["instructions"].endswith("Good morning.")
    assert response["input"] == []
    assert response["tool_choice"] == "none"


def test_a_conversation_is_restored_with_its_tools() -> None:
    from openai.types.realtime import RealtimeClientEvent
    from pydantic import TypeAdapter

    call = {"id": "c1", "type": "function", "function": {"name": "price", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Notes."},
        {"role": "user", "content": "A loaf?"},
        {"role": "assistant", "content": "Let me look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "four"},
        {"role": "assistant", "content": "Four."},
    ]
    restored = list(wire.restore_items(messages))
    for message in restored:
        TypeAdapter(RealtimeClientEvent).validate_json(message)
    items = [json.loads(message)["item"] for message in restored]
    assert [item.get("role", item["type"]) for item in items] == [
        *("system", "user", "assistant", "function_call", "function_call_output", "assistant")
    ]
    assert items[2]["content"] == [{"type": "output_text", "text": "Let me look."}]
    assert items[4]["output"] == "four"
