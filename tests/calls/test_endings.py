"""How calls end, and what must not end with them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from patter_trio import Session
from patter_trio.abc import DetectorThresholds
from patter_trio.events import AudioFormat, CallEnded, CallInfo, HearingItem, Transcript, TurnFailed
from patter_trio.testing import (
    Caller,
    CallOutcome,
    MemoryLine,
    Reply,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    run_virtual,
)

from .ring import LONG, URL, agent, check_quiet, patter, ring, twilio

QUESTION = Caller().waits_for_agent().says("When do you open?")


@pytest.mark.parametrize(
    ("stage", "caller"),
    [
        ("greeting", Caller().waits(0.8)),
        ("before the agent speaks", Caller()),
        ("while speaking", Caller().waits_for_agent().says("When do")),
        ("while the agent thinks", QUESTION.waits(0.7)),
        ("while the agent speaks", QUESTION.waits_until(lambda ear: "Monday" in ear.text())),
        ("while interrupting", QUESTION.barges_in("Stop", after=1.0)),
        ("after the answer", QUESTION.waits_for_agent()),
    ],
)
def test_caller_hangs_up_at_any_stage(stage: str, caller: Caller) -> None:
    llm = ScriptedLLM([LONG], first_token_delay=1.5)
    tts, stt = ScriptedTTS(), ScriptedSTT()
    rung = ring(agent(llm, tts=tts, stt=stt), caller.hangs_up())
    assert rung.result.reason == "caller_hung_up"
    assert rung.result.outcome == "answered"
    assert (llm.open_streams, tts.record.open_voices, tts.record.open_turns) == (0, 0, 0)
    assert stt.record.open_connections == 0
    assert len(rung.of(CallEnded)) == 1


def test_the_callers_last_words_are_in_the_transcript() -> None:
    rung = ring(agent(), Caller().waits_for_agent().says("Thanks, goodbye").hangs_up())
    assert rung.said("user") == ["Thanks, goodbye"]


def test_the_socket_is_lost() -> None:
    rung = ring(agent(ScriptedLLM([LONG])), QUESTION.waits(1.5).drops_socket())
    assert rung.result.reason == "carrier_lost"
    assert rung.result.outcome == "failed"
    assert rung.result.error_code == "carrier_lost"


def test_a_carrier_that_falls_silent_is_given_up() -> None:
    rung = ring(agent(), Caller().waits_for_agent().goes_silent(8.0).hangs_up())
    assert rung.result.reason == "carrier_silent"


def test_a_short_radio_hole_is_survived() -> None:
    rung = ring(
        agent(), Caller().waits_for_agent().goes_silent(2.0).says("Still there?").waits_for_agent().hangs_up()
    )
    assert rung.outcome.ok
    assert rung.said("user") == ["Still there?"]
    assert rung.result.counts["frames_lost"] > 0


def test_a_recogniser_drops_and_returns_without_losing_a_word() -> None:
    stt = ScriptedSTT(fail_after=3.0, failures=1)
    rung = ring(
        agent(stt=stt),
        Caller()
        .waits_for_agent()
        .says("When do you open on the second Sunday of Advent?")
        .waits_for_agent()
        .hangs_up(),
    )
    assert stt.record.failures == 1
    assert stt.record.connections == 2
    assert rung.said("user") == ["When do you open on the second Sunday of Advent?"]
    assert rung.said("assistant")[-1] == "Yes, of course."


class _SlowToReturn:
    """A recogniser whose second connection takes four seconds to open."""

    name = "slow"

    def __init__(self) -> None:
        self.inner = ScriptedSTT(fail_after=3.0, failures=1)

    @asynccontextmanager
    async def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AsyncIterator[AsyncIterable[Transcript]]:
        if self.inner.record.connections:
            await trio.sleep(4.0)
        async with self.inner.transcribe(hearing, audio, call) as transcripts:
            yield transcripts


def test_what_is_said_while_the_recogniser_reconnects_is_not_lost() -> None:
    said = "one two three four five six seven eight nine ten"
    rung = ring(
        agent(stt=_SlowToReturn(), max_endpointing_delay_ms=6000),
        Caller().waits_for_agent().says(said).waits_for_agent().hangs_up(),
    )
    assert rung.said("user") == [said]
    assert rung.result.counts["blocks_dropped"] == 0


class _Stuck:
    """A provider that never opens."""

    name = "stuck"

    @asynccontextmanager
    async def transcribe(self, *_: Any) -> AsyncIterator[Any]:
        await trio.sleep_forever()
        yield

    @asynccontextmanager
    async def open_voice(self, *_: Any) -> AsyncIterator[Any]:
        await trio.sleep_forever()
        yield


@pytest.mark.parametrize(("stage", "reason"), [("stt", "stt_failed"), ("tts", "tts_failed")])
def test_a_provider_that_never_opens_does_not_leave_the_caller_in_silence(stage: str, reason: str) -> None:
    settings: dict[str, Any] = {stage: _Stuck()}
    rung = ring(agent(**settings), Caller().waits_for_hang_up(timeout=120))
    assert rung.result.reason == reason


class _Grudging(ScriptedTTS):
    """A voice whose context fails when it is left."""

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[Any]:
        async with super().open_voice(audio, call) as voice:
            yield voice
        raise OSError("the far side did not say goodbye")


def test_a_voice_that_fails_at_the_end_does_not_spoil_the_call() -> None:
    tts = _Grudging()
    rung = ring(agent(tts=tts), QUESTION.waits_for_agent().hangs_up())
    assert rung.result.outcome == "answered"
    assert tts.record.voices == 1


class _Messy(ScriptedTTS):
    """A voice that raises from a nursery of its own while it is being cancelled."""

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[Any]:
        async with super().open_voice(audio, call) as voice:
            yield _MessyVoice(voice)


class _MessyVoice:
    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.audio = inner.audio

    @asynccontextmanager
    async def speak(self, sentences: AsyncIterable[str]) -> AsyncIterator[Any]:
        async with trio.open_nursery() as nursery, self._inner.speak(sentences) as pieces:
            nursery.start_soon(self._raise_when_cancelled)
            yield pieces
            nursery.cancel_scope.cancel()

    async def _raise_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            if (
                trio.current_effective_deadline() == float("-inf")
                and len(self._inner._settings.record.sentences) == 2
            ):
                raise ValueError("cannot be cancelled in peace")


def test_a_provider_that_fails_while_it_is_cut_does_not_keep_the_agent_talking() -> None:
    llm = ScriptedLLM(["We are open all day long from Monday to Friday and on most Saturdays.", "Four."])
    rung = ring(
        agent(llm, tts=_Messy()), QUESTION.barges_in("The price?", after=1.0).waits_for_agent().hangs_up()
    )
    assert len(rung.outcome.clears) == 1
    assert rung.said("assistant")[-1] == "Four."


def test_a_voice_that_breaks_early_says_all_of_the_answer_in_the_end() -> None:
    rung = ring(
        agent(ScriptedLLM([LONG]), tts=ScriptedTTS(fails_at=0), first_message=""),
        Caller().says("When are you open?").waits_for_agent(quiet=1.5).hangs_up(),
    )
    assert rung.outcome.heard == LONG


def test_the_line_is_free_at_once_when_the_agent_hangs_up() -> None:
    async def on_message(event: dict[str, Any], call: Any) -> str:
        await call.hangup()
        return "Bye."

    async def slow(event: Any) -> None:
        await trio.sleep(4.0)

    who = agent(on_message=on_message)
    caller = Caller().waits_for_agent().says("Bye").waits_for_hang_up()
    quick = ring(who, caller)
    held = ring(who, caller, on_call_end=slow, on_transcript=slow, on_metrics=slow)
    assert held.outcome.steps[-1].ended == pytest.approx(quick.outcome.steps[-1].ended, abs=0.1)


def test_a_detector_that_breaks_ends_its_call_with_a_code() -> None:
    class Broken:
        name = "broken"
        thresholds = DetectorThresholds()
        window = 0.02

        def open_detector(self, sample_rate: int) -> Any:
            return self

        def feed(self, pcm: bytes) -> list[float]:
            raise ZeroDivisionError("a bug in a detector")

    outcomes: list[CallOutcome] = []
    sessions: list[Session] = []

    async def main() -> None:
        async with patter().session(agent(vad=Broken()), port=None) as session:
            sessions.append(session)
            await _call(session, "+15550000001", Caller().waits(1.0).hangs_up(), outcomes)

    with pytest.raises(ZeroDivisionError):
        run_virtual(main, seed=1)
    (result,) = sessions[0].results
    assert result.outcome == "failed"
    assert result.error_code == "internal"


def test_a_recogniser_that_stays_down_ends_the_call_with_a_code() -> None:
    stt = ScriptedSTT(fail_after=0.5, failures=99)
    rung = ring(agent(stt=stt), Caller().waits_for_hang_up())
    assert rung.result.reason == "stt_failed"
    assert rung.result.outcome == "failed"
    assert rung.result.error_code == "stt_failed"
    assert stt.record.open_connections == 0


def test_a_model_error_is_spoken_of() -> None:
    llm = ScriptedLLM([Reply("Let me see", fails_at=2), "It works again."])
    rung = ring(
        agent(llm, llm_error_message="Sorry, please say that again."),
        QUESTION.waits_for_agent().says("When do you open?").waits_for_agent().hangs_up(),
    )
    assert rung.outcome.ok
    assert rung.said("assistant")[1:] == ["Sorry, please say that again.", "It works again."]
    (failed,) = rung.of(TurnFailed)
    assert failed.code == "llm_failed"
    assert rung.result.outcome == "answered"


def test_a_model_error_after_the_first_words_is_not_talked_over() -> None:
    llm = ScriptedLLM([Reply("We open at eight in the morning. And then we", fails_at=9)])
    rung = ring(agent(llm, llm_error_message="Sorry."), QUESTION.waits_for_agent().hangs_up())
    assert "Sorry." not in rung.outcome.heard
    assert rung.said("assistant")[1].startswith("We open at eight in the morning.")


def test_without_an_error_message_the_turn_just_ends_and_the_call_goes_on() -> None:
    llm = ScriptedLLM([Reply(fails_at=0), "Here I am."])
    rung = ring(
        agent(llm),
        QUESTION.waits(3.0).says("Hello?").waits_for_agent().hangs_up(),
    )
    assert rung.said("assistant")[1:] == ["Here I am."]


def test_a_voice_that_breaks_is_opened_again_and_says_the_rest() -> None:
    tts = ScriptedTTS(fails_at=1)
    rung = ring(agent(ScriptedLLM([LONG]), tts=tts), QUESTION.waits_for_agent(quiet=1.5).hangs_up())
    assert tts.record.failures == 1
    assert tts.record.voices == 2
    assert rung.outcome.heard.endswith("It closes at six in the evening.")
    assert rung.of(TurnFailed)[0].code == "tts_failed"


def test_a_voice_that_stays_broken_ends_the_call() -> None:
    rung = ring(agent(tts=ScriptedTTS(fails_at=0, failures=99)), Caller().waits_for_hang_up())
    assert rung.result.reason == "tts_failed"
    assert rung.result.outcome == "failed"


async def _call(session: Session, number: str, caller: Caller, outcomes: list[CallOutcome]) -> None:
    outcomes.append(await twilio(number).call(MemoryLine(session.app, URL), caller))


def test_two_calls_at_once_share_nothing() -> None:
    llm = ScriptedLLM(lambda messages: f"You said {messages[-1]['content']}.")
    who = agent(llm)
    outcomes: list[CallOutcome] = []

    async def main() -> Session:
        async with patter().session(who, port=None) as session:
            async with trio.open_nursery() as nursery:
                for number, word in (("+15550000001", "apple"), ("+15550000002", "pear")):
                    caller = Caller().waits_for_agent().says(word).waits_for_agent().hangs_up()
                    nursery.start_soon(_call, session, number, caller, outcomes)
            check_quiet(session)
        return session

    session = run_virtual(main, seed=5)
    assert all(outcome.ok for outcome in outcomes)
    said = sorted(result.history[1].text + "/" + result.history[2].text for result in session.results)
    assert said == ["apple/You said apple.", "pear/You said pear."]


def test_one_call_that_fails_leaves_the_other_alone() -> None:
    outcomes: list[CallOutcome] = []

    async def main() -> Session:
        async with patter().session(agent(), port=None) as session, trio.open_nursery() as nursery:
            nursery.start_soon(_call, session, "+15550000001", Caller().waits(1.0).drops_socket(), outcomes)
            good = QUESTION.waits_for_agent().hangs_up()
            nursery.start_soon(_call, session, "+15550000002", good, outcomes)
        return session

    session = run_virtual(main, seed=5)
    assert sorted(result.outcome for result in session.results) == ["answered", "failed"]
    assert sum(outcome.ok and outcome.ended_by == "caller" for outcome in outcomes) == 1


@pytest.mark.parametrize(("drain", "reason"), [(60.0, "caller_hung_up"), (1.0, "drained")])
def test_a_drain_lets_a_running_call_finish_until_the_deadline(drain: float, reason: str) -> None:
    outcomes: list[CallOutcome] = []

    async def main() -> Session:
        async with trio.open_nursery() as nursery:
            async with patter().session(
                agent(ScriptedLLM([LONG])), port=None, drain_seconds=drain
            ) as session:
                caller = QUESTION.waits_for_agent().hangs_up()
                nursery.start_soon(partial(_call, session, "+15550000001", caller, outcomes))
                await trio.sleep(3.0)
                assert session.calls
            check_quiet(session)
        return session

    session = run_virtual(main, seed=2)
    (result,) = session.results
    assert result.reason == reason
    assert result.outcome == "answered"


def test_while_draining_nobody_else_is_let_in() -> None:
    outcomes: list[CallOutcome] = []

    async def main() -> Session:
        async with (
            trio.open_nursery() as nursery,
            patter().session(agent(), port=None, drain_seconds=30) as session,
        ):
            caller = QUESTION.waits(3.0).hangs_up()
            nursery.start_soon(partial(_call, session, "+15550000001", caller, outcomes))
            await trio.sleep(1.0)
            nursery.start_soon(session.drain)
            await trio.sleep(0.5)
            refused = await twilio("+15550000002").call(MemoryLine(session.app, URL), Caller().hangs_up())
            assert refused.ended_by == "refused"
        return session

    session = run_virtual(main, seed=2)
    assert session.counts.refused_busy == 1


def test_the_call_that_is_one_too_many_is_refused_before_it_is_answered() -> None:
    outcomes: list[CallOutcome] = []

    async def main() -> Session:
        async with patter().session(agent(), port=None, max_calls=1) as session:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(
                    _call, session, "+15550000001", QUESTION.waits_for_agent().hangs_up(), outcomes
                )
                await trio.sleep(1.0)
                await _call(session, "+15550000002", Caller().hangs_up(), outcomes)
            await _call(session, "+15550000003", Caller().waits_for_agent().hangs_up(), outcomes)
        return session

    session = run_virtual(main, seed=2)
    assert [outcome.ended_by for outcome in outcomes] == ["refused", "caller", "caller"]
    assert "busy" in (outcomes[0].refusal or "")
    assert session.counts.refused_busy == 1
    assert outcomes[1].ok
    assert outcomes[2].ok
