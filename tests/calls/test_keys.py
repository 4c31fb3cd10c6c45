"""Keys of the telephone, in both directions: what the caller presses, and what is pressed for the agent."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from patter_trio import Call, CallControl, MinWordsStrategy, PatterConfigError, PatterError
from patter_trio.errors import ProviderError
from patter_trio.events import DigitReceived, DigitsSent, FloorTaken, TranscriptHeard, UserSpeechEos
from patter_trio.testing import Caller, Reply, ScriptedLLM, ScriptedTTS, ToolUse

from .exchange import Exchange, keys_heard
from .ring import LONG, Rung, agent, ring

SLOW = ScriptedTTS(realtime_factor=1.5)
GREETED = Caller().waits_for_agent()
QUIET = GREETED.waits(8.0).hangs_up()


def questions(llm: ScriptedLLM) -> list[str]:
    """The last message of each request."""
    return [str(request.messages[-1]["content"]) for request in llm.requests]


def pressing(
    act: Callable[[Call], Awaitable[Any]], caller: Caller = QUIET, exchange: Any = None, **settings: Any
) -> Rung:
    """A call in which ``act`` presses keys."""
    settings.setdefault("llm", ScriptedLLM(["Yes, of course."]))
    return ring(agent(**settings), caller, on_call=act, carrier=exchange)


def sent(rung: Rung) -> list[str]:
    return [event.digits for event in rung.of(DigitsSent)]


# --- keys that the caller presses ---------------------------------------------------------------------------


def test_keys_are_a_message_that_the_model_answers() -> None:
    llm = ScriptedLLM(["Thank you."])
    rung = ring(agent(llm), GREETED.presses("123#").waits_for_agent().hangs_up())
    assert questions(llm) == ["[DTMF: 123#]"]
    assert rung.said("user") == ["[DTMF: 123#]"]
    assert rung.said("assistant")[-1] == "Thank you."
    assert [event.digit for event in rung.of(DigitReceived)] == list("123#")
    (eos,) = rung.of(UserSpeechEos)
    assert (eos.trigger, eos.transcript_so_far) == ("keys_pressed", "[DTMF: 123#]")
    assert [event.text for event in rung.of(TranscriptHeard) if event.role == "user"] == ["[DTMF: 123#]"]
    assert rung.result.turns[-1].latency.llm_ttft_ms == pytest.approx(200, abs=300)


def test_a_function_gets_them_too() -> None:
    texts: list[str] = []

    def answer(event: dict[str, Any]) -> str:
        texts.append(event["text"])
        return "Thank you."

    rung = ring(agent(on_message=answer), GREETED.presses("7").waits_for_agent().hangs_up())
    assert texts == ["[DTMF: 7]"]
    assert rung.said("assistant")[-1] == "Thank you."


def waited(**settings: Any) -> float:
    """Seconds from the last key to the end of the input."""
    rung = ring(agent(**settings), GREETED.presses("12*").waits_for_agent().hangs_up())
    (eos,) = rung.of(UserSpeechEos)
    return float(eos.time - rung.of(DigitReceived)[-1].time)


def test_keys_are_complete_when_none_follows_or_at_the_terminator() -> None:
    assert waited() == pytest.approx(1.5, abs=0.01)
    assert waited(dtmf_timeout_ms=400) == pytest.approx(0.4, abs=0.01)
    assert waited(dtmf_terminator="*") == pytest.approx(0.0, abs=0.01)


def test_without_a_terminator_every_key_is_like_the_others() -> None:
    llm = ScriptedLLM(["Thank you."])
    ring(agent(llm, dtmf_terminator=""), GREETED.presses("1#2").waits_for_agent().hangs_up())
    assert questions(llm) == ["[DTMF: 1#2]"]


def test_keys_may_be_events_only() -> None:
    llm = ScriptedLLM(["Never."])
    caller = Caller().waits(0.5).presses("12#").waits_for_agent().waits(4.0).hangs_up()
    rung = ring(agent(llm, dtmf_timeout_ms=None, first_message=LONG), caller)
    assert llm.requests == []
    assert rung.outcome.heard == LONG
    assert len(rung.of(DigitReceived)) == 3


def test_a_key_skips_what_is_being_said() -> None:
    llm = ScriptedLLM(["Thank you."])
    caller = Caller().waits(2.0).presses("1#").waits_for_agent().hangs_up()
    rung = ring(agent(llm, first_message=LONG), caller)
    (taken,) = rung.of(FloorTaken)
    assert taken.time - rung.of(DigitReceived)[0].time < 0.25
    assert taken.onset_to_clear_ms < 50
    assert "in the evening" not in rung.outcome.heard
    assert rung.result.history[0].unheard
    assert questions(llm) == ["[DTMF: 1#]"]


@pytest.mark.parametrize(
    "settings", [{"barge_in_threshold_ms": 0}, {"first_message_interruptible": False}], ids=str
)
def test_a_key_waits_for_the_end_of_what_must_be_heard(settings: dict[str, Any]) -> None:
    llm = ScriptedLLM(["Thank you."])
    caller = Caller().waits(2.0).presses("1#").waits_for_agent().hangs_up()
    rung = ring(agent(llm, first_message=LONG, **settings), caller)
    assert rung.outcome.heard == f"{LONG} Thank you."
    assert questions(llm) == ["[DTMF: 1#]"]


def test_keys_are_never_taken_for_a_sign_of_listening() -> None:
    llm = ScriptedLLM(["Thank you."])
    settings = {"barge_in_strategies": [MinWordsStrategy(5)], "barge_in_confirm_ms": 500}
    caller = Caller().waits(2.0).presses("1#").waits_for_agent().hangs_up()
    rung = ring(agent(llm, first_message=LONG, **settings), caller)
    assert questions(llm) == ["[DTMF: 1#]"]
    assert "in the evening" not in rung.outcome.heard


def test_keys_from_before_a_turn_take_the_floor_when_they_are_complete() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(3.2)
        await call.say(LONG)

    llm = ScriptedLLM(["Thank you."])
    caller = GREETED.waits(0.3).presses("1").waits(2.5).waits_for_agent().hangs_up()
    rung = pressing(act, caller, llm=llm, barge_in_strategies=[MinWordsStrategy(5)])
    assert questions(llm) == ["[DTMF: 1]"]
    assert "in the evening" not in rung.outcome.heard


def test_words_before_keys_stand_before_them() -> None:
    llm = ScriptedLLM(["Thank you."])
    caller = GREETED.says("My number is").presses("42#").waits_for_agent().hangs_up()
    ring(agent(llm, min_endpointing_delay_ms=1500), caller)
    assert questions(llm) == ["My number is [DTMF: 42#]"]


def test_words_after_keys_stand_behind_them() -> None:
    llm = ScriptedLLM(["Thank you."])
    caller = GREETED.presses("42").says("That is it").waits_for_agent().hangs_up()
    ring(agent(llm, dtmf_timeout_ms=5000), caller)
    assert questions(llm) == ["[DTMF: 42] That is it"]


def test_keys_over_an_answer_that_is_on_its_way_are_answered_with_the_question() -> None:
    llm = ScriptedLLM(["Thank you."], first_token_delay=1.5)
    caller = GREETED.says("May I type it?").waits(1.0).presses("42#").waits_for_agent().hangs_up()
    ring(agent(llm), caller)
    assert questions(llm)[-1] == "May I type it? [DTMF: 42#]"


def test_keys_that_are_pressed_as_the_caller_leaves_are_remembered() -> None:
    rung = ring(agent(), GREETED.presses("12").hangs_up())
    assert rung.said("user") == ["[DTMF: 12]"]


def test_a_caller_who_presses_keys_is_there() -> None:
    who = agent(away_after_s=3.0, away_message="Are you still there?", dtmf_timeout_ms=10_000)
    caller = GREETED.waits(1.5).presses("1").waits(2.0).presses("2").waits(2.0).hangs_up()
    assert "still" not in ring(who, caller).outcome.heard


def test_an_agent_with_closed_ears_is_told_of_keys_by_events_only() -> None:
    async def act(call: Call) -> None:
        call.mute()

    llm = ScriptedLLM(["Never."])
    rung = pressing(act, Caller().waits(1.0).presses("1#").waits_for_agent().waits(2.0).hangs_up(), llm=llm)
    assert llm.requests == []
    assert len(rung.of(DigitReceived)) == 2


@pytest.mark.parametrize(
    "settings", [{"dtmf_timeout_ms": 50}, {"dtmf_terminator": "##"}, {"dtmf_terminator": "x"}], ids=str
)
def test_mistakes_are_told_when_the_agent_is_made(settings: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError, match=next(iter(settings))):
        agent(**settings)


# --- keys that are pressed for the agent --------------------------------------------------------------------


def test_keys_are_heard_as_tones() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(3.0)
        await call.send_dtmf("0123456789*#ABCD")

    rung = pressing(act)
    heard = keys_heard(rung.outcome.ear)
    assert "".join(key for key, _ in heard) == "0123456789*#ABCD"
    assert sent(rung) == ["0123456789*#ABCD"]
    assert rung.said("assistant") == ["Hello, this is the desk."]
    assert rung.turn_kinds == ["greeting", "keys"]


def begun(digits: str, **settings: Any) -> list[float]:
    """Seconds between the beginnings of keys."""

    async def act(call: Call) -> None:
        await trio.sleep(3.0)
        await call.send_dtmf(digits, **settings)

    at = [began for _, began in keys_heard(pressing(act).outcome.ear)]
    return [later - sooner for sooner, later in itertools.pairwise(at)]


def test_how_fast_they_follow_each_other_can_be_set() -> None:
    assert begun("123") == pytest.approx([0.3, 0.3], abs=0.02)
    assert begun("123", delay_ms=100) == pytest.approx([0.1, 0.1], abs=0.02)
    assert begun("123", delay_ms=1000) == pytest.approx([1.0, 1.0], abs=0.02)
    assert begun("1w2W3") == pytest.approx([0.8, 1.3], abs=0.02)


def test_keys_come_behind_what_is_to_be_said_and_before_what_is_said_later() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(2.5)
        await call.say("Before it.")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.send_dtmf, "5")
            await trio.sleep(0.1)
            await call.say("Behind it.")

    rung = pressing(act)
    ((key, at),) = keys_heard(rung.outcome.ear)
    words = {word.text: word.start for word in rung.outcome.ear.words}
    assert key == "5"
    assert words["Before"] < at < words["Behind"]


def test_a_caller_who_speaks_over_them_does_not_break_them() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(3.0)
        await call.send_dtmf("31415926")

    rung = pressing(act, Caller().waits(3.4).says("What is that noise?").waits_for_agent().hangs_up())
    assert "".join(key for key, _ in keys_heard(rung.outcome.ear)) == "31415926"
    assert rung.said("user") == ["What is that noise?"]
    assert rung.outcome.clears == ()


def test_the_model_presses_keys_between_its_words() -> None:
    llm = ScriptedLLM(
        [Reply("I choose sales.", tools=[ToolUse("send_dtmf", {"digits": "1#"})]), "Hello, is this sales?"]
    )
    rung = ring(agent(llm), GREETED.says("Press one for sales").waits_for_agent(quiet=2.0).hangs_up())
    heard = keys_heard(rung.outcome.ear)
    words = {word.text: word.start for word in rung.outcome.ear.words}
    assert [key for key, _ in heard] == ["1", "#"]
    assert words["sales."] < heard[0][1] < heard[1][1] < words["sales?"]
    assert questions(llm)[1] == "Pressed 1#."
    assert rung.said("assistant")[-2:] == ["I choose sales.", "Hello, is this sales?"]
    assert rung.turn_kinds == ["greeting", "reply"]


@pytest.mark.parametrize("mode", ["pause_resume", "cancel"])
@pytest.mark.parametrize("strategies", [(), (MinWordsStrategy(1),)], ids=["by voice", "by words"])
def test_who_interrupts_the_answer_hears_its_keys_to_the_end(mode: Any, strategies: Any) -> None:
    llm = ScriptedLLM([Reply("Now.", tools=[ToolUse("send_dtmf", {"digits": "123456"})]), "Never.", "Yes?"])
    settings = {"barge_in_mode": mode, "barge_in_strategies": strategies}
    caller = GREETED.says("Go on").waits(2.0).says("Wait a moment please").waits_for_agent().hangs_up()
    rung = ring(agent(llm, **settings), caller)
    assert "".join(key for key, _ in keys_heard(rung.outcome.ear)) == "123456"
    assert rung.said("user")[-1] == "Wait a moment please"
    assert len(rung.floors_taken) == 1


def test_a_function_presses_keys_before_it_answers() -> None:
    async def answer(event: dict[str, Any], control: CallControl) -> str:
        await control.send_dtmf("9", delay_ms=150)
        return "It is done."

    rung = ring(agent(on_message=answer), GREETED.says("Open the door").waits_for_agent(quiet=1.2).hangs_up())
    ((key, at),) = keys_heard(rung.outcome.ear)
    assert key == "9"
    assert at < next(word.start for word in rung.outcome.ear.words if word.text == "done.")


def test_a_caller_who_takes_the_floor_just_before_is_first() -> None:
    texts: list[str] = []

    async def answer(event: dict[str, Any], control: CallControl) -> str:
        texts.append(event["text"])
        if len(texts) == 1:
            await trio.sleep(1.5)
            await control.send_dtmf("1")
        return "As you wish."

    caller = GREETED.says("Open the door").waits(1.75).says("No wait please").waits_for_agent().hangs_up()
    rung = ring(agent(on_message=answer), caller)
    assert keys_heard(rung.outcome.ear) == []
    assert texts[1:] == ["Open the door No wait please"]
    assert rung.said("assistant")[-1] == "As you wish."


def test_keys_are_pressed_to_their_end_before_the_caller_is_on_hold() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(3.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.send_dtmf, "12345")
            await trio.sleep(0.4)
            await call.hold()

    rung = pressing(act)
    assert "".join(key for key, _ in keys_heard(rung.outcome.ear)) == "12345"


def test_what_fills_a_pause_gives_way_to_keys() -> None:
    async def answer(event: dict[str, Any], control: CallControl) -> str:
        await trio.sleep(2.0)
        await control.send_dtmf("123456789")
        return "It is done."

    who = agent(on_message=answer, long_turn_message=LONG, long_turn_message_after_s=0.5, tts=SLOW)
    caller = GREETED.says("Open the door").waits_for_agent(quiet=2.0).hangs_up()
    rung = ring(who, caller, forgets=True)
    assert "".join(key for key, _ in keys_heard(rung.outcome.ear)) == "123456789"
    assert rung.outcome.heard.endswith("It is done.")
    assert "evening" not in rung.outcome.heard


def test_keys_that_nobody_waits_for_any_more_are_not_pressed() -> None:
    async def act(call: Call) -> None:
        with trio.move_on_after(0.5):
            await call.send_dtmf("1")
        await call.send_dtmf("2")

    rung = pressing(act, first_message=LONG, caller=GREETED.waits(3.0).hangs_up())
    assert [key for key, _ in keys_heard(rung.outcome.ear)] == ["2"]


def test_a_carrier_that_presses_keys_by_a_command_is_told_to() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(3.0)
        began = trio.current_time()
        await call.send_dtmf("1w2", delay_ms=200)
        assert trio.current_time() - began == pytest.approx(0.9, abs=0.01)
        assert [asked[2] for asked in exchange.asked] == ["1", "2"]
        assert exchange.asked[0][1] == call.call_id

    exchange = Exchange(sends_digits=True)
    rung = pressing(act, exchange=exchange)
    assert exchange.at[1] - exchange.at[0] == pytest.approx(0.7, abs=0.01)
    assert keys_heard(rung.outcome.ear) == []
    assert sent(rung) == ["12"]


def test_whoever_presses_keys_learns_that_the_carrier_refuses() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(3.0)
        with pytest.raises(ProviderError, match="not in progress"):
            await call.send_dtmf("12")

    llm = ScriptedLLM([Reply(tools=[ToolUse("send_dtmf", {"digits": "3"})]), "I cannot."])
    caller = GREETED.waits(3.0).says("Press three").waits_for_agent().hangs_up()
    rung = pressing(act, caller, Exchange(sends_digits=True, refuses=True), llm=llm)
    assert "not in progress" in questions(llm)[1]
    assert "fallback" in questions(llm)[1]
    assert sent(rung) == []
    assert rung.said("assistant")[-1] == "I cannot."


def test_a_carrier_whose_wire_has_keys_gets_them_behind_the_sound() -> None:
    async def act(call: Call) -> None:
        await call.send_dtmf("12")

    rung = pressing(act, exchange=Exchange(writes_digits=True))
    said = [entry for entry in rung.outcome.log if entry.what in ("mark", "media")]
    keys = [number for number, entry in enumerate(said) if entry.detail.startswith("keys")]
    assert [said[number].detail for number in keys] == ["keys 1", "keys 2"]
    assert said[keys[1]].at - said[keys[0]].at == pytest.approx(0.3, abs=0.02)
    assert all(entry.what == "mark" for entry in said[keys[0] :]), "all of the greeting was sent before"
    assert sent(rung) == ["12"]


def test_the_model_is_told_that_keys_make_no_sense() -> None:
    llm = ScriptedLLM([Reply(tools=[ToolUse("send_dtmf", {"digits": "one"})]), "I am sorry."])
    ring(agent(llm), GREETED.says("Press one").waits_for_agent().hangs_up())
    assert "no keys of a telephone" in questions(llm)[1]


@pytest.mark.parametrize(
    ("digits", "settings"),
    [
        ("", {}),
        ("12 3", {}),
        ("E", {}),
        ("1" * 65, {}),
        (1, {}),
        ("1", {"delay_ms": 79}),
        ("1", {"delay_ms": 5001}),
        ("1", {"delay_ms": None}),
    ],
)
def test_what_is_no_key_is_not_pressed(digits: Any, settings: dict[str, Any]) -> None:
    async def act(call: Call) -> None:
        with pytest.raises(PatterConfigError):
            await call.send_dtmf(digits, **settings)

    rung = pressing(act)
    assert sent(rung) == []
    assert keys_heard(rung.outcome.ear) == []


def test_keys_that_nobody_can_hear_any_more_are_an_error() -> None:
    said: list[str] = []

    async def act(call: Call) -> None:
        try:
            await call.send_dtmf("1234567890")
        except PatterError as error:
            said.append(str(error))

    pressing(act, Caller().waits(1.0).hangs_up())
    assert said == ["the call ended before the keys were pressed"]
