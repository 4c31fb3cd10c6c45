"""Subscriptions: what each type of event carries, when it may be asked for, and what it costs nobody."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

from patter_trio import Call, PatterConfigError, TurnMetrics, Usage, tool
from patter_trio.events import LlmText, TtsSound
from patter_trio.observability import EventBus, PatterEventType
from patter_trio.testing import Caller, MemoryLine, Reply, ScriptedLLM, ToolUse, run_virtual

from .ring import LONG, URL, agent, patter, ring, ring_async, twilio

GREETED = Caller().waits_for_agent()
CALLER = (
    GREETED.says("When are you open?")
    .barges_in("And the price of a loaf?", after=1.1)
    .waits_for_agent()
    .says("Thank you.")
    .waits(0.9)
    .coughs(0.12)
    .waits_for_agent()
    .hangs_up()
)


@tool
async def price(what: str) -> str:
    """The price of something.

    Args:
        what: what it is.
    """
    await trio.sleep(0.1)
    return "four"


def talker() -> Any:
    replies: list[str | Reply] = [LONG, Reply(tools=[ToolUse("price", {"what": "loaf"})]), "Four.", LONG]
    return agent(ScriptedLLM(replies), tools=[price])


@pytest.fixture(scope="module")
def told() -> dict[str, list[dict[str, Any]]]:
    bus = EventBus()
    received: dict[str, list[dict[str, Any]]] = {kind: [] for kind in PatterEventType}
    for kind, kept in received.items():
        bus.on(kind, kept.append)
    ring(talker(), CALLER, events=bus)
    return received


FIELDS: dict[str, set[str]] = {
    "turn_started": set(),
    "turn_ended": {"turn_idx", "kind", "turn"},
    "eou_metrics": {"turn_idx", "end_of_utterance_delay", "transcription_delay"},
    "interruption": {
        "turn_idx", "total_duration", "detection_delay", "num_interruptions", "num_false_interruptions"
    },
    "false_interruption": {"turn_idx", "held_ms"},
    "llm_metrics": {"turn_idx", "ttfb_ms", "usage"},
    "tts_metrics": {"turn_idx", "ttfb_ms", "characters"},
    "stt_metrics": {"turn_idx", "processing_ms"},
    "metrics_collected": {"turn_idx", "turn"},
    "context_tokens": {"turn_idx", "tokens"},
    "call_ended": {"outcome", "reason", "error_code"},
    "transcript_partial": {"role", "text", "is_final"},
    "transcript_final": {"role", "text", "is_final", "history"},
    "llm_chunk": {"turn_idx", "text"},
    "tts_chunk": {"turn_idx", "bytes"},
    "tool_call_started": {"turn_idx", "name", "args"},
    "tool_call_completed": {"turn_idx", "name", "result", "ok", "duration_ms"},
}  # fmt: skip


@pytest.mark.parametrize("kind", PatterEventType)
def test_each_type_is_told_with_its_fields(
    kind: PatterEventType, told: dict[str, list[dict[str, Any]]]
) -> None:
    assert told[kind], "it never came"
    for payload in told[kind]:
        assert set(payload) == FIELDS[kind] | {"call_id", "timestamp_ms"}
        assert payload["call_id"].startswith("CA")


def test_what_is_told_is_what_happened(told: dict[str, list[dict[str, Any]]]) -> None:
    assert len(told["turn_started"]) == 3
    assert [payload["num_interruptions"] for payload in told["interruption"]] == [1]
    assert told["tool_call_started"][0]["name"] == "price"
    assert told["tool_call_completed"][0]["result"] == "four"
    assert isinstance(told["turn_ended"][0]["turn"], TurnMetrics)
    assert isinstance(told["llm_metrics"][0]["usage"], Usage)
    texts = [payload["text"] for payload in told["transcript_final"] if payload["role"] == "user"]
    assert texts == ["When are you open?", "And the price of a loaf?", "Thank you."]
    assert told["transcript_final"][1]["history"][0]["text"] == "Hello, this is the desk."
    first = [payload["text"] for payload in told["llm_chunk"] if payload["turn_idx"] == 2]
    assert "".join(first) == "Four."
    assert all(payload["bytes"] > 0 for payload in told["tts_chunk"])
    assert told["call_ended"] == [
        {**told["call_ended"][0], "outcome": "answered", "reason": "caller_hung_up", "error_code": None}
    ]


def test_one_may_subscribe_in_the_middle_of_a_call_and_stop_again() -> None:
    heard: list[str] = []

    async def main() -> None:
        number = patter()
        async with number.session(agent(ScriptedLLM(["Yes.", "No."])), port=None) as session:
            assert session.events is number.events

            async def later() -> None:
                await trio.sleep(3.0)
                undo = session.events.on("transcript_final", lambda event: heard.append(event["text"]))
                await trio.sleep(3.0)
                undo()

            script = GREETED.waits(1.0).says("Is it open?").waits_for_agent().waits(3.0).says("And now?")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(later)
                await twilio().call(MemoryLine(session.app, URL), script.waits_for_agent().hangs_up())

    run_virtual(main)
    assert heard == ["Is it open?", "Yes."]


def test_a_call_that_nobody_listens_to_makes_no_events() -> None:
    async def main() -> None:
        number = patter()
        async with number.session(agent(), port=None) as session:

            async def look() -> None:
                await trio.sleep(1.0)
                (call,) = session.calls.values()
                assert call._report.outlet is None
                assert not call.wants_chunks

            async with trio.open_nursery() as nursery:
                nursery.start_soon(look)
                await twilio().call(MemoryLine(session.app, URL), GREETED.hangs_up())

    run_virtual(main)


def test_pieces_of_text_and_sound_are_told_only_where_somebody_asked_for_them() -> None:
    def pieces(bus: EventBus) -> int:
        rung = ring(agent(), GREETED.says("Hello?").waits_for_agent().hangs_up(), events=bus)
        return len(rung.of(LlmText)) + len(rung.of(TtsSound))

    bus = EventBus()
    undo = bus.on(PatterEventType.TURN_ENDED, lambda event: None)
    assert pieces(bus) == 0
    chunks = bus.on(PatterEventType.LLM_CHUNK, lambda event: None)
    assert pieces(bus) > 0
    chunks()
    assert pieces(bus) == 0
    undo()


def test_a_subscriber_that_fails_is_complained_about_once_and_the_others_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus, kept = EventBus(), list[dict[str, Any]]()

    def fail(event: dict[str, Any]) -> None:
        raise RuntimeError("a bug of the user")

    bus.on(PatterEventType.TURN_ENDED, fail)
    bus.on(PatterEventType.TURN_ENDED, kept.append)
    with caplog.at_level(logging.WARNING):
        ring(agent(), GREETED.says("Hello?").waits_for_agent().hangs_up(), events=bus)
    assert len(kept) == 2
    assert caplog.text.count("a bug of the user") >= 1
    assert len([record for record in caplog.records if record.name == "patter_trio.callbacks"]) == 1


def test_an_unknown_type_and_a_thing_that_cannot_be_called_are_refused() -> None:
    bus = EventBus()
    with pytest.raises(PatterConfigError, match="transcript_finale"):
        bus.on("transcript_finale", print)
    with pytest.raises(PatterConfigError, match="is not a function"):
        bus.on(PatterEventType.TURN_ENDED, None)  # type: ignore[arg-type]
    with pytest.raises(PatterConfigError, match="no EventBus"):
        patter().session(agent(), events=print)
    bus.off(PatterEventType.TURN_ENDED, print)


def test_a_call_may_be_watched_twice() -> None:
    async def follow(call: Call) -> None:
        async with trio.open_nursery() as nursery:
            for kept in both:
                nursery.start_soon(collect, call, kept)

    async def collect(call: Call, kept: list[str]) -> None:
        kept.extend([event.name async for event in call.events()])

    both: tuple[list[str], list[str]] = ([], [])

    async def main() -> None:
        await ring_async(agent(), GREETED.hangs_up(), on_call=follow)

    run_virtual(main)
    assert both[0] == both[1]
    assert both[0][-1] == "call_ended"
