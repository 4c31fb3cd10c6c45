"""Words that take the floor, words that do not, and sections in which nobody may take it."""

from __future__ import annotations

from typing import Any

import pytest

from patter_trio import Agent, BackchannelStrategy, MinWordsStrategy, PatterConfigError
from patter_trio.events import AgentSpeechEnded, UtterancePassedOver
from patter_trio.testing import Caller, ScriptedLLM, ScriptedSTT

from .ring import LONG, Rung, agent, ring

ASKED = Caller().waits_for_agent().says("When are you open?")
TWO_WORDS = (MinWordsStrategy(2),)


def over_the_agent(words: str, after: float = 1.0) -> Caller:
    return ASKED.barges_in(words, after=after).waits_for_agent(quiet=2.0).hangs_up()


def spoke_for(rung: Rung) -> float:
    """Seconds from the first to the last sound of the agent's long answer."""
    words = rung.outcome.ear.words[-len(LONG.split()) :]
    return words[-1].end - words[0].start


def test_one_word_over_the_agent_does_not_take_the_floor_where_two_are_needed() -> None:
    llm = ScriptedLLM([LONG])
    rung = ring(agent(llm, barge_in_strategies=TWO_WORDS), over_the_agent("Interesting"))
    assert rung.floors_taken == []
    assert rung.said("assistant")[1] == LONG
    assert len(llm.requests) == 1


def test_the_second_word_takes_the_floor_before_the_sentence_is_over() -> None:
    llm = ScriptedLLM([LONG, "Four."])
    rung = ring(
        agent(llm, barge_in_strategies=TWO_WORDS), over_the_agent("Wait, what does a loaf of bread cost?")
    )
    (taken,) = rung.floors_taken
    assert taken.onset_to_clear_ms < 1000, "interim words are enough"
    assert rung.said("assistant")[2] == "Four."


def test_words_that_may_still_change_do_not_count_where_that_is_asked() -> None:
    strategies = [MinWordsStrategy(2, use_interim=False)]
    llm = ScriptedLLM([LONG, "Four."])
    rung = ring(agent(llm, barge_in_strategies=strategies), over_the_agent("What does it cost?"))
    (taken,) = rung.floors_taken
    assert taken.onset_to_clear_ms > 1300, "four words at three a second, and their final behind them"


def test_a_short_loud_word_takes_no_floor_and_a_threshold_of_time_is_not_asked() -> None:
    llm = ScriptedLLM([LONG])
    rung = ring(
        agent(llm, barge_in_strategies=TWO_WORDS, barge_in_threshold_ms=60), over_the_agent("Incredible")
    )
    assert rung.floors_taken == []


@pytest.mark.parametrize(("language", "sign"), [("en", "mm-hm"), ("en", "Yeah, okay"), ("it", "Sì, certo")])
def test_a_sign_of_listening_does_not_take_the_floor(language: str, sign: str) -> None:
    llm = ScriptedLLM([LONG])
    who = agent(llm, barge_in_strategies=[BackchannelStrategy(language)])
    rung = ring(who, over_the_agent(sign))
    assert rung.floors_taken == []
    assert len(rung.false_alarms) == 1
    assert rung.outcome.heard.endswith(LONG), "not a word is lost or said twice"
    assert len(llm.requests) == 1, "it asks for no answer"
    assert [event.text for event in rung.of(UtterancePassedOver)] == [sign]
    assert rung.said("user") == ["When are you open?", sign], "and it is remembered"


def test_a_sign_of_listening_in_another_language_is_a_word_like_any_other() -> None:
    llm = ScriptedLLM([LONG, "Prego?"])
    rung = ring(agent(llm, barge_in_strategies=[BackchannelStrategy("de")]), over_the_agent("Sì"))
    assert len(rung.floors_taken) == 1


def test_more_than_a_sign_of_listening_takes_the_floor() -> None:
    llm = ScriptedLLM([LONG, "Four."])
    who = agent(llm, barge_in_strategies=[BackchannelStrategy()])
    rung = ring(who, over_the_agent("Okay, but what does a loaf cost?"))
    assert len(rung.floors_taken) == 1
    assert rung.said("assistant")[2] == "Four."


def test_a_yes_as_the_agent_ends_is_an_answer() -> None:
    llm = ScriptedLLM(["Shall I book the table for you?", "It is booked."])
    caller = (
        ASKED.waits_until(lambda ear: "for" in ear.text().split()[-2:])
        .says("Yes")
        .waits_for_agent(quiet=2.0)
        .hangs_up()
    )
    rung = ring(agent(llm, barge_in_strategies=[BackchannelStrategy()]), caller)
    assert rung.said("assistant")[-1] == "It is booked."


