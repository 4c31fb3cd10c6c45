"""When the caller has finished: by silence, by meaning, by somebody's word, and by what they usually do."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable
from typing import Any

import attrs
import pytest
import trio

from patter_trio import Agent, Call, PatterConfigError, Transcript
from patter_trio.events import UserSpeechEos
from patter_trio.testing import Caller, ScriptedLLM, ScriptedSTT, ScriptedTurnDetector

from .ring import Rung, agent, ring

GREETED = Caller().waits_for_agent()


def said_once(**settings: Any) -> Rung:
    return ring(
        agent(ScriptedLLM(["Yes."]), **settings),
        GREETED.says("I would like").waits_for_agent(quiet=2.0).hangs_up(),
    )


def triggers(rung: Rung) -> list[str]:
    return [event.trigger for event in rung.of(UserSpeechEos)]


def silence_before_commit(rung: Rung) -> float:
    """Milliseconds from the caller's last sound to the commit of their last utterance."""
    ms = rung.of(UserSpeechEos)[-1].trailing_silence_ms
    assert ms is not None
    return float(ms)


# --- by meaning ---------------------------------------------------------------------------------------------


def test_a_silence_in_the_middle_of_a_thought_is_waited_for() -> None:
    # "I would like" … 0.8 s … "two loaves": one request with both halves, and one answer.
    judge = ScriptedTurnDetector([0.1, 0.1, 0.1, 0.1, 0.1, 0.9])
    llm = ScriptedLLM(["Two loaves, gladly."])
    caller = GREETED.says("I would like").waits(0.8).says("two loaves").waits_for_agent(quiet=2.0).hangs_up()
    rung = ring(agent(llm, turn_detector=judge, stt=ScriptedSTT(delay=0.05)), caller)
    assert rung.said("user") == ["I would like two loaves"]
    assert len(llm.requests) == 1
    assert triggers(rung) == ["semantic_turn_detector"]
    # The same caller without a detector is answered in the middle of the thought.
    without = ring(agent(ScriptedLLM(["Yes?"]), stt=ScriptedSTT(delay=0.05)), caller)
    assert triggers(without) == ["vad_silence", "vad_silence"]


def test_who_has_clearly_finished_is_answered_as_soon_as_without_a_detector() -> None:
    with_judge = said_once(turn_detector=ScriptedTurnDetector([0.95]))
    assert silence_before_commit(with_judge) == silence_before_commit(said_once())
    assert triggers(with_judge) == ["semantic_turn_detector"]


def test_the_detector_is_asked_again_every_fifth_of_a_second_of_silence() -> None:
    judge = ScriptedTurnDetector([0.1, 0.1, 0.1, 0.9])
    rung = said_once(turn_detector=judge)
    heard = [len(window.pcm) / 16000 for window in judge.record.windows]
    between = [after - before for before, after in itertools.pairwise(heard)]
    assert between == pytest.approx([0.2, 0.2, 0.2], abs=0.021)
    assert silence_before_commit(rung) == pytest.approx(250 + 600, abs=25)


@pytest.mark.parametrize("hold", [400, 1200])
def test_nobody_is_held_longer_than_was_set(hold: int) -> None:
    judge = ScriptedTurnDetector([0.0])
    rung = said_once(turn_detector=judge, max_semantic_hold_ms=hold)
    assert triggers(rung) == ["vad_silence"]
    assert silence_before_commit(rung) == pytest.approx(250 + hold, abs=25)
    assert len(judge.record.windows) == hold / 200


def test_the_detector_sees_the_sound_and_the_words() -> None:
    judge = ScriptedTurnDetector([0.9])
    said_once(turn_detector=judge, language="de", stt=ScriptedSTT(delay=0.0))
    (window,) = judge.record.windows
    assert window.transcript == "I would like"
    assert (window.sample_rate, window.language) == (8000, "de")
    assert 2 <= len(window.pcm) / 16000 <= 8, "from the call's beginning, at most 8 s"
    assert any(window.pcm), "not only silence"


@pytest.mark.parametrize(
    "judge",
    [
        ScriptedTurnDetector(fails_at=0, error=RuntimeError("no model")),
        ScriptedTurnDetector([float("nan")]),
        ScriptedTurnDetector([1.5]),
    ],
    ids=["raises", "no number", "no probability"],
)
def test_a_detector_that_fails_is_dropped_for_the_call_with_one_warning(
    judge: ScriptedTurnDetector, caplog: pytest.LogCaptureFixture
) -> None:
    caller = GREETED.says("One").waits_for_agent().says("Two").waits_for_agent(quiet=2.0).hangs_up()
    rung = ring(agent(ScriptedLLM(["Yes."]), turn_detector=judge), caller)
    assert rung.result.outcome == "answered"
    assert triggers(rung) == ["vad_silence", "vad_silence"]
    assert silence_before_commit(rung) == silence_before_commit(said_once())
    assert len(judge.record.windows) == 1
    assert caplog.text.count("goes on without it") == 1


def test_a_detector_that_hangs_is_dropped_and_holds_the_caller_once() -> None:
    judge = ScriptedTurnDetector([0.9], delay=3600)
    caller = GREETED.says("One").waits_for_agent().says("Two").waits_for_agent(quiet=2.0).hangs_up()
    rung = ring(agent(ScriptedLLM(["Yes."]), turn_detector=judge, max_semantic_hold_ms=600), caller)
    eos = [event.trailing_silence_ms for event in rung.of(UserSpeechEos)]
    assert eos[0] == pytest.approx(850, abs=25)
    assert eos[1] == pytest.approx(350, abs=25)


