from __future__ import annotations

import itertools
import json
import time
import wave
from pathlib import Path

import numpy as np
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from patter_trio._server.app import build_app
from patter_trio._wire.twiml import reject, say_and_hangup
from patter_trio.errors import PatterConfigError
from patter_trio.testing import (
    Caller,
    CallOutcome,
    LineConditions,
    MemoryLine,
    SimulatedTwilio,
    run_virtual,
    speak_words,
)

from .toy_agent import ANSWER, ToyAgent

QUESTION = "when are you open?"
ASK = Caller().waits_for_agent().says(QUESTION).waits_for_agent().hangs_up()


def call(
    caller: Caller,
    agent: ToyAgent | None = None,
    conditions: LineConditions | None = None,
    *,
    seed: int = 0,
    auth_token: str = "0123456789abcdef0123456789abcdef",
) -> CallOutcome:
    line = MemoryLine(build_app(agent or ToyAgent()))

    async def place() -> CallOutcome:
        return await SimulatedTwilio(auth_token=auth_token).call(line, caller, conditions=conditions)

    return run_virtual(place, seed=seed)


def test_a_question_is_answered_and_heard() -> None:
    agent = ToyAgent()
    outcome = call(ASK, agent)
    assert outcome.ok, outcome
    assert outcome.heard == f"good day to you {ANSWER}"
    assert outcome.ended_by == "caller"
    assert outcome.marks == ("turn-1", "turn-2")
    assert agent.marks == ["turn-1", "turn-2"]
    assert agent.parameters == [{"tenant": "t1"}]
    assert (agent.stops, agent.ends) == (1, 1)
    [reply] = outcome.replies
    assert reply.seconds == pytest.approx(0.3, abs=0.045)


def test_a_barge_in_silences_the_agent() -> None:
    script = Caller().waits_for_agent().says(QUESTION).barges_in("no wait stop", after=1.2).waits(1.0)
    outcome = call(script)
    assert outcome.ok, outcome
    assert outcome.frames_after_clear == 0
    assert len(outcome.clears) == 1
    [barge_in] = outcome.barge_ins
    answer = outcome.ear.agent_speech[1]
    assert barge_in.onset == pytest.approx(answer.start + 1.2, abs=0.03)
    assert barge_in.agent_silent_after == pytest.approx(0.2, abs=0.06)
    assert barge_in.clear_after == pytest.approx(0.2, abs=0.06)
    assert ANSWER.startswith(outcome.heard.removeprefix("good day to you "))
    assert outcome.ear.words[-1].complete is False
    assert [reply.seconds for reply in outcome.replies] == [pytest.approx(0.3, abs=0.045), None]


def test_audio_after_the_clear_is_counted() -> None:
    script = Caller().waits_for_agent().says(QUESTION).barges_in("no wait stop").waits(1.0)
    outcome = call(script, ToyAgent(speaks_after_clear=True))
    assert outcome.frames_after_clear == 3
    assert not outcome.ok


def test_a_cough_is_too_short_for_this_agent() -> None:
    coughs = Caller().waits_until(lambda ear: "day" in ear.text(), what="the greeting").coughs(0.15)
    outcome = call(coughs.waits_for_agent())
    assert outcome.ok
    assert outcome.clears == ()
    assert outcome.heard == "good day to you"


def test_an_unpaced_server_is_noticed() -> None:
    outcome = call(ASK, ToyAgent(lead=5.0))
    assert {violation.kind for violation in outcome.violations} == {"unpaced"}


def test_digits_arrive() -> None:
    agent = ToyAgent()
    call(Caller().waits_for_agent().presses("12#").hangs_up(), agent)
    assert agent.digits == ["1", "2", "#"]


def test_the_agent_may_hang_up() -> None:
    outcome = call(Caller().waits_for_agent().says("bye").waits_for_hang_up())
    assert outcome.ok
    assert outcome.ended_by == "agent"


def test_a_hang_up_by_the_agent_fails_what_the_caller_wanted_to_do() -> None:
    outcome = call(Caller().waits_for_agent().says("bye").waits_for_agent().says("hello?").hangs_up())
    assert [step.ok for step in outcome.steps] == [True, True, False, False, True]
    assert outcome.steps[2].note == "the agent's side ended the call"