def test_the_agent_pauses_no_longer_than_the_window_for_a_decision() -> None:
    # A recogniser that says nothing before the end leaves the strategies without a word to judge.
    llm = ScriptedLLM([LONG, "Four."])
    who = agent(llm, stt=ScriptedSTT(interim=False), barge_in_strategies=TWO_WORDS, barge_in_confirm_ms=400)
    rung = ring(who, over_the_agent("I would like to know what a whole loaf of bread costs", after=1.15))
    (alarm,) = rung.false_alarms
    assert alarm.held_ms == pytest.approx(400, abs=25)
    (taken,) = rung.floors_taken
    assert taken.phase == "speaking", "the words come later, and still take the floor"
    assert rung.said("assistant")[-1] == "Four."


def test_a_longer_window_pauses_longer() -> None:
    def paused(window: int) -> int:
        who = agent(
            ScriptedLLM([LONG]),
            stt=ScriptedSTT(deaf=True),
            barge_in_strategies=TWO_WORDS,
            barge_in_confirm_ms=window,
        )
        rung = ring(who, ASKED.coughs(0.1).barges_in("Hm", after=0.5).hangs_up(), forgets=True)
        return max((alarm.held_ms for alarm in rung.false_alarms), default=0)

    def greeting_paused(window: int) -> int:
        who = agent(
            first_message=LONG,
            stt=ScriptedSTT(deaf=True),
            barge_in_strategies=TWO_WORDS,
            barge_in_confirm_ms=window,
        )
        caller = Caller().waits_until(lambda ear: "open" in ear.text()).coughs(0.2).waits(4.1).hangs_up()
        rung = ring(who, caller)
        (alarm,) = rung.false_alarms
        return int(alarm.held_ms)

    assert greeting_paused(900) - greeting_paused(300) == pytest.approx(600, abs=25)
    assert paused(300) == 0, "a deaf recogniser has nothing answered"