def test_a_verdict_on_an_earlier_silence_says_nothing_about_this_one() -> None:
    # The first question takes so long that its "finished" arrives when the caller speaks again.
    judge = ScriptedTurnDetector([0.9, 0.1], delay=0.5)
    caller = GREETED.says("I would like").waits(0.35).says("two loaves").waits_for_agent(quiet=2.0).hangs_up()
    rung = ring(agent(ScriptedLLM(["Yes."]), turn_detector=judge), caller)
    assert rung.said("user") == ["I would like two loaves"]
    assert triggers(rung) == ["vad_silence"]


# --- by somebody's word -------------------------------------------------------------------------------------


def test_words_are_taken_as_complete_when_somebody_says_so() -> None:
    # A key ends the dictation: with a delay of eight seconds nothing else would.
    who = agent(
        ScriptedLLM(["Noted."]),
        stt=ScriptedSTT(delay=0.1),
        min_endpointing_delay_ms=8000,
        max_endpointing_delay_ms=9000,
    )

    async def commit_soon(call: Call) -> None:
        await trio.sleep(5.0)
        call.commit_user_turn()

    rung = ring(who, GREETED.says("Four eggs").waits_for_agent(quiet=2.0).hangs_up(), on_call=commit_soon)
    assert triggers(rung) == ["manual_commit"]
    assert rung.said("user") == ["Four eggs"]
    assert rung.said("assistant")[-1] == "Noted."


def test_the_turns_function_may_take_the_rest_as_said() -> None:
    async def on_message(event: dict[str, Any], call: Any) -> str:
        call.commit_user_turn()
        return "Yes."

    rung = ring(agent(on_message=on_message), GREETED.says("Hello").waits_for_agent().hangs_up())
    assert rung.said("user") == ["Hello"], "there was nothing more, so nothing happens"


# --- by what they usually do --------------------------------------------------------------------------------


def pauses(times: int, pause: float) -> Caller:
    caller = GREETED
    for number in range(times):
        caller = caller.says(f"first{number}").waits(pause).says(f"second{number}").waits_for_agent(quiet=1.5)
    return caller.hangs_up()


def test_a_caller_who_pauses_is_waited_for_after_some_pauses() -> None:
    def answers(**settings: Any) -> int:
        llm = ScriptedLLM(["Yes."], first_token_delay=0.6)
        who = agent(llm, stt=ScriptedSTT(delay=0.02), **settings)
        ring(who, pauses(5, 0.55))
        return len(llm.requests)

    assert answers() == 10, "each half is taken for the whole, begun to be answered, and begun again"
    assert answers(adaptive_endpointing=True) == 6, "after a pause or two it is known"


def test_a_caller_who_does_not_pause_is_answered_as_before() -> None:
    rung = said_once(adaptive_endpointing=True)
    assert silence_before_commit(rung) == silence_before_commit(said_once())


def test_what_is_learned_stays_within_the_bounds() -> None:
    who = agent(
        ScriptedLLM(["Yes."], first_token_delay=0.6),
        stt=ScriptedSTT(delay=0.02),
        adaptive_endpointing=True,
        max_endpointing_delay_ms=250,
    )
    rung = ring(who, pauses(4, 0.6))
    longest = max(event.trailing_silence_ms for event in rung.of(UserSpeechEos))
    assert longest <= 250 + 250 + 25


# --- repetitions of a recogniser ----------------------------------------------------------------------------


def test_a_recogniser_that_says_everything_twice_is_answered_once() -> None:
    rung = ring(
        agent(ScriptedLLM(["Yes."]), stt=Stuttering(lambda text: text)),
        GREETED.says("What are your hours today").waits_for_agent(quiet=2.0).hangs_up(),
    )
    assert rung.said("user") == ["What are your hours today"]


def test_a_repetition_that_is_cut_short_is_no_new_question() -> None:
    rung = ring(
        agent(ScriptedLLM(["Yes."]), stt=Stuttering(lambda text: " ".join(text.split()[:2]))),
        GREETED.says("What are your hours today").waits_for_agent(quiet=2.0).hangs_up(),
    )
    assert rung.said("user") == ["What are your hours today"]


@attrs.frozen
class Stuttering:
    """A recogniser that gives each final again, 0.3 s later and perhaps changed."""

    again: Callable[[str], str]
    inner: ScriptedSTT = attrs.field(factory=ScriptedSTT)
    name: str = "stuttering"

    @trio.as_safe_channel
    async def transcribe(self, hearing: Any, audio: Any, call: Any) -> AsyncGenerator[Transcript, None]:
        async with self.inner.transcribe(hearing, audio, call) as transcripts:
            async for transcript in transcripts:
                yield transcript
                if transcript.is_final and transcript.text:
                    await trio.sleep(0.3)
                    yield attrs.evolve(transcript, text=self.again(transcript.text))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"turn_detector": object()}, "not a provider"),
        ({"max_semantic_hold_ms": 0}, "at least 1"),
        ({"min_endpointing_delay_ms": 900, "max_endpointing_delay_ms": 100}, "smaller than"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(PatterConfigError, match=said):
        Agent(system_prompt="x", **settings)
