"""What may be done to a call from inside it: giving it away, recording it, holding it, closing its ears."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from patter_trio import Call, CallControl, PatterConfigError, PatterError, PipelineHooks, tool
from patter_trio._audio import g711
from patter_trio._audio.wav import write_wav
from patter_trio.errors import ProviderError
from patter_trio.events import (
    MULAW_8K,
    AgentSpeechEnded,
    CallInfo,
    FloorTaken,
    HoldChanged,
    MuteChanged,
    ToolFinished,
    TranscriptHeard,
)
from patter_trio.telephony import Links
from patter_trio.testing import Caller, Reply, ScriptedLLM, ScriptedSTT, ToolUse, run_virtual, speak_words

from .exchange import Exchange
from .ring import LONG, URL, Rung, agent, ring, ring_async

SOMEBODY = "+15550009999"
GREETED = Caller().waits_for_agent()
PATIENT = GREETED.says("Give me a person").waits_for_agent().waits(6.0).hangs_up()


def wav(words: str, serial: int = 900) -> bytes:
    """A recording in which somebody says some words."""
    file = io.BytesIO()
    write_wav(file, [g711.decode(speak_words(words, serial=serial), MULAW_8K)], 8000)
    return file.getvalue()


def controlled(
    act: Callable[[Call], Awaitable[Any]], caller: Caller, exchange: Any = None, **settings: Any
) -> Rung:
    """A call of an agent while ``act`` has its hands on it."""
    settings.setdefault("llm", ScriptedLLM(["One moment.", "Yes, of course.", "Anything else?"]))
    return ring(agent(**settings), caller, on_call=act, carrier=exchange or Exchange(), forgets=True)


# --- giving it away -----------------------------------------------------------------------------------------


def test_a_transfer_is_ordered_with_all_that_belongs_to_it() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(3.0)
        await call.transfer(SOMEBODY, ring_seconds=33)

    exchange = Exchange()
    rung = controlled(act, PATIENT, exchange, language="it")
    order = exchange.order
    assert (order.number, order.mode, order.ring_seconds, order.summary) == (SOMEBODY, "cold", 33, "")
    assert order.language == "it-IT"
    assert order.links.webhook("transfer").startswith(f"{URL}/webhooks/twilio/transfer?call=")
    assert rung.result.reason == "transferred"
    assert rung.result.outcome == "answered"


def test_the_stream_is_closed_by_us_and_the_call_is_over_at_once() -> None:
    over: list[float] = []

    async def act(call: Call) -> None:
        await trio.sleep(3.0)
        await call.transfer(SOMEBODY)
        assert call.is_transferred
        await call.wait_ended()
        over.append(trio.current_time())

    exchange = Exchange()
    rung = controlled(act, PATIENT, exchange)
    assert rung.outcome.ended_by == "agent"
    assert over[0] - exchange.at[0] < 0.5
    assert rung.outcome.ear.now < 5.0, "the script would have gone on for much longer"


def test_nothing_more_can_be_wanted_of_a_call_that_was_given_away() -> None:
    async def act(call: Call) -> None:
        await call.transfer(SOMEBODY)
        await call.wait_ended()
        with pytest.raises(PatterError, match="is over"):
            await call.say("Are you still there?")

    assert controlled(act, PATIENT).result.reason == "transferred"


def test_a_refused_transfer_leaves_the_call_as_it_was() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(2.0)
        with pytest.raises(ProviderError, match="not in progress"):
            await call.transfer(SOMEBODY)
        assert not call.is_transferred
        await call.say("I am sorry.")

    rung = controlled(act, PATIENT, Exchange(refuses=True))
    assert rung.result.reason == "caller_hung_up"
    assert "I am sorry." in rung.outcome.heard


def test_what_is_being_said_is_heard_before_the_caller_is_given_away() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(1.0)
        await call.transfer(SOMEBODY)

    exchange = Exchange()
    rung = controlled(act, PATIENT, exchange, first_message=LONG)
    assert rung.outcome.heard == LONG
    assert exchange.order.number == SOMEBODY


def test_a_voice_that_stops_in_the_middle_of_a_frame_has_been_heard_too() -> None:
    async def connect(event: dict[str, Any], control: CallControl) -> Any:
        yield "One moment please, I connect you. And now it happens. "
        await control.transfer(SOMEBODY)

    def shorter(audio: bytes, text: str) -> bytes:
        return audio[:-82]

    exchange = Exchange()
    who = agent(on_message=connect, hooks=PipelineHooks(after_synthesize=shorter))
    rung = ring(who, PATIENT, carrier=exchange, forgets=True)
    spoken = rung.outcome.ear.agent_speech[-1].end
    assert exchange.at[0] - rung.events[0].time - spoken < 1.0


def test_a_person_who_takes_over_is_told_what_was_said() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(5.5)
        await call.transfer(SOMEBODY, mode="warm")

    exchange = Exchange()
    controlled(act, PATIENT, exchange)
    assert exchange.order.mode == "warm"
    assert exchange.order.summary == (
        "Agent: Hello, this is the desk. Caller: Give me a person Agent: One moment."
    )


def test_a_question_that_nobody_has_answered_is_in_the_summary() -> None:
    async def connect(event: dict[str, Any], control: CallControl) -> str:
        await control.transfer(SOMEBODY, mode="warm")
        return ""

    exchange = Exchange()
    ring(agent(on_message=connect), PATIENT, carrier=exchange)
    assert exchange.order.summary.endswith("Caller: Give me a person")


def test_a_summary_that_is_given_is_the_one_that_is_told() -> None:
    async def act(call: Call) -> None:
        await call.transfer("sip:desk@example.test", mode="warm", summary="They want a cake.")

    exchange = Exchange()
    controlled(act, PATIENT, exchange)
    assert exchange.order.summary == "They want a cake."
    assert exchange.order.number == "sip:desk@example.test"


@pytest.mark.parametrize(
    "arguments",
    [
        {"number": "5550009999"},
        {"number": "+15550009999 "},
        {"number": "tel:+15550009999"},
        {"number": "sip:"},
        {"number": 15550009999},
        {"number": SOMEBODY, "mode": "lukewarm"},
        {"number": SOMEBODY, "summary": None},
        {"number": SOMEBODY, "summary": "x" * 1001},
        {"number": SOMEBODY, "ring_seconds": 4},
        {"number": SOMEBODY, "ring_seconds": 20.5},
        {"number": SOMEBODY, "ring_seconds": True},
    ],
)
def test_the_carrier_is_not_asked_for_what_makes_no_sense(arguments: dict[str, Any]) -> None:
    async def act(call: Call) -> None:
        with pytest.raises(PatterConfigError):
            await call.transfer(**arguments)

    exchange = Exchange()
    assert controlled(act, PATIENT, exchange).result.reason == "caller_hung_up"
    assert exchange.asked == []


def test_a_call_is_given_away_once() -> None:
    async def act(call: Call) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.transfer, SOMEBODY)
            await trio.sleep(0.5)
            with pytest.raises(PatterError, match="already"):
                await call.transfer("+15550008888")

    exchange = Exchange(takes=1.0)
    controlled(act, PATIENT, exchange)
    assert exchange.order.number == SOMEBODY


def test_a_stream_that_ends_while_the_carrier_is_asked_was_given_away() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(3.0)
        await call.transfer(SOMEBODY)

    rung = controlled(act, GREETED.waits(1.0).hangs_up(), Exchange(takes=5.0))
    assert rung.result.reason == "transferred"


def test_a_call_counts_as_given_away_while_the_carrier_is_asked() -> None:
    """The other side may be done, and the carrier say so, before it answers us."""

    async def act(call: Call) -> None:
        async def ask() -> None:
            with pytest.raises(ProviderError):
                await call.transfer(SOMEBODY)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(0.5)
            assert call.is_transferred
        assert not call.is_transferred

    assert controlled(act, PATIENT, Exchange(takes=1.0, refuses=True)).result.reason == "caller_hung_up"


async def test_reports_of_what_the_carrier_does_come_back_to_the_call() -> None:
    links, exchange = Links("https://voice.example.test", "twilio", "secret"), Exchange()
    control = CallControl(CallInfo("CA1", telephony_provider="twilio"))
    async with exchange.open() as live:
        control.allow(live, links)
        control.connect(_Quiet())  # type: ignore[arg-type]
        await control.start_recording()
        await control.transfer(SOMEBODY)
    assert exchange.links == [links]
    assert exchange.order.links == links


@pytest.mark.parametrize(("caller", "shown"), [("+15557654321", ""), ("anonymous", "+15550001234")])
async def test_who_hides_their_number_is_shown_as_ours(caller: str, shown: str) -> None:
    exchange, control = Exchange(), CallControl(CallInfo("CA1", caller, "+15550001234"))
    async with exchange.open() as live:
        control.allow(live)
        control.connect(_Quiet())  # type: ignore[arg-type]
        await control.transfer(SOMEBODY)
    assert exchange.order.caller_id == shown


class _Quiet:
    """A call that is up and in which nothing happens."""

    language = "en-US"

    def give_away(self) -> None:
        """It is."""

    async def wait_said(self) -> None:
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("seed", range(8))
def test_the_model_gives_a_call_away_warmly_and_that_is_in_the_history(seed: int) -> None:
    uses = [ToolUse("transfer_call", {"number": SOMEBODY, "mode": "warm", "summary": "They want a cake."})]
    exchange = Exchange()
    who = agent(ScriptedLLM([Reply("I connect you.", tools=uses)]))
    rung = ring(who, PATIENT, carrier=exchange, seed=seed)
    assert (exchange.order.mode, exchange.order.summary) == ("warm", "They want a cake.")
    assert [(entry.role, entry.text) for entry in rung.result.history[-2:]] == [
        ("user", "Give me a person"),
        ("assistant", "I connect you."),
    ]
    (used,) = rung.result.history[-1].tools
    assert used.result == f"The caller is being connected to {SOMEBODY}."
    (finished,) = rung.of(ToolFinished)
    assert finished.ok
    assert rung.result.reason == "transferred"


def test_a_number_that_is_none_is_the_models_own_mistake() -> None:
    llm = ScriptedLLM([Reply(tools=[ToolUse("transfer_call", {"number": "the manager"})]), "Which number?"])
    exchange = Exchange()
    rung = ring(agent(llm), PATIENT, carrier=exchange)
    told = str(llm.requests[1].messages[-1]["content"])
    assert "is no number" in told
    assert "fallback" in told
    assert exchange.asked == []
    assert rung.said("assistant")[-1] == "Which number?"


# --- recording it -------------------------------------------------------------------------------------------


def test_a_recording_is_begun_once_and_ended() -> None:
    ids: list[str] = []

    async def act(call: Call) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(begin, call)
        assert call.control.recording_id == ids[0]
        await call.stop_recording()
        assert call.control.recording_id == ""
        await call.stop_recording()
        await begin(call)

    async def begin(call: Call) -> None:
        ids.append(await call.start_recording())

    exchange = Exchange(takes=0.2)
    controlled(act, PATIENT, exchange)
    assert [asked[0] for asked in exchange.asked] == ["record", "stop", "record"]
    assert ids == ["RE1", "RE1", "RE3"]
    assert exchange.asked[1][2] == "RE1"


def test_a_refused_recording_is_told_and_may_be_tried_again() -> None:
    async def act(call: Call) -> None:
        with pytest.raises(ProviderError):
            await call.start_recording()
        exchange.refuses = False
        assert await call.start_recording() == "RE2"
        exchange.refuses = True
        with pytest.raises(ProviderError):
            await call.stop_recording()
        assert call.control.recording_id == "RE2"

    exchange = Exchange(refuses=True)
    controlled(act, PATIENT, exchange)
    assert len(exchange.asked) == 3


# --- hold ---------------------------------------------------------------------------------------------------


def test_on_hold_the_agent_is_cut_and_answers_afterwards() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(1.5)
        assert not call.is_on_hold
        await call.hold()
        assert call.is_on_hold
        await trio.sleep(6.0)
        await call.resume()
        assert not call.is_on_hold

    asks = Caller().waits(3.0).says("Hello?").waits(1.0).says("Is anybody there?")
    caller = asks.waits_for_agent().hangs_up()
    rung = controlled(act, caller, first_message=LONG)
    assert rung.said("user") == ["Hello? Is anybody there?"], "one answer for all of it"
    assert rung.said("assistant")[-1] == "One moment."
    spoken = rung.outcome.ear.agent_speech
    assert spoken[0].end == pytest.approx(1.5, abs=0.2)
    assert spoken[1].start > 7.5
    assert rung.result.history[0].unheard
    (ended, _) = rung.of(AgentSpeechEnded)
    assert ended.interrupted
    assert rung.of(FloorTaken) == [], "it is not the caller who took the floor"
    assert [event.on_hold for event in rung.of(HoldChanged)] == [True, False]


def test_music_plays_over_and_over_until_the_caller_is_taken_back() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(2.5)
        await call.hold(wav("la lu"))
        await trio.sleep(3.0)
        await call.resume()
        await call.say("Here I am.")

    rung = controlled(act, Caller().waits(7.5).hangs_up())
    words = rung.outcome.heard.split()
    assert words.count("la") >= 4
    assert words[-3:] == ["Here", "I", "am."]
    assert "la" not in " ".join(rung.said("assistant"))
    assert rung.turn_kinds == ["greeting", "music", "say"]


def test_other_music_takes_the_place_of_the_first() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(2.5)
        await call.hold(wav("la"))
        await trio.sleep(2.0)
        await call.hold(wav("do", 901))

    rung = controlled(act, Caller().waits(7.0).hangs_up())
    heard = rung.outcome.heard.replace("Hello, this is the desk.", "").split()
    assert heard == sorted(heard, reverse=True)
    assert set(heard) == {"la", "do"}
    assert len(rung.of(HoldChanged)) == 1


def test_a_question_whose_answer_was_cut_off_by_the_hold_is_answered_at_the_end_of_it() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(4.4)
        await call.hold()
        await trio.sleep(3.0)
        await call.resume()

    llm = ScriptedLLM(["Yes, of course."], first_token_delay=1.5)
    caller = GREETED.says("May I come in?").waits_for_agent(timeout=20.0).hangs_up()
    rung = controlled(act, caller, llm=llm)
    assert rung.said("user") == ["May I come in?"]
    assert rung.said("assistant")[-1] == "Yes, of course."
    assert len(llm.requests) == 2


@pytest.mark.parametrize("music", [None, wav("la")], ids=["silence", "music"])
def test_the_agent_takes_up_what_it_was_saying(music: bytes | None) -> None:
    async def act(call: Call) -> None:
        await trio.sleep(1.5)
        await call.hold(music)
        await trio.sleep(2.0)
        await call.resume()

    rung = controlled(act, Caller().waits_for_agent(quiet=3.0).hangs_up(), first_message=LONG)
    assert rung.outcome.heard.endswith("at six in the evening.")
    assert rung.turn_kinds == ["greeting", *(["music"] if music else []), "say"]


def test_what_is_to_be_said_waits_for_the_end_of_the_hold() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(2.5)
        await call.hold()
        await call.say("Thank you for waiting.")
        await trio.sleep(2.0)
        assert "Thank" not in " ".join(entry.text for entry in call.history.entries)
        await call.resume()

    rung = controlled(act, Caller().waits(8.0).hangs_up())
    assert rung.said("assistant")[-1] == "Thank you for waiting."
    assert rung.outcome.ear.agent_speech[-1].start > 4.5


@pytest.mark.parametrize("music", [None, wav("la")])
def test_a_call_on_hold_can_end_by_either_side(music: bytes | None) -> None:
    async def act(call: Call) -> None:
        await trio.sleep(2.5)
        await call.hold(music)
        await trio.sleep(1.0)
        if hangs_up:
            await call.hangup()

    for hangs_up in (False, True):
        rung = controlled(act, Caller().waits(6.0).hangs_up())
        assert rung.result.reason == ("agent_hung_up" if hangs_up else "caller_hung_up")


def test_a_caller_on_hold_is_not_away() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(2.5)
        await call.hold()

    caller = Caller().waits(10.0).hangs_up()
    rung = controlled(act, caller, away_after_s=2.0, away_message="Are you still there?")
    assert "still" not in rung.outcome.heard


# --- mute ---------------------------------------------------------------------------------------------------


def test_a_muted_agent_neither_hears_nor_is_interrupted() -> None:
    async def act(call: Call) -> None:
        assert not call.is_muted
        call.mute()
        assert call.is_muted
        await trio.sleep(6.0)
        call.mute(False)

    stt = ScriptedSTT()
    talks = Caller().barges_in("Stop that", after=1.0).waits(6.0).says("Hello again")
    caller = talks.waits_for_agent().hangs_up()
    rung = controlled(act, caller, stt=stt, first_message=LONG)
    assert rung.outcome.heard.startswith(LONG), "nobody has interrupted it"
    assert rung.said("user") == ["Hello again"]
    assert stt.record.finals == ["Hello again"]
    assert stt.record.seconds_heard == pytest.approx(rung.outcome.ear.now, abs=0.3), "its clock is right"
    assert [event.muted for event in rung.of(MuteChanged)] == [True, False]


# --- when it can be done ------------------------------------------------------------------------------------

DONE: list[Callable[[CallControl], Any]] = [
    lambda control: control.say("Hello"),
    lambda control: control.play(wav("la")),
    lambda control: control.send_dtmf("1"),
    lambda control: control.hold(),
    lambda control: control.resume(),
    lambda control: control.mute(),
    lambda control: control.commit_user_turn(),
    lambda control: control.transfer(SOMEBODY),
    lambda control: control.start_recording(),
    lambda control: control.stop_recording(),
    lambda control: control.hangup(),
]


async def refused(control: CallControl, why: str) -> None:
    async def do(act: Callable[[CallControl], Any]) -> None:
        done = act(control)
        if done is not None:
            await done

    for act in DONE:
        with pytest.raises(PatterError, match=why):
            await do(act)


async def test_nothing_can_be_done_to_a_call_that_is_not_up() -> None:
    control = CallControl(CallInfo("CA1"))
    assert not control.ended
    await refused(control, "call CA1 is not up yet")


def test_nothing_can_be_done_to_a_call_that_is_over() -> None:
    async def main() -> None:
        calls: list[Call] = []

        async def keep(call: Call) -> None:
            calls.append(call)

        await ring_async(agent(), GREETED.hangs_up(), on_call=keep, carrier=Exchange())
        assert calls[0].control.ended
        await refused(calls[0].control, "is over")

    run_virtual(main)


def test_a_carrier_without_an_api_connects_and_records_nobody() -> None:
    async def main() -> None:
        control = CallControl(CallInfo("CA1", telephony_provider="plivo"))
        control.connect(_Quiet())  # type: ignore[arg-type]
        assert not control.can_transfer
        with pytest.raises(PatterError, match="calls of plivo cannot be transferred"):
            await control.transfer(SOMEBODY)
        with pytest.raises(PatterError, match="calls of plivo cannot be recorded"):
            await control.start_recording()

    run_virtual(main)


def test_a_tool_and_a_hook_have_their_hands_on_the_call() -> None:
    @tool
    async def look(item: str, control: CallControl) -> str:
        """Looks.

        Args:
            item: for what.
        """
        await control.say("From the tool.")
        return "found"

    async def welcome(text: str, ctx: Any) -> str:
        await ctx.control.say("From the hook.")
        return text

    llm = ScriptedLLM([Reply(tools=[ToolUse("look", {"item": "it"})]), "Here it is."])
    who = agent(llm, tools=[look], hooks=PipelineHooks(after_transcribe=welcome))
    rung = ring(who, GREETED.says("Look for it").waits_for_agent(quiet=2.0).hangs_up())
    assert "From the hook." in rung.outcome.heard
    assert "From the tool." in rung.outcome.heard


def test_transcripts_go_on_while_the_caller_is_on_hold() -> None:
    async def act(call: Call) -> None:
        await trio.sleep(2.5)
        await call.hold()

    rung = controlled(act, Caller().waits(3.0).says("Hello?").waits(2.0).hangs_up())
    assert "Hello?" in [event.text for event in rung.of(TranscriptHeard) if event.role == "user"]
    assert rung.said("user") == ["Hello?"]