def test_a_step_that_cannot_happen_is_recorded_and_the_caller_hangs_up() -> None:
    agent = ToyAgent(deaf=True)
    script = Caller().waits_for_agent().says(QUESTION).waits_for_agent(timeout=5).says("more").hangs_up()
    outcome = call(script, agent)
    assert [step.ok for step in outcome.steps] == [True, True, False, False, True]
    assert "within 5 s" in outcome.steps[2].note
    assert outcome.steps[2].ended - outcome.steps[2].started == pytest.approx(5.0)
    assert agent.stops == 1


def test_a_dropped_socket_has_no_stop() -> None:
    agent = ToyAgent()
    outcome = call(Caller().waits_for_agent().drops_socket(), agent)
    assert outcome.ok
    assert outcome.ended_by == "dropped"
    assert (agent.stops, agent.ends) == (0, 1)


def test_a_lost_radio_link_sends_nothing() -> None:
    script = Caller().waits_for_agent().goes_silent(2.0).says(QUESTION).waits_for_agent()
    outcome = call(script)
    assert outcome.ok
    assert outcome.heard.endswith("Sunday")


def test_a_carrier_that_does_not_read_stalls_the_server() -> None:
    script = Caller().waits(0.2).stops_reading(3.0).waits_until(lambda ear: ear.text().endswith("you"))
    outcome = call(script)
    assert outcome.heard == "good day to you"
    media = [entry.at for entry in outcome.log if entry.what == "media"]
    assert max(later - earlier for earlier, later in itertools.pairwise(media)) > 2.5


@pytest.mark.parametrize(
    ("agent", "token", "refusal"),
    [
        (ToyAgent(twiml=reject("busy")), None, "busy"),
        (ToyAgent(twiml=say_and_hangup("We are closed.")), None, "said 'We are closed.' and hung up"),
        (ToyAgent(), "wrong", "the voice webhook answered HTTP 403"),
        (ToyAgent(refuse_media_with=503), None, "the media socket was refused with HTTP 503"),
        (ToyAgent(twiml="<Response>"), None, "unusable TwiML"),
    ],
)
def test_a_refusal_is_an_outcome(agent: ToyAgent, token: str | None, refusal: str) -> None:
    outcome = call(ASK, agent, auth_token=token) if token else call(ASK, agent)
    assert outcome.ended_by == "refused"
    assert refusal in (outcome.refusal or "")
    assert not any(step.ok for step in outcome.steps)
    json.dumps(outcome.to_json())


def test_a_minute_of_call_takes_a_moment_and_is_repeatable() -> None:
    script = Caller().waits_for_agent()
    for _ in range(8):
        script = script.says(QUESTION).waits_for_agent()
    conditions = LineConditions(seed=5, jitter_ms=25, one_way_delay_ms=40, loss=0.01, drift_ppm=80)
    began = time.perf_counter()  # noqa: TID251 (the wall clock is what this test is about)
    outcome = call(script, None, conditions, seed=3)
    took = time.perf_counter() - began  # noqa: TID251
    assert outcome.ear.now > 60
    assert took < 2.0
    again = call(script, None, conditions, seed=3)
    assert again.to_json(log=True) == outcome.to_json(log=True)
    assert again.ear.stereo() == outcome.ear.stereo()


@settings(max_examples=15, deadline=None)
@given(
    st.builds(
        LineConditions,
        seed=st.integers(0, 99),
        one_way_delay_ms=st.floats(0, 200),
        jitter_ms=st.floats(0, 60),
        drift_ppm=st.floats(-500, 500),
    ),
    st.integers(0, 9),
    st.floats(0, 3),
)
def test_no_line_makes_a_correct_server_look_wrong(
    conditions: LineConditions, seed: int, after: float
) -> None:
    script = Caller().waits_for_agent().says(QUESTION).barges_in("no wait stop", after=after)
    outcome = call(script.waits(1.0), None, conditions, seed=seed)
    assert outcome.ok, outcome
    assert outcome.frames_after_clear == 0
    [barge_in] = outcome.barge_ins
    assert barge_in.clear_after is not None
    assert barge_in.clear_after >= 2 * conditions.one_way_delay_ms / 1000 * 0.999


def test_loss_leaves_gaps_in_the_ear_and_on_the_wire() -> None:
    outcome = call(ASK, None, LineConditions(seed=1, loss=0.2))
    assert len(outcome.ear.agent_mulaw) == len(outcome.ear.caller_mulaw)
    heard = [word.complete for word in outcome.ear.words]
    assert False in heard
    assert True in heard


