"""The seven speech-edge callbacks: their payloads field by field, where they may be set, what may fail."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

from patter_trio import Call, Patter, PatterConfigError
from patter_trio._call.speech_edges import SPEECH_EDGES
from patter_trio.events import CallEnded
from patter_trio.testing import Caller, MemoryLine, ScriptedLLM, run_virtual

from .ring import LONG, URL, agent, patter, ring, ring_async, twilio

GREETED = Caller().waits_for_agent()
CUTS_IN = GREETED.says("When are you open?").barges_in("And the price of a loaf?", after=1.1)
CALLER = CUTS_IN.waits_for_agent().hangs_up()

# The contract, field by field: name, type, and whether it may be left out.
PAYLOADS: dict[str, dict[str, tuple[type, bool]]] = {
    "on_user_speech_started": {
        "timestamp_ms": (int, False),
        "vad_confidence": (float, True),
        "audio_offset_ms": (int, True),
    },
    "on_user_speech_ended": {
        "timestamp_ms": (int, False),
        "speech_duration_ms": (int, False),
        "vad_confidence": (float, True),
        "audio_offset_ms": (int, True),
    },
    "on_user_speech_eos": {
        "timestamp_ms": (int, False),
        "trigger": (str, False),
        "trailing_silence_ms": (int, True),
        "transcript_so_far": (str, True),
    },
    "on_agent_speech_started": {
        "timestamp_ms": (int, False),
        "turn_idx": (int, False),
        "tts_provider": (str, True),
        "engine": (str, True),
    },
    "on_agent_speech_ended": {
        "timestamp_ms": (int, False),
        "turn_idx": (int, False),
        "speech_duration_ms": (int, False),
        "interrupted": (bool, False),
    },
    "on_llm_token": {
        "timestamp_ms": (int, False),
        "turn_idx": (int, False),
        "llm_provider": (str, False),
        "model": (str, False),
    },
    "on_audio_out": {
        "timestamp_ms": (int, False),
        "turn_idx": (int, False),
        "tts_provider": (str, False),
    },
}


def talker() -> Any:
    return agent(ScriptedLLM([LONG, "Four."], first_token_delay=0.1))


@pytest.fixture(scope="module")
def told() -> dict[str, list[dict[str, Any]]]:
    """What each callback was told in a call with an interrupted turn."""
    received: dict[str, list[dict[str, Any]]] = {name: [] for name in PAYLOADS}
    callbacks: dict[str, Any] = {name: kept.append for name, kept in received.items()}
    ring(talker(), CALLER, **callbacks)
    return received


def test_there_are_seven() -> None:
    assert set(PAYLOADS) == set(SPEECH_EDGES)


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_has_the_fields_of_its_table_and_the_call_id(
    name: str, told: dict[str, list[dict[str, Any]]]
) -> None:
    fields = PAYLOADS[name]
    assert told[name], "it was never called"
    for payload in told[name]:
        assert payload.pop("call_id").startswith("CA")
        assert set(payload) <= set(fields)
        for field, (kind, optional) in fields.items():
            assert optional or field in payload
            if field in payload:
                assert type(payload[field]) is kind


def test_optional_fields_are_filled_where_they_are_known(told: dict[str, list[dict[str, Any]]]) -> None:
    started, eos = told["on_user_speech_started"][0], told["on_user_speech_eos"][0]
    assert 0.5 <= started["vad_confidence"] <= 1.0
    assert started["audio_offset_ms"] > 0
    assert eos["trailing_silence_ms"] >= 100
    assert eos["transcript_so_far"] == "When are you open?"
    assert eos["trigger"] == "vad_silence"
    assert told["on_agent_speech_started"][1]["tts_provider"] == "scripted"


def test_a_turn_is_told_in_order_and_each_of_its_marks_once(told: dict[str, list[dict[str, Any]]]) -> None:
    assert [token["turn_idx"] for token in told["on_llm_token"]] == [1, 2], "a greeting has no model"
    assert [sound["turn_idx"] for sound in told["on_audio_out"]] == [0, 1, 2]
    assert [end["interrupted"] for end in told["on_agent_speech_ended"]] == [False, True, False]
    eos = told["on_user_speech_eos"][0]["timestamp_ms"]
    token = told["on_llm_token"][0]["timestamp_ms"]
    sound = told["on_audio_out"][1]["timestamp_ms"]
    start = told["on_agent_speech_started"][1]["timestamp_ms"]
    end = told["on_agent_speech_ended"][1]["timestamp_ms"]
    assert eos < token <= sound <= start < end
    assert token - eos == pytest.approx(100, abs=2), "the first token comes after the model's delay"


def test_callbacks_of_the_number_are_told_of_all_calls_and_may_be_async() -> None:
    told: list[dict[str, Any]] = []

    async def note(event: dict[str, Any]) -> None:
        await trio.sleep(0.01)
        told.append(event)

    async def main() -> None:
        number = patter()
        number.on_agent_speech_started = note
        async with number.session(agent(), port=None) as session:
            for caller in ("+15550000001", "+15550000002"):
                await twilio(caller).call(MemoryLine(session.app, URL), GREETED.hangs_up())

    run_virtual(main)
    assert len(told) == 2
    assert len({event["call_id"] for event in told}) == 2


def test_a_callback_that_does_not_exist_is_refused() -> None:
    number = Patter()
    with pytest.raises(PatterConfigError, match="on_user_speach_started"):
        number.on_user_speach_started = print


def test_callbacks_of_one_call_may_be_set_and_taken_back_while_it_runs() -> None:
    starts: list[dict[str, Any]] = []
    states: list[dict[str, str]] = []

    async def main() -> None:
        llm = ScriptedLLM(["We open at eight.", "Four."])

        heard = trio.Event()

        def note(event: dict[str, Any]) -> None:
            starts.append(event)
            heard.set()

        async def follow(call: Call) -> None:
            call.on_agent_speech_started = note
            assert call.on_agent_speech_started is note
            call.on_user_speech_eos = lambda event: states.append(call.conversation_state)
            await heard.wait()
            states.append(call.conversation_state)
            await trio.sleep(3.0)
            call.on_agent_speech_started = None

        script = Caller().waits(0.5).says("When do you open?").waits_for_agent().waits(3)
        script = script.says("And how much?").waits_for_agent().hangs_up()
        await ring_async(agent(llm, first_message=""), script, on_call=follow)

    run_virtual(main)
    assert [start["turn_idx"] for start in starts] == [1]
    assert {"user": "listening", "agent": "thinking"} in states
    assert {"user": "listening", "agent": "speaking"} in states


def test_a_callback_that_fails_is_complained_about_once_and_not_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[int] = []

    def fail(event: dict[str, Any]) -> None:
        calls.append(1)
        raise RuntimeError("a bug of the user")

    async def hang(event: dict[str, Any]) -> None:
        await trio.sleep_forever()

    plain = ring(talker(), CALLER)
    with caplog.at_level(logging.WARNING):
        bothered = ring(talker(), CALLER, on_agent_speech_started=fail, on_user_speech_started=hang)
    assert bothered.outcome.log == plain.outcome.log, "not a frame is later"
    assert len(calls) == 3
    complaints = [record.message for record in caplog.records if record.name == "patter_trio.callbacks"]
    assert len([text for text in complaints if "a bug of the user" in text]) == 1
    assert len([text for text in complaints if "TooSlowError" in text]) == 1
    assert all(text.startswith(("on_agent_speech_started", "on_user_speech_started")) for text in complaints)


# --- events to iterate over ---------------------------------------------------------------------------------


def test_the_events_of_a_call_may_be_iterated_until_its_end() -> None:
    seen: list[str] = []

    async def follow(call: Call) -> None:
        async for event in call.events():
            seen.append(event.name)

    async def main() -> None:
        rung = await ring_async(agent(), GREETED.says("Hello?").waits_for_agent().hangs_up(), on_call=follow)
        names = [event.name for event in rung.events]
        assert seen == names[names.index(seen[0]) :]

    run_virtual(main)
    assert seen[-1] == CallEnded.name


def test_a_reader_that_is_behind_loses_the_oldest_events_and_is_told_how_many() -> None:
    counts: list[int] = []
    kept: list[Any] = []

    async def follow(call: Call) -> None:
        stream = call.events()
        for _ in range(300):
            stream.push(CallEnded.__mro__[1](call_id="x", time=0.0, timestamp_ms=0))
        stream.close()
        kept.extend([event async for event in stream])
        counts.append(stream.dropped)

    async def main() -> None:
        await ring_async(agent(), GREETED.hangs_up(), on_call=follow)

    run_virtual(main)
    assert len(kept) == 256
    assert counts == [44]


def test_events_of_a_call_that_is_over_are_none() -> None:
    async def main() -> None:
        calls: list[Call] = []

        async def keep(call: Call) -> None:
            calls.append(call)

        await ring_async(agent(), GREETED.hangs_up(), on_call=keep)
        assert [event async for event in calls[0].events()] == []

    run_virtual(main)
