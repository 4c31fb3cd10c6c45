"""Where the asyncio SDK of the same names fails its users, by the number of the failure: what happens here.

The numbers are those of the project's study of that SDK; the docstrings say what it does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

from patter_trio import BackchannelStrategy, MinWordsStrategy, Patter
from patter_trio.events import (
    AgentSpeechEnded,
    AgentSpeechStarted,
    AudioOut,
    CallEvent,
    FloorTaken,
    LlmToken,
    TurnEnded,
    UserSpeechEos,
    UserSpeechStarted,
)
from patter_trio.testing import (
    Caller,
    LineConditions,
    MemoryLine,
    ScriptedLLM,
    ScriptedTTS,
    UpgradeRefusedError,
    open_exchange,
    run_virtual,
)

from .exchanged import VENDORS, Later
from .ring import LONG, URL, agent, patter, ring, twilio

GREETED = Caller().waits_for_agent()
CUTS_IN = GREETED.says("When are you open?").barges_in("And the price of a loaf?", after=1.1)


def test_w2_speech_events_tell_what_happened_on_the_wire() -> None:
    """There: started at the dispatch, ended when all was pushed, ``interrupted`` false on a barge-in."""
    llm = ScriptedLLM([LONG, "Four."], first_token_delay=0.3)
    rung = ring(agent(llm, tts=ScriptedTTS(delay=0.15)), CUTS_IN.waits_for_agent().hangs_up())
    frames = [entry.at for entry in rung.outcome.log if entry.what == "media"]
    starts = rung.of(AgentSpeechStarted)
    assert all(any(abs(start.time - at) < 0.021 for at in frames) for start in starts)
    tokens, sounds = rung.of(LlmToken), rung.of(AudioOut)
    for token, sound, start in zip(tokens[1:], sounds[1:], starts[1:], strict=True):
        assert token.time < sound.time <= start.time
    assert [end.interrupted for end in rung.of(AgentSpeechEnded)] == [False, True, False]
    interrupted = rung.of(AgentSpeechEnded)[1]
    heard = sum(span.end - span.start for span in rung.outcome.ear.agent_speech[1:2])
    assert interrupted.speech_duration_ms / 1000 == pytest.approx(heard, abs=0.15)
    # The order of a turn that is barged into.
    order = [type(event) for event in rung.events if isinstance(event, _EDGES)]
    cut = order.index(FloorTaken)
    assert order[cut - 2 : cut + 3] == [
        AgentSpeechStarted,
        UserSpeechStarted,
        FloorTaken,
        AgentSpeechEnded,
        UserSpeechEos,
    ]


_EDGES = (AgentSpeechStarted, AgentSpeechEnded, UserSpeechStarted, UserSpeechEos, FloorTaken)


@pytest.mark.parametrize("delay", [0, 60])
def test_w5_not_one_frame_follows_a_clear(delay: int) -> None:
    """There: up to 13 frames (260 ms) of the old answer after the ``clear``."""
    conditions = LineConditions(seed=5, one_way_delay_ms=delay, jitter_ms=delay / 2)
    llm = ScriptedLLM([LONG, "Four."], token_delay=0.0)
    rung = ring(
        agent(llm, tts=ScriptedTTS(realtime_factor=100)), CUTS_IN.waits_for_agent().hangs_up(), conditions
    )
    assert len(rung.outcome.clears) == 1
    assert rung.outcome.frames_after_clear == 0


def test_w6_a_greeting_that_was_synthesised_long_ago_is_cleared_and_forgotten() -> None:
    """There: a greeting that was pushed is never cleared, and all of it stays in the history."""
    greeting = f"{LONG} {LONG}"
    rung = ring(
        agent(first_message=greeting, tts=ScriptedTTS(realtime_factor=100)),
        Caller().barges_in("When do you open?", after=1.55).waits_for_agent().hangs_up(),
    )
    assert len(rung.outcome.clears) == 1
    (latency,) = rung.outcome.barge_ins
    assert latency.agent_silent_after is not None
    assert latency.agent_silent_after < 0.2
    said = rung.said("assistant")[0]
    assert greeting.startswith(said)
    assert len(said) < len(greeting) / 3


@pytest.mark.parametrize("at", [0.1, 0.7, 1.5])
def test_w7_an_early_noise_does_not_make_the_agent_mute(at: float) -> None:
    """There: a blip 0.7 s into a 2 s wait for the model cancels the turn, and nothing is ever said."""
    llm = ScriptedLLM(["We open at eight."], first_token_delay=2.0)
    caller = GREETED.says("When do you open?").waits(0.4 + at).coughs(0.12).waits_for_agent().hangs_up()
    rung = ring(agent(llm), caller)
    assert rung.said("assistant")[-1] == "We open at eight."
    assert len(llm.requests) == 1


def test_w11_two_calls_share_no_event_no_index_and_no_state() -> None:
    """There: one dispatcher for the process, no ``call_id``; the first turns of two calls are 1 and 2."""
    events: list[CallEvent] = []
    states: dict[str, dict[str, str]] = {}

    async def main() -> None:
        llm = ScriptedLLM([LONG])
        async with patter().session(agent(llm), port=None, on_event=events.append) as session:

            async def one(number: int, caller: Caller) -> None:
                carrier = twilio(f"+1555000000{number}")
                await carrier.call(MemoryLine(session.app, URL), caller)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(one, 1, CUTS_IN.waits_for_agent().hangs_up())
                nursery.start_soon(one, 2, GREETED.waits(30.0).hangs_up())
                await trio.sleep(6.0)
                for call in session.calls.values():
                    states[call.info.caller] = call.conversation_state

    run_virtual(main)
    by_call: dict[str, list[CallEvent]] = {}
    for event in events:
        by_call.setdefault(event.call_id, []).append(event)
    assert len(by_call) == 2
    busy, quiet = sorted(by_call.values(), key=len, reverse=True)
    assert [e.turn_idx for e in busy if isinstance(e, AgentSpeechStarted)] == [0, 1, 2]
    assert [e.turn_idx for e in quiet if isinstance(e, AgentSpeechStarted)] == [0]
    assert not any(isinstance(e, FloorTaken | UserSpeechStarted) for e in quiet)
    assert states["+15550000001"]["agent"] == "speaking"
    assert states["+15550000002"]["agent"] == "idle"


def test_w12_an_interrupted_turn_is_measured_like_any_other() -> None:
    """There: no metrics, no count, no cost for the turns that people most need to see."""
    measured: list[dict[str, Any]] = []
    rung = ring(
        agent(ScriptedLLM([LONG, "Four."])), CUTS_IN.waits_for_agent().hangs_up(), on_metrics=measured.append
    )
    turns = [event["turn"] for event in measured]
    assert [turn.interrupted for turn in turns] == [False, True, False]
    cut = turns[1]
    assert cut.tts_characters > 0
    assert 0 < cut.audio_heard_seconds <= cut.audio_sent_seconds < 7
    assert cut.latency.bargein_ms == pytest.approx(260, abs=25)
    assert cut.usage.requests == 1
    assert cut.agent_text == rung.said("assistant")[1]
    assert cut.cancel is not None


def test_w13_the_old_answer_is_never_spoken_when_the_caller_has_corrected_it() -> None:
    """There: ``on_message`` is not cancelled; the old answer comes at 1.5 s, the new one at 3 s."""
    answered: list[str] = []

    async def on_message(event: dict[str, Any]) -> str:
        await trio.sleep(1.5)
        answered.append(event["text"])
        return f"About {event['text'].split()[-1]}"

    caller = GREETED.says("On Monday").waits(0.6).says("no on Friday").waits_for_agent().hangs_up()
    rung = ring(agent(on_message=on_message), caller)
    assert answered == ["On Monday no on Friday"]
    assert rung.said("assistant")[1:] == ["About Friday"]
    reply = rung.outcome.replies[-1].seconds
    assert reply is not None
    assert reply < 2.4, "the cancelled function holds nothing up"


@pytest.mark.parametrize(
    ("settings", "cough", "taken"),
    [
        ({"barge_in_threshold_ms": 150}, 0.4, 1),
        ({"barge_in_threshold_ms": 900}, 0.4, 0),
        ({"barge_in_strategies": [MinWordsStrategy(1)]}, 0.8, 0),
        ({"barge_in_strategies": [BackchannelStrategy()]}, 0.8, 0),
    ],
)
def test_w16_every_documented_knob_has_an_effect(settings: dict[str, Any], cough: float, taken: int) -> None:
    """There: the threshold is not used, strategies cannot be given to ``.agent()``."""
    caller = GREETED.says("When?").waits_until(lambda ear: "Monday" in ear.text()).coughs(cough)
    rung = ring(agent(ScriptedLLM([LONG]), **settings), caller.waits_for_agent(quiet=2.0).hangs_up())
    assert len(rung.floors_taken) == taken


def test_w16_variables_are_filled_in_the_first_message() -> None:
    """There: only in the prompt."""
    who = agent(first_message="Hello {name}.", variables={"name": "Robin"})
    rung = ring(who, GREETED.hangs_up())
    assert rung.outcome.heard == "Hello Robin."
    assert len(rung.of(TurnEnded)) == 1


# --- the carrier's side -------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_call_start", [lambda event: None, lambda event: 1 / 0, lambda event: "no dict"])
def test_w4_a_plain_function_for_on_call_start_ends_no_call(on_call_start: Any) -> None:
    """There: the README's own lambda is awaited, raises, and every call is torn down."""
    rung = ring(agent(), GREETED.says("hello").waits_for_agent().hangs_up(), on_call_start=on_call_start)
    assert rung.result.outcome == "answered"
    assert rung.outcome.heard.endswith("Yes, of course.")