def test_the_recording_is_aligned(tmp_path: Path) -> None:
    outcome = call(ASK)
    left, right = outcome.ear.stereo()
    assert len(left) == len(right) == round(outcome.ear.now * 8000) * 2
    [question] = outcome.utterances
    caller = np.frombuffer(left, "<i2").astype(np.int32)
    loud = np.flatnonzero(np.abs(caller) > 1000)
    assert loud[0] / 8000 == pytest.approx(question.start)
    assert (loud[-1] + 1) / 8000 == pytest.approx(question.end)
    outcome.ear.write_wav(tmp_path / "call.wav")
    with wave.open(str(tmp_path / "call.wav")) as recording:
        assert (recording.getnchannels(), recording.getframerate()) == (2, 8000)
        both = np.frombuffer(recording.readframes(recording.getnframes()), "<i2").reshape(-1, 2)
    assert both[:, 0].tobytes() == left
    assert both[:, 1].tobytes() == right


def test_a_recording_may_be_said_and_its_silence_does_not_count() -> None:
    recording = b"\xff" * 4000 + speak_words(QUESTION) + b"\xff" * 4000
    outcome = call(Caller().waits_for_agent().says(recording).waits_for_agent())
    [utterance] = outcome.utterances
    assert utterance.end - utterance.start == pytest.approx(4 * 0.34)
    [reply] = outcome.replies
    assert reply.seconds == pytest.approx(0.3, abs=0.045)


def test_a_voice_of_your_own_is_asked_before_the_call() -> None:
    said: list[str] = []

    def voice(text: str) -> bytes:
        said.append(text)
        return speak_words(text, words_per_second=5)

    outcome = call(Caller(voice=voice).waits_for_agent().says(QUESTION).waits_for_agent())
    assert outcome.ok
    assert said == [QUESTION]


def test_what_an_app_raises_comes_out_of_the_call() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    async def place() -> CallOutcome:
        return await SimulatedTwilio().call(MemoryLine(broken), ASK)

    with pytest.raises(ZeroDivisionError):
        run_virtual(place)


@pytest.mark.parametrize(
    ("silent", "refusal"),
    [
        ("http", "the voice webhook did not answer within 15 s"),
        ("websocket", "the media socket was not answered within 10 s"),
    ],
)
def test_an_app_that_does_not_answer_is_a_refusal(silent: str, refusal: str) -> None:
    answering = build_app(ToyAgent())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == silent:
            await trio.sleep_forever()
        await answering(scope, receive, send)

    async def place() -> CallOutcome:
        return await SimulatedTwilio().call(MemoryLine(app), ASK)

    assert run_virtual(place).refusal == refusal


def test_an_app_that_reads_nothing_is_noticed() -> None:
    answering = build_app(ToyAgent())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answering(scope, receive, send)
            return
        await send({"type": "websocket.accept"})
        with trio.move_on_after(20):
            await trio.sleep_forever()

    async def place() -> CallOutcome:
        return await SimulatedTwilio().call(MemoryLine(app), Caller().waits(10).hangs_up())

    [violation] = run_virtual(place).violations
    assert violation.kind == "the server reads too slowly"


def test_a_missing_webhook_is_a_refusal() -> None:
    async def place() -> CallOutcome:
        return await SimulatedTwilio().call(MemoryLine(Starlette(routes=list[Route]())), ASK)

    assert run_virtual(place).refusal == "the voice webhook answered HTTP 404"


def test_each_call_has_an_id_of_its_own() -> None:
    twilio, line = SimulatedTwilio(), MemoryLine(build_app(ToyAgent()))

    async def place() -> set[str]:
        outcomes = [await twilio.call(line, Caller().waits(0.1)) for _ in range(3)]
        return {outcome.call_sid for outcome in outcomes}

    assert len(run_virtual(place)) == 3


def test_a_script_that_makes_no_sense_is_refused_when_it_is_written() -> None:
    with pytest.raises(PatterConfigError, match="after it hangs up"):
        Caller().hangs_up().says("hello")
    with pytest.raises(PatterConfigError, match="keys"):
        Caller().presses("1a")
    base = Caller().waits(1)
    base.says("one")
    assert len(base.steps) == 1