class Recorded:
    """A strategy of a user: it notes what it is asked, and says yes to one word."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.mine: list[str] = []

    def __deepcopy__(self, memo: Any) -> Recorded:
        return Recorded(self.log)

    async def evaluate(self, transcript: str, is_interim: bool, agent_speaking: bool) -> bool:
        self.mine.append(transcript)
        self.log.append((transcript, is_interim, agent_speaking, id(self)))
        return "stop" in transcript.lower()

    async def reset(self) -> None:
        self.log.append("reset")


def test_a_strategy_of_ones_own_is_asked_with_everything_it_may_need() -> None:
    log: list[Any] = []
    llm = ScriptedLLM([LONG, "Stopped."])
    rung = ring(agent(llm, barge_in_strategies=[Recorded(log)]), over_the_agent("Please stop now"))
    assert len(rung.floors_taken) == 1
    asked = [entry[:3] for entry in log if entry != "reset"]
    assert ("Please", True, True) in asked
    assert ("Please stop", True, True) in asked
    assert "reset" in log


def test_the_first_strategy_that_says_yes_is_enough() -> None:
    log: list[Any] = []
    llm = ScriptedLLM([LONG, "Stopped."])
    who = agent(llm, barge_in_strategies=[MinWordsStrategy(9), Recorded(log)])
    assert len(ring(who, over_the_agent("Stop")).floors_taken) == 1


def test_a_strategy_that_fails_has_said_no(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def evaluate(self, transcript: str, is_interim: bool, agent_speaking: bool) -> bool:
            raise RuntimeError("not today")

        def reset(self) -> None:
            pass

    llm = ScriptedLLM([LONG, "Four."])
    rung = ring(
        agent(llm, barge_in_strategies=[Broken(), MinWordsStrategy(3)]), over_the_agent("What is it?")
    )
    assert len(rung.floors_taken) == 1, "the next one is asked"
    assert "not today" in caplog.text


def test_each_call_has_strategies_of_its_own() -> None:
    log: list[Any] = []
    who = agent(ScriptedLLM([LONG, "Stopped."]), barge_in_strategies=[Recorded(log)])
    ring(who, over_the_agent("Stop"))
    first = {entry[3] for entry in log if entry != "reset"}
    log.clear()
    ring(who, over_the_agent("Stop"))
    assert first.isdisjoint(entry[3] for entry in log if entry != "reset")


def test_a_sign_of_listening_while_the_agent_thinks_does_not_start_it_over() -> None:
    llm = ScriptedLLM([LONG], first_token_delay=2.0)
    caller = ASKED.waits(0.8).says("Okay").waits_for_agent(quiet=2.0).hangs_up()
    rung = ring(agent(llm, barge_in_strategies=[BackchannelStrategy()]), caller)
    assert rung.floors_taken == []
    assert len(llm.requests) == 1
    assert rung.said("assistant")[1] == LONG


# --- pausing, or talking on ---------------------------------------------------------------------------------


def test_in_mode_cancel_a_cough_makes_no_pause() -> None:
    caller = ASKED.waits_until(lambda ear: "Monday" in ear.text()).coughs(0.15).waits_for_agent().hangs_up()
    paused = ring(agent(ScriptedLLM([LONG])), caller)
    talked_on = ring(agent(ScriptedLLM([LONG]), barge_in_mode="cancel"), caller)
    assert paused.false_alarms
    assert talked_on.false_alarms == []
    undisturbed = ring(agent(ScriptedLLM([LONG])), ASKED.waits_for_agent().hangs_up())
    assert spoke_for(talked_on) == pytest.approx(spoke_for(undisturbed), abs=0.02)
    assert spoke_for(paused) > spoke_for(talked_on) + 0.1


def test_in_mode_cancel_an_interruption_is_cut_when_it_is_certain() -> None:
    llm = ScriptedLLM([LONG, "Four."])
    rung = ring(agent(llm, barge_in_mode="cancel"), over_the_agent("Wait, what does a loaf cost?"))
    (latency,) = rung.outcome.barge_ins
    assert latency.clear_after == pytest.approx(0.3, abs=0.05)
    assert latency.agent_silent_after is not None
    assert latency.agent_silent_after == pytest.approx(0.3, abs=0.06), "it spoke until the clear"
    assert rung.said("assistant")[2] == "Four."


# --- sections that may not be interrupted -------------------------------------------------------------------


def test_a_greeting_that_must_be_heard_is_heard_and_the_question_over_it_is_answered() -> None:
    llm = ScriptedLLM(["At eight."])
    rung = ring(
        agent(llm, first_message=LONG, first_message_interruptible=False),
        Caller().barges_in("When do you open?", after=1.0).waits_for_agent(quiet=2.0).hangs_up(),
    )
    assert rung.floors_taken == []
    assert rung.said("assistant") == [LONG, "At eight."]
    assert rung.said("user") == ["When do you open?"]
    assert not any(event.interrupted for event in rung.of(AgentSpeechEnded))


@pytest.mark.parametrize("interruptible", [True, False])
def test_what_the_agent_is_told_to_say_may_be_protected(interruptible: bool) -> None:
    notice = "This call is recorded, for the training of people who answer calls."

    async def on_message(event: dict[str, Any], call: Any) -> str:
        if "price" in event["text"].lower():
            return "Four."
        await call.say(notice, interruptible=interruptible)
        return "We open at eight."

    rung = ring(
        agent(on_message=on_message),
        ASKED.waits_until(lambda ear: "recorded," in ear.text())
        .says("And the price?")
        .waits_for_agent(quiet=2.0)
        .hangs_up(),
    )
    assert rung.said("user")[-1] == "And the price?"
    assert rung.said("assistant")[-1] == "Four."
    if interruptible:
        assert len(rung.floors_taken) == 1
        assert notice not in rung.outcome.heard
    else:
        assert rung.floors_taken == []
        assert rung.said("assistant")[1:3] == ["We open at eight.", notice]


def test_words_before_a_slow_look_up_are_heard_while_it_runs() -> None:
    import trio

    async def on_message(event: dict[str, Any], call: Any) -> str:
        await call.say("Let me look that up.")
        await trio.sleep(5.0)
        return "We open at eight."

    rung = ring(agent(on_message=on_message), ASKED.waits_for_agent(quiet=6.0).hangs_up())
    (reply,) = rung.outcome.replies[:1]
    assert reply.seconds is not None
    assert reply.seconds < 1.5
    assert rung.said("assistant")[1] == "Let me look that up. We open at eight."


def test_what_is_said_before_the_agent_hangs_up_is_heard() -> None:
    async def on_message(event: dict[str, Any], call: Any) -> str:
        await call.say("Thank you for calling.", interruptible=False)
        await call.hangup()
        return "Goodbye."

    rung = ring(agent(on_message=on_message), ASKED.waits_for_hang_up())
    assert rung.outcome.heard.endswith("Goodbye. Thank you for calling.")
    assert rung.result.reason == "agent_hung_up"


# --- mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"barge_in_strategies": MinWordsStrategy(2)}, "is not a list"),
        ({"barge_in_strategies": [MinWordsStrategy]}, "no barge-in strategy"),
        ({"barge_in_strategies": [object()]}, "no barge-in strategy"),
        ({"barge_in_strategies": [MinWordsStrategy(2)], "barge_in_threshold_ms": 0}, "never be asked"),
        ({"barge_in_mode": "pause"}, "one of pause_resume, cancel"),
        ({"barge_in_confirm_ms": 20}, "at least 100"),
    ],
)
def test_settings_that_cannot_be_right_are_refused_when_the_agent_is_made(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(PatterConfigError, match=said):
        Agent(system_prompt="x", **settings)


def test_a_strategy_that_cannot_be_copied_is_refused() -> None:
    class Attached(Recorded):
        def __deepcopy__(self, memo: Any) -> Recorded:
            raise TypeError("it holds a socket")

    with pytest.raises(PatterConfigError, match="each call needs its own: it holds a socket"):
        Agent(system_prompt="x", barge_in_strategies=(Attached([]),))