@pytest.mark.parametrize("path", ["/ws/twilio/x", "/ws/twilio/stream/x", "/ws/stream/x", "/ws/twilio/"])
def test_w14_nobody_opens_a_media_stream_without_the_token_of_a_call(path: str) -> None:
    """There: any client may open a stream, say who calls, and talk with the model at the owner's cost."""

    async def main() -> None:
        async with patter().session(agent(), port=None) as session:
            line = MemoryLine(session.app, URL)
            address = f"wss://voice.example.test{path}"
            for headers in ({}, {"X-Twilio-Signature": twilio().sign(address)}):
                with pytest.raises(UpgradeRefusedError):
                    async with line.open_media(address, headers):
                        pass
            for page in ("/docs", "/openapi.json", "/dashboard", "/"):
                assert (await line.post(f"{URL}{page}", {}, b"")).status == 404
            assert not session.calls
            assert session.counts.answered == 0

    run_virtual(main)


def test_w15_calls_of_one_address_are_as_many_as_there_are_lines() -> None:
    """There: the eleventh call behind one proxy's address is refused, and no setting changes that."""
    script = GREETED.waits(3).hangs_up()

    async def main() -> list[str]:
        async with patter().session(agent(), port=None, max_calls=25) as session:
            line = MemoryLine(session.app, URL)
            ended: list[str] = []

            async def one(number: int) -> None:
                ended.append((await twilio(f"+1555000{number:04d}").call(line, script)).ended_by)

            async with trio.open_nursery() as nursery:
                for number in range(25):
                    nursery.start_soon(one, number)
            return ended

    assert run_virtual(main) == ["caller"] * 25


def test_w22_a_session_writes_nothing_and_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There: telemetry, call logs with numbers and transcripts, and a post to a local port are on."""
    monkeypatch.chdir(tmp_path)
    asked: list[Any] = []

    class Watched(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            asked.append(request)
            return httpx2.Response(500)

    monkeypatch.setattr(httpx2, "AsyncHTTPTransport", lambda **settings: Watched())
    rung = ring(agent(), GREETED.says("hello").waits_for_agent().hangs_up())
    assert rung.result.outcome == "answered"
    assert not asked
    assert not list(tmp_path.iterdir())


async def test_w24_no_number_is_rewired_by_starting() -> None:
    """There: each start rewrites the number's webhook, or makes another application."""
    way = next(way for way in VENDORS if way.name == "plivo")
    simulated = way.simulated()
    async with open_exchange(simulated, MemoryLine(Later(), URL), port=None) as exchange:
        carrier = way.carrier(simulated, {"transport": exchange.transport})
        async with Patter(carrier, "+15550001234", URL).session(agent(), port=None):
            pass
        assert not exchange.rest.requests, "nothing was asked of the carrier at all"
