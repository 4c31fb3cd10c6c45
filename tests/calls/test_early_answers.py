"""Answers that are begun early, asked for twice, or filled in for: what the caller gains by it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from patter_trio import Agent, PatterConfigError, Transcript
from patter_trio.errors import LanguageModelError
from patter_trio.events import (
    AgentSpeechStarted,
    AudioOut,
    LlmToken,
    TurnEnded,
    UserSpeechEos,
    UtteranceOvertaken,
)
from patter_trio.testing import Caller, Reply, ScriptedLLM, ScriptedSTT, ScriptedTTS

from .ring import LONG, Rung, agent, ring

GREETED = Caller().waits_for_agent()
ASKED = GREETED.says("When are you open?").waits_for_agent(quiet=1.5)


def waited(rung: Rung) -> float:
    """Seconds from the caller's last sound to the agent's first."""
    seconds = rung.outcome.replies[0].seconds
    assert seconds is not None
    return seconds


# --- preemptive generation ----------------------------------------------------------------------------------


def early(llm: ScriptedLLM, **settings: Any) -> Agent:
    settings.setdefault("stt", ScriptedSTT(delay=0.4))
    # Word sound has a word every third of a second: shorter pauses are no pauses.
    settings.setdefault("preemptive_min_stable_ms", 400)
    return agent(llm, preemptive_generation=True, **settings)


def test_the_caller_waits_less_when_the_answer_is_begun_early() -> None:
    def answered(preemptive: bool) -> float:
        llm = ScriptedLLM(["We open at eight."], first_token_delay=0.4)
        rung = ring(early(llm) if preemptive else agent(llm, stt=ScriptedSTT(delay=0.4)), ASKED.hangs_up())
        assert rung.said("assistant")[-1] == "We open at eight."
        assert len(llm.requests) == 1
        return waited(rung)

    assert answered(False) - answered(True) >= 0.4


def test_an_answer_begun_early_is_told_of_in_the_usual_order() -> None:
    llm = ScriptedLLM(["We open at eight."])
    rung = ring(early(llm), ASKED.hangs_up())
    kinds = (UserSpeechEos, LlmToken, AudioOut, AgentSpeechStarted, TurnEnded)
    order = [type(event) for event in rung.events if type(event) in kinds]
    assert order[-5:] == list(kinds)
    metrics = rung.result.turns[-1]
    assert metrics.preempted
    assert metrics.latency.llm_ttft_ms == 0
    assert (rung.result.preemption.hits, rung.result.preemption.misses) == (1, 0)
    assert metrics.turn_index == 1


def test_nothing_is_heard_of_an_answer_to_words_that_changed() -> None:
    # "I take two." is answered early; then "loaves please" follows, and is part of the same utterance.
    llm = ScriptedLLM(["Two what?", "Two loaves, gladly."], first_token_delay=0.0)
    caller = (
        GREETED.says("I take two.").waits(0.15).says("Loaves please.").waits_for_agent(quiet=1.5).hangs_up()
    )
    rung = ring(early(llm, stt=ScriptedSTT(delay=0.1)), caller)
    assert rung.said("user") == ["I take two. Loaves please."]
    assert rung.said("assistant")[1:] == ["Two loaves, gladly."]
    assert "what?" not in rung.outcome.heard
    assert llm.cancelled_streams + sum(r.outcome == "done" for r in llm.requests) == len(llm.requests)
    counts = rung.result.preemption
    assert counts.hits == 1
    assert counts.misses >= 1
    assert counts.wasted.requests == counts.misses
    assert rung.of(UtteranceOvertaken) == [], "nobody was told of an answer that never began"


def test_a_final_that_differs_in_signs_only_is_the_same() -> None:
    llm = ScriptedLLM(["Yes."], first_token_delay=0.0)
    rung = ring(early(llm, stt=Punctuating(delay=0.5)), ASKED.hangs_up())
    assert rung.result.preemption.hits == 1
    assert len(llm.requests) == 1


class Punctuating(ScriptedSTT):
    """A recogniser whose interim words have no signs and no capitals."""

    def transcribe(self, hearing: Any, audio: Any, call: Any) -> Any:
        return _plain(super().transcribe(hearing, audio, call))


def _plain(connection: Any) -> Any:
    import attrs
    import trio

    @trio.as_safe_channel
    async def plain() -> AsyncGenerator[Transcript, None]:
        async with connection as transcripts:
            async for transcript in transcripts:
                text = transcript.text if transcript.is_final else transcript.text.lower().strip("?.!")
                yield attrs.evolve(transcript, text=text)

    return plain()


def test_words_must_stand_still_for_as_long_as_was_set() -> None:
    def first_asked(stable: int) -> float:
        llm = ScriptedLLM(["Yes."], first_token_delay=0.0)
        who = early(llm, stt=ScriptedSTT(delay=1.2), preemptive_min_stable_ms=stable)
        ring(who, GREETED.says("one two three").waits_for_agent(quiet=1.5).hangs_up())
        return llm.requests[-1].began

    assert first_asked(800) - first_asked(400) == pytest.approx(0.4, abs=0.03)


def test_after_so_many_misses_no_more_answers_are_begun_early() -> None:
    llm = ScriptedLLM(["Yes."], first_token_delay=0.0)
    caller = GREETED
    for number in range(6):
        caller = (
            caller.says(f"First{number}.").waits(0.15).says(f"second{number}.").waits_for_agent(quiet=1.0)
        )
    who = early(llm, stt=ScriptedSTT(delay=0.02), preemptive_max_misses=2)
    rung = ring(who, caller.hangs_up())
    assert rung.result.preemption.misses == 2
    unlimited = ring(early(llm, stt=ScriptedSTT(delay=0.02)), caller.hangs_up())
    assert unlimited.result.preemption.misses > 2


def test_an_answer_begun_early_can_be_interrupted_like_any_other() -> None:
    llm = ScriptedLLM([LONG, "Four."], first_token_delay=0.0)
    caller = (
        GREETED.says("When are you open?").barges_in("The price?", after=1.1).waits_for_agent().hangs_up()
    )
    rung = ring(early(llm), caller)
    (taken,) = rung.floors_taken
    assert taken.phase == "speaking"
    assert rung.said("assistant")[-1] == "Four."


def test_a_caller_who_leaves_takes_the_early_answer_along() -> None:
    llm = ScriptedLLM([LONG], first_token_delay=0.0)
    rung = ring(early(llm, stt=ScriptedSTT(delay=3.0)), GREETED.says("When? Now.").waits(0.5).drops_socket())
    assert llm.open_streams == 0
    assert rung.result.reason == "carrier_lost"


def test_what_an_early_answer_has_ready_is_bounded() -> None:
    # Sixty sentences, a voice a hundred times faster than speech, and a caller who is not final for 5 s.
    llm = ScriptedLLM(
        [" ".join(f"This is sentence {n}." for n in range(60))], first_token_delay=0.0, token_delay=0.0
    )
    tts = ScriptedTTS(realtime_factor=100.0, delay=0.0)
    who = early(llm, tts=tts, stt=ScriptedSTT(delay=5.0), max_endpointing_delay_ms=6000)
    ring(who, GREETED.says("Tell me all.").waits(5.0).hangs_up(), forgets=True)
    spoken = [sentence for sentence in tts.record.sentences if "sentence" in sentence]
    assert 1 <= len(spoken) * 4 / 3 <= 15, "seconds of sound"


def test_a_function_is_never_called_for_words_that_may_change() -> None:
    with pytest.raises(PatterConfigError, match="may not stay what they are"):
        Agent(system_prompt="x", on_message=lambda event: "y", preemptive_generation=True)


# --- hedging ------------------------------------------------------------------------------------------------


class Moods:
    """A model that is slow, or fails, at the requests that it is told to, and quick at all others."""

    def __init__(self, slow: dict[int, float], fails: tuple[int, ...] = ()) -> None:
        self.name, self.model = "moody", "m1"
        self._slow, self._fails = slow, fails
        self.quick = ScriptedLLM(["Quick answer."], first_token_delay=0.1)
        self.answers: list[ScriptedLLM] = []

    def stream(self, messages: Any, tools: Any = None, *, call_id: str | None = None) -> Any:
        number = len(self.answers)
        reply = Reply("Answer.", fails_at=0) if number in self._fails else Reply(f"Answer {number}.")
        llm = ScriptedLLM([reply], first_token_delay=self._slow.get(number, 0.1))
        self.answers.append(llm)
        return llm.stream(messages, tools, call_id=call_id)

    @property
    def outcomes(self) -> list[str]:
        return [llm.requests[0].outcome for llm in self.answers]


def test_a_slow_model_is_asked_twice_and_the_first_to_speak_answers() -> None:
    model = Moods(slow={0: 3.0})
    rung = ring(agent(model, hedge_after_ms=500), ASKED.hangs_up())
    assert rung.said("assistant")[-1] == "Answer 1."
    assert waited(rung) < 1.6
    assert model.outcomes == ["cancelled", "done"]
    metrics = rung.result.turns[-1]
    assert (metrics.hedges, metrics.hedges_won) == (1, 1)
    assert metrics.usage.requests == 1
    assert metrics.wasted.requests == 1
    assert metrics.wasted.input_tokens == metrics.usage.input_tokens > 0, "the loser was asked the same"


def test_the_first_request_wins_when_it_speaks_before_the_second() -> None:
    model = Moods(slow={0: 0.8, 1: 5.0})
    rung = ring(agent(model, hedge_after_ms=500), ASKED.hangs_up())
    assert rung.said("assistant")[-1] == "Answer 0."
    assert model.outcomes == ["done", "cancelled"]
    assert (rung.result.turns[-1].hedges, rung.result.turns[-1].hedges_won) == (1, 0)


def test_a_quick_model_is_asked_once() -> None:
    model = Moods(slow={})
    rung = ring(agent(model, hedge_after_ms=500), ASKED.hangs_up())
    assert len(model.answers) == 1
    assert rung.result.turns[-1].hedges == 0


def test_without_the_setting_a_slow_model_is_waited_for() -> None:
    model = Moods(slow={0: 3.0})
    rung = ring(agent(model), ASKED.hangs_up())
    assert rung.said("assistant")[-1] == "Answer 0."
    assert len(model.answers) == 1


def test_another_model_may_be_the_second() -> None:
    second = ScriptedLLM(["From the second."], first_token_delay=0.1)
    rung = ring(agent(Moods(slow={0: 3.0}), hedge_after_ms=400, hedge_llm=second), ASKED.hangs_up())
    assert rung.said("assistant")[-1] == "From the second."


def test_a_model_that_fails_before_it_speaks_is_followed_at_once() -> None:
    model = Moods(slow={}, fails=(0,))
    rung = ring(agent(model, hedge_after_ms=8000), ASKED.hangs_up())
    assert rung.said("assistant")[-1] == "Answer 1."
    assert waited(rung) < 1.6
    assert rung.result.turns[-1].error_code is None


def test_when_both_fail_the_caller_is_told() -> None:
    model = Moods(slow={}, fails=(0, 1))
    rung = ring(agent(model, hedge_after_ms=300, llm_error_message="Sorry."), ASKED.hangs_up())
    assert rung.said("assistant")[-1] == "Sorry."
    assert rung.result.turns[1].error_code == "llm_failed"


def test_one_that_breaks_off_in_the_middle_is_no_success() -> None:
    model = ScriptedLLM([Reply("One two three four.", fails_at=3, error=LanguageModelError("cut"))])
    rung = ring(agent(model, hedge_after_ms=300), ASKED.hangs_up())
    assert rung.result.turns[1].error_code == "llm_failed"
    assert len(model.requests) == 1, "the caller has heard its beginning: another answer would not fit"


def test_a_correction_cancels_both_requests() -> None:
    model = Moods(slow={0: 5.0, 1: 5.0})
    caller = (
        GREETED.says("On Monday?").waits(1.5).says("No, on Friday?").waits_for_agent(quiet=1.5).hangs_up()
    )
    rung = ring(agent(model, hedge_after_ms=300), caller)
    assert model.outcomes[:2] == ["cancelled", "cancelled"]
    assert rung.said("user") == ["On Monday? No, on Friday?"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hedge_llm": ScriptedLLM(["x"])}, "never asked"),
        ({"hedge_after_ms": -1}, "at least 0"),
        ({"hedge_after_ms": 5, "on_message": print}, "never asked twice"),
    ],
)
def test_hedges_that_cannot_be_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(PatterConfigError, match=said):
        Agent(system_prompt="x", **settings)


# --- fillers ------------------------------------------------------------------------------------------------

FILLER = "One moment please, I am looking that up in the big book."


def slow(seconds: float, **settings: Any) -> Agent:
    llm = ScriptedLLM(["We open at eight."], first_token_delay=seconds)
    settings.setdefault("long_turn_message", FILLER)
    return agent(llm, **settings)


def test_a_long_wait_is_filled_and_the_filler_stops_for_the_answer() -> None:
    rung = ring(slow(5.0), ASKED.hangs_up())
    heard = rung.said("assistant")[1]
    assert heard.startswith("One moment")
    assert heard.endswith("We open at eight.")
    assert len(heard.split()) < len(FILLER.split()) + 4, "it was cut when there was something to say"
    assert waited(rung) == pytest.approx(4.0 + 0.35 + 0.16, abs=0.1)
    assert rung.turn_kinds == ["greeting", "reply"], "one turn, with one end"
    assert rung.result.turns[-1].filled
    assert "big book" not in rung.result.history[-1].unheard


def test_an_answer_that_comes_in_time_is_not_filled() -> None:
    rung = ring(slow(2.0), ASKED.hangs_up())
    assert "moment" not in rung.outcome.heard
    assert not rung.result.turns[-1].filled


def test_how_long_is_long_can_be_set() -> None:
    rung = ring(slow(2.0, long_turn_message_after_s=1.0), ASKED.hangs_up())
    assert "One moment" in rung.outcome.heard


def test_a_filler_that_ends_before_the_answer_is_heard_whole() -> None:
    rung = ring(slow(12.0), ASKED.waits_for_agent(quiet=8.0).hangs_up())
    assert rung.said("assistant")[1] == f"{FILLER} We open at eight."


@pytest.mark.parametrize("with_words", [True, False])
def test_who_interrupts_a_filler_asks_anew(with_words: bool) -> None:
    caller = (
        GREETED.says("When do you open?")
        .barges_in("On Friday, I mean.", after=1.1)
        .waits_for_agent(quiet=8.0)
    )
    llm = ScriptedLLM(["Old answer.", "At nine."], first_token_delay=6.0)
    who = agent(
        llm, long_turn_message=FILLER, long_turn_message_after_s=1.0, tts=ScriptedTTS(with_words=with_words)
    )
    rung = ring(who, caller.hangs_up(), forgets=not with_words)
    assert rung.said("user") == ["When do you open?", "On Friday, I mean."]
    assert rung.said("assistant")[1].startswith("One")
    assert rung.said("assistant")[-1].endswith("At nine.")
    assert "Old" not in rung.outcome.heard


def test_a_model_that_fails_behind_a_filler_is_still_apologised_for() -> None:
    llm = ScriptedLLM([Reply("Never.", fails_at=0)], first_token_delay=6.0)
    who = agent(llm, long_turn_message="One moment.", llm_error_message="Sorry, I cannot.")
    rung = ring(who, GREETED.says("When?").waits_for_agent(quiet=3.0).hangs_up())
    assert [*rung.said("assistant")[1:]] == ["One moment.", "Sorry, I cannot."]


def test_no_apology_for_an_answer_of_which_the_beginning_was_heard() -> None:
    llm = ScriptedLLM([Reply("We are open on all days of the week. From eight to six.", fails_at=11)])
    rung = ring(agent(llm, llm_error_message="Sorry."), ASKED.hangs_up())
    assert "Sorry" not in rung.outcome.heard
    assert rung.said("assistant")[1].startswith("We are open on all days of the week.")
