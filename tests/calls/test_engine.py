"""Calls on an engine: the same turns, barge-in, history and endings as any other call."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from patter_trio import (
    Agent,
    CompactionConfig,
    Guardrail,
    MinWordsStrategy,
    PipelineHooks,
    tool,
)
from patter_trio._text.prompt import GO_ON
from patter_trio.engines import OpenAIRealtime
from patter_trio.errors import PatterConfigError
from patter_trio.events import AgentSpeechEnded, TranscriptHeard, UtteranceOvertaken
from patter_trio.testing import (
    Caller,
    MemoryLine,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    run_virtual,
)

from ..conformance.realtime_endpoint import Answer, Calls, Dies, Fails, RealtimeEndpoint
from .ring import LONG, URL, Rung, heard_words, patter, ring, ring_async, twilio

ASKED = Caller().waits_for_agent().says("When are you open?")
ENGINE = OpenAIRealtime(api_key="sk-test")


def agent(**settings: Any) -> Agent:
    settings.setdefault("engine", ENGINE)
    settings.setdefault("first_message", "Hello, this is the desk.")
    return patter().agent("You answer for a bakery.", vad=ScriptedVAD(), **settings)


def call(endpoint: RealtimeEndpoint, caller: Caller, who: Agent | None = None, **options: Any) -> Rung:
    with endpoint.reached():
        return ring(who or agent(), caller, **options)


def far(*answers: Answer, **settings: Any) -> RealtimeEndpoint:
    return RealtimeEndpoint(list(answers), **settings)


def test_the_engine_greets_hears_and_answers() -> None:
    endpoint = far("We open at eight.")
    rung = call(endpoint, ASKED.waits_for_agent().hangs_up())
    assert rung.outcome.ok
    assert rung.said("assistant") == ["Hello, this is the desk.", "We open at eight."]
    assert rung.said("user") == ["When are you open?"]
    assert rung.turn_kinds == ["greeting", "reply"]
    assert rung.result.reason == "caller_hung_up"
    assert rung.outcome.heard == "Hello, this is the desk. We open at eight."


def test_the_answer_does_not_wait_for_the_words_of_the_question() -> None:
    slow = far("We open at eight.", words_after=2.0)
    rung = call(slow, ASKED.waits_for_agent(quiet=2.5).hangs_up())
    (reply,) = rung.outcome.replies
    assert reply.seconds is not None
    # The detector's silence, the delay, the endpoint's 0.2 s and a little of sound kept back.
    assert reply.seconds < 0.8
    assert rung.said("user") == ["When are you open?"]
    roles = [entry.role for entry in rung.result.history]
    assert roles == ["assistant", "user", "assistant"]


@pytest.mark.parametrize("after", [0.8, 1.25, 1.9, 2.6])
def test_caller_interrupts_mid_word(after: float) -> None:
    endpoint = far(LONG, "A loaf is four.")
    caller = ASKED.barges_in("Wait, what does a loaf cost?", after=after).waits_for_agent().hangs_up()
    rung = call(endpoint, caller)
    assert rung.outcome.ok
    (taken,) = rung.floors_taken
    assert taken.phase == "speaking"
    assert len(rung.outcome.clears) == 1
    heard = rung.said("assistant")[1]
    assert LONG.startswith(heard)
    assert 0 < len(heard) < len(LONG) / 2
    assert rung.result.history[2].unheard, "what was not heard is known"
    assert rung.said("user") == ["When are you open?", "Wait, what does a loaf cost?"]
    assert rung.said("assistant")[2] == "A loaf is four."
    assert [event.interrupted for event in rung.of(AgentSpeechEnded)] == [False, True, False]
    # The engine's memory ends where the caller's ear did, which the ledger knows to a few frames.
    (cut,) = endpoint.of("conversation.item.truncate")
    (spoken,) = rung.outcome.barge_ins
    assert spoken.agent_silent_after is not None
    assert cut["audio_end_ms"] == pytest.approx((after + spoken.agent_silent_after) * 1000, abs=120)


def test_a_response_that_is_interrupted_while_it_is_made_is_cancelled() -> None:
    endpoint = far(LONG, "Four.", pace=0.15)
    rung = call(endpoint, ASKED.barges_in("Stop, the price?", after=1.0).waits_for_agent().hangs_up())
    assert rung.outcome.ok
    assert len(endpoint.of("response.cancel")) == 1
    assert len(endpoint.of("conversation.item.truncate")) == 1
    assert rung.said("assistant")[2] == "Four."


def test_a_cough_does_not_interrupt_and_nothing_answers_it() -> None:
    endpoint = far(LONG)
    caller = ASKED.waits_until(lambda ear: "Monday" in ear.text()).coughs(0.15).waits_for_agent().hangs_up()
    rung = call(endpoint, caller)
    assert rung.outcome.ok
    assert rung.floors_taken == []
    (alarm,) = rung.false_alarms
    assert 0 < alarm.held_ms < 600
    assert rung.outcome.clears == ()
    assert rung.outcome.heard.endswith(LONG), "not a word is lost or said twice"
    assert rung.said("assistant")[-1] == LONG
    assert len(endpoint.of("response.create")) == 2, "the greeting and the answer"
    assert len(endpoint.of("input_audio_buffer.commit")) == 1
    assert len(endpoint.of("input_audio_buffer.clear")) == 1
    assert endpoint.of("conversation.item.truncate") == []


def test_after_a_cough_speech_resumes_at_the_very_frame_where_it_stopped() -> None:
    quiet = call(far(LONG), ASKED.waits_for_agent().hangs_up())
    caller = ASKED.waits_until(lambda ear: "Monday" in ear.text()).coughs(0.15).waits_for_agent().hangs_up()
    coughed = call(far(LONG), caller)
    sent = [sum(1 for entry in rung.outcome.log if entry.what == "media") for rung in (quiet, coughed)]
    assert sent[0] == sent[1]


def test_the_greeting_can_be_interrupted_and_the_engine_forgets_the_rest() -> None:
    endpoint = far("We open at eight.")
    rung = call(
        endpoint,
        Caller().barges_in("When do you open?", after=1.0).waits_for_agent().hangs_up(),
        agent(first_message=LONG),
    )
    assert rung.outcome.ok
    assert len(rung.floors_taken) == 1
    assert rung.said("assistant")[-1] == "We open at eight."
    assert len(endpoint.of("conversation.item.truncate")) >= 1


def test_a_correction_while_the_engine_is_thinking_gets_one_answer() -> None:
    endpoint = far("Old answer.", "On Friday we close at six.", delay=2.0)
    caller = (
        Caller()
        .waits_for_agent()
        .says("Are you open on Monday?")
        .waits(0.9)
        .says("No, I mean on Friday?")
        .waits_for_agent()
        .hangs_up()
    )
    rung = call(endpoint, caller)
    assert rung.outcome.ok
    assert rung.said("user") == ["Are you open on Monday? No, I mean on Friday?"]
    assert rung.said("assistant")[1:] == ["On Friday we close at six."]
    assert [event.text for event in rung.of(UtteranceOvertaken)] == ["Are you open on Monday?"]
    assert rung.floors_taken[0].phase == "thinking"
    assert rung.outcome.clears == ()
    assert "Old" not in rung.outcome.heard


def bakery() -> tuple[list[str], Any]:
    asked: list[str] = []

    @tool
    async def price_of(what: str) -> str:
        """Says what something costs."""
        asked.append(what)
        return "four"

    return asked, price_of


def test_a_tool_is_used_within_the_turn() -> None:
    asked, price_of = bakery()
    endpoint = far(Calls((("price_of", {"what": "loaf"}),), "Let me look."), "It is four.")
    caller = Caller().waits_for_agent().says("What is a loaf?").waits_for_agent(quiet=1.5).hangs_up()
    rung = call(endpoint, caller, agent(tools=[price_of]))
    assert rung.outcome.ok
    assert asked == ["loaf"]
    assert rung.turn_kinds == ["greeting", "reply"]
    assert rung.said("assistant")[1:] == ["Let me look.", "It is four."]
    (used,) = [entry.tools for entry in rung.result.history if entry.tools]
    assert [(each.name, each.result) for each in used] == [("price_of", "four")]
    (session,) = endpoint.sessions
    assert [item.text for item in session.items if item.kind == "function_call_output"] == ["four"]
    (declared,) = [each for each in session.config["tools"] if each["name"] == "price_of"]
    assert declared["parameters"]["properties"].keys() == {"what"}
    assert "You answer for a bakery." in session.config["instructions"]


def test_a_tool_whose_turn_was_cut_leaves_the_conversation_well_formed() -> None:
    @tool
    async def slow() -> str:
        """Takes long."""
        await trio.sleep(30)
        return "late"

    endpoint = far(Calls((("slow", {}),), "Let me look."), "Never mind then.")
    caller = Caller().waits_for_agent().says("What is a loaf?").waits_for_agent().says("Leave it, thank you.")
    rung = call(endpoint, caller.waits_for_agent().hangs_up(), agent(tools=[slow]))
    assert rung.outcome.ok
    (session,) = endpoint.sessions
    outputs = [item.text for item in session.items if item.kind == "function_call_output"]
    assert [json.loads(text) for text in outputs] == [{"error": "cancelled"}]
    assert rung.said("assistant")[-1] == "Never mind then."


def test_the_agent_can_hang_up() -> None:
    endpoint = far(Calls((("end_call", {}),)), "Goodbye.")
    rung = call(endpoint, ASKED.waits_for_hang_up())
    assert rung.outcome.ok
    assert rung.result.reason == "agent_hung_up"
    assert rung.said("assistant")[-1] == "Goodbye."


def test_a_colleague_takes_over_with_instructions_and_tools_of_their_own() -> None:
    _, price_of = bakery()
    colleague = patter().agent("You know the prices.", tools=[price_of], vad=ScriptedVAD())
    endpoint = far(
        Calls((("handoff_to", {"name": "prices", "reason": "asked"}),)), "Prices here, hello.", "Four."
    )
    caller = ASKED.waits_for_agent().says("What is a loaf?").waits_for_agent().hangs_up()
    rung = call(endpoint, caller, agent(handoffs={"prices": colleague}))
    assert rung.outcome.ok
    first, *_, last = [
        event["session"] for event in endpoint.of("session.update") if "tools" in event["session"]
    ]
    assert "You answer for a bakery." in first["instructions"]
    assert "You know the prices." in last["instructions"]
    assert "price_of" in [each["name"] for each in last["tools"]]


def test_keys_are_told_to_the_engine_as_words() -> None:
    endpoint = far("Four, five, six it is.")
    caller = Caller().waits_for_agent().presses("456#").waits_for_agent().hangs_up()
    rung = call(endpoint, caller)
    assert rung.outcome.ok
    assert len(rung.said("user")) == 1
    assert "456" in rung.said("user")[0].replace(" ", "")
    (session,) = endpoint.sessions
    assert rung.said("user")[0] in [item.text for item in session.items if item.role == "user"]
    assert endpoint.of("input_audio_buffer.commit") == []


def test_a_session_that_is_lost_between_turns_is_replaced_by_one_that_remembers() -> None:
    endpoint = far("We open at eight.", "At six.")
    caller = ASKED.waits_for_agent().waits(3.0).says("And when do you close?").waits_for_agent().hangs_up()

    async def kill(_: Any) -> None:
        await trio.sleep(8.0)
        await endpoint.sessions[0].kill()

    rung = call(endpoint, caller, on_call=kill)
    assert rung.outcome.ok
    assert len(endpoint.sessions) == 2
    assert [item.text for item in endpoint.sessions[1].items[:3]] == [
        "Hello, this is the desk.",
        "When are you open?",
        "We open at eight.",
    ]
    assert rung.said("assistant")[1:] == ["We open at eight.", "At six."]
    assert rung.said("user") == ["When are you open?", "And when do you close?"]


def test_a_session_that_is_lost_before_its_answer_is_asked_again() -> None:
    endpoint = far(Dies("", 0), "We open at eight.")
    rung = call(endpoint, ASKED.waits_for_agent(timeout=40).hangs_up())
    assert rung.outcome.ok
    assert len(endpoint.sessions) == 2
    assert rung.said("assistant")[-1] == "We open at eight."


def test_a_session_that_is_lost_in_the_middle_of_its_answer_goes_on() -> None:
    endpoint = far(Dies(LONG, 8), "Eight in the morning.")
    rung = call(endpoint, ASKED.waits_for_agent(timeout=40).hangs_up())
    assert rung.outcome.ok
    assert rung.said("assistant")[-1] == "Eight in the morning."
    assert len(endpoint.sessions) == 2


def test_an_engine_that_cannot_be_had_ends_the_call() -> None:
    endpoint = far(refuses="invalid_api_key")
    rung = call(endpoint, Caller().waits_for_hang_up(timeout=60))
    assert rung.result.outcome == "failed"
    assert rung.result.reason == "engine_failed"
    assert len(endpoint.sessions) == 1, "a wrong key does not become right by asking again"


def test_an_engine_that_always_breaks_ends_the_call() -> None:
    endpoint = far(refuses="server_error")
    rung = call(endpoint, Caller().waits_for_hang_up(timeout=60))
    assert rung.result.reason == "engine_failed"
    assert 1 < len(endpoint.sessions) < 10


def test_a_model_that_fails_is_excused() -> None:
    endpoint = far(Fails(), "We open at eight.")
    caller = ASKED.waits_for_agent().says("When are you open?").waits_for_agent().hangs_up()
    rung = call(endpoint, caller, agent(llm_error_message="One moment, please."))
    assert rung.outcome.ok
    assert rung.said("assistant")[1:] == ["One moment, please.", "We open at eight."]


def test_a_voice_says_the_fixed_words_where_there_is_one() -> None:
    endpoint = far("We open at eight.")
    rung = call(endpoint, ASKED.waits_for_agent().hangs_up(), agent(tts=ScriptedTTS()))
    assert rung.outcome.ok
    assert rung.said("assistant")[0] == "Hello, this is the desk."
    assert len(endpoint.of("response.create")) == 1


def test_a_far_end_that_takes_no_g711_gets_pcm() -> None:
    endpoint = far("We open at eight.", formats=("audio/pcm",))
    with endpoint.reached():
        fresh = OpenAIRealtime(api_key="sk-test")

        async def main() -> Rung:
            return await ring_async(agent(engine=fresh), ASKED.waits_for_agent().hangs_up())

        rung = run_virtual(main, seed=1)
    assert rung.outcome.ok
    (session,) = endpoint.sessions
    formats = [event["session"]["audio"]["input"]["format"] for event in session.received[:2]]
    assert formats == [{"type": "audio/pcmu"}, {"type": "audio/pcm", "rate": 24000}]
    assert session.sound_bytes > 48_000, "a second of speech at 24 kHz"
    assert rung.said("assistant")[-1] == "We open at eight."


def test_a_far_end_that_hears_nothing_of_g711_gets_pcm_in_the_next_session() -> None:
    endpoint = far("We open at eight.", deaf=True)
    with endpoint.reached():
        fresh = OpenAIRealtime(api_key="sk-test")

        async def main() -> Rung:
            return await ring_async(agent(engine=fresh), ASKED.waits_for_agent(timeout=40).hangs_up())

        rung = run_virtual(main, seed=1)
    assert [session.config["audio"]["input"]["format"]["type"] for session in endpoint.sessions] == [
        "audio/pcmu",
        "audio/pcm",
    ]
    assert endpoint.sessions[1].sound_bytes > 48_000, "the question is heard again"
    assert rung.outcome.ok


def test_the_callers_last_words_are_in_the_history_though_they_hung_up() -> None:
    rung = call(far(), Caller().waits_for_agent().says("Never mind, goodbye.").hangs_up())
    assert rung.said("user") == ["Never mind, goodbye."]


def test_what_was_understood_is_told_to_listeners() -> None:
    rung = call(far("We open at eight."), ASKED.waits_for_agent().hangs_up())
    told = [(event.role, event.text) for event in rung.of(TranscriptHeard) if event.is_final]
    assert ("user", "When are you open?") in told
    assert ("assistant", "We open at eight.") in told


def test_two_calls_share_the_settings_and_nothing_else() -> None:
    endpoint = far(pace=0.05)

    async def main() -> list[str]:
        heard: list[str] = []

        async def one(session: Any, caller: Caller, number: str) -> None:
            outcome = await twilio(number).call(MemoryLine(session.app, URL), caller)
            heard.append(outcome.heard)

        async with patter().session(agent(), port=None) as session, trio.open_nursery() as nursery:
            nursery.start_soon(one, session, Caller().waits(1.0).hangs_up(), "+15557654321")
            nursery.start_soon(one, session, ASKED.waits_for_agent().hangs_up(), "+15557654322")
        return heard

    with endpoint.reached():
        heard = run_virtual(main, seed=1)
    assert len(endpoint.sessions) == 2
    assert "Hello, this is the desk. Yes, of course." in heard


def test_a_tool_that_takes_long_is_excused_by_the_engines_own_voice() -> None:
    @tool(reassurance={"message": "Still looking.", "after_ms": 500})
    async def price_of(what: str) -> str:
        """Says what something costs."""
        await trio.sleep(3)
        return "four"

    endpoint = far(Calls((("price_of", {"what": "loaf"}),), "Let me look."), "It is four.")
    caller = Caller().waits_for_agent().says("What is a loaf?").waits_for_agent(quiet=3.0).hangs_up()
    rung = call(endpoint, caller, agent(tools=[price_of]))
    assert rung.outcome.ok
    assert rung.outcome.heard.endswith("Let me look. Still looking. It is four.")
    assert rung.turn_kinds == ["greeting", "reply"]


def test_what_the_agents_side_says_in_the_middle_of_an_answer_comes_behind_it() -> None:
    async def interject(running: Any) -> None:
        await trio.sleep(6.0)
        await running.say("By the way, we have buns.")

    endpoint = far("We open at eight in the morning.")
    rung = call(endpoint, ASKED.waits_for_agent(quiet=2.0).hangs_up(), on_call=interject)
    assert rung.outcome.ok
    assert rung.outcome.heard.endswith("We open at eight in the morning. By the way, we have buns.")


def test_a_caller_on_hold_is_answered_when_they_are_taken_back() -> None:
    async def hold(running: Any) -> None:
        await trio.sleep(5.6)
        await running.hold()
        await trio.sleep(3)
        await running.resume()

    endpoint = far(LONG, "As I said, at eight.")
    rung = call(endpoint, ASKED.waits_for_agent(quiet=4.0, timeout=40).hangs_up(), on_call=hold)
    assert rung.outcome.ok
    assert len(endpoint.of("conversation.item.truncate")) == 1
    assert rung.said("assistant")[-1] == "As I said, at eight.", "the engine goes on by itself"
    assert GO_ON in [item.text for item in endpoint.sessions[0].items]


def test_a_long_noise_that_takes_the_floor_is_answered_by_the_engine() -> None:
    endpoint = far(LONG, "Sorry, I did not get that.")
    caller = (
        ASKED.waits_until(lambda ear: "Monday" in ear.text())
        .coughs(0.8)
        .waits_for_agent(quiet=2.0)
        .hangs_up()
    )
    rung = call(endpoint, caller)
    assert rung.outcome.ok
    assert len(rung.floors_taken) == 1
    assert rung.said("assistant")[-1] == "Sorry, I did not get that."
    assert rung.said("user") == ["When are you open?"], "there were no words in it"


def test_an_engine_that_says_nothing_to_a_noise_lets_the_agent_go_on() -> None:
    endpoint = far(LONG, Calls(()))
    caller = (
        ASKED.waits_until(lambda ear: "Monday" in ear.text())
        .coughs(0.8)
        .waits_for_agent(quiet=2.0)
        .hangs_up()
    )
    rung = call(endpoint, caller)
    assert " ".join(rung.said("assistant")[1:]) == LONG


def test_a_cough_and_then_a_question_are_heard_as_one_sound() -> None:
    endpoint = far(LONG, "Four.")
    caller = (
        ASKED.waits_until(lambda ear: "open" in ear.text())
        .coughs(0.15)
        .waits(0.5)
        .says("What does a loaf cost?")
        .waits_for_agent()
        .hangs_up()
    )
    rung = call(endpoint, caller)
    assert rung.outcome.ok
    assert rung.said("user") == ["When are you open?", "What does a loaf cost?"]
    assert rung.said("assistant")[-1] == "Four."


def test_a_greeting_that_must_be_heard_is_and_what_was_said_over_it_is_answered() -> None:
    endpoint = far("We open at eight.")
    caller = Caller().barges_in("When do you open?", after=1.0).waits_for_agent().hangs_up()
    rung = call(endpoint, caller, agent(first_message=LONG, first_message_interruptible=False))
    assert rung.outcome.ok
    assert rung.floors_taken == []
    assert rung.outcome.heard == f"{LONG} We open at eight."
    assert rung.said("user") == ["When do you open?"]


def test_a_call_on_an_engine_is_recorded(tmp_path: Any) -> None:
    rung = call(far(), ASKED.waits_for_agent().hangs_up(), agent(local_recording=tmp_path))
    assert rung.result.recording_path is not None
    assert rung.outcome.ok


def test_metrics_tell_of_the_engine() -> None:
    rung = call(far("We open at eight."), ASKED.waits_for_agent().hangs_up())
    reply = rung.result.turns[-1]
    assert reply.user_text == "When are you open?"
    assert reply.agent_text == "We open at eight."
    assert (reply.usage.requests, reply.usage.input_tokens, reply.usage.output_tokens) == (1, 20, 10)
    assert reply.tts_characters == 0, "no voice was asked"


def test_a_sentence_that_a_guardrail_blocks_is_never_heard() -> None:
    rails = [Guardrail("prices", blocked_terms=["four"], replacement="I cannot say that.")]
    endpoint = far("We have loaves. One is four.", "We open at eight.")
    caller = ASKED.waits_for_agent().says("When do you open?").waits_for_agent().hangs_up()
    rung = call(endpoint, caller, agent(guardrails=rails))
    assert rung.outcome.ok
    assert rung.said("assistant")[1:] == ["I cannot say that.", "We open at eight."]
    assert "four" not in rung.outcome.heard
    blocked = [item for item in endpoint.sessions[0].items if item.heard_ms == 0]
    assert [item.text for item in blocked] == ["We have loaves. One is four."], "the engine forgets it too"
    assert rung.result.history[2].unheard == "", "it is not remembered as something still to be said"


@pytest.mark.parametrize("after", [0.4 + 0.55 * step for step in range(10)])
def test_wherever_the_caller_interrupts_history_is_within_a_word_of_their_ear(after: float) -> None:
    endpoint = far(LONG, "A loaf is four.", pace=0.1)
    caller = ASKED.barges_in("Wait, what does a loaf cost?", after=after).waits_for_agent().hangs_up()

    async def main() -> Rung:
        return await ring_async(agent(), caller)

    with endpoint.reached():
        rung = run_virtual(main, seed=1)
    assert rung.outcome.ok
    assert rung.outcome.frames_after_clear == 0
    assert rung.tasks_left == 0
    assert abs(len(heard_words(rung)) - len(rung.outcome.heard.split())) <= 1
    cut = rung.result.history[2]
    assert " ".join(filter(None, [cut.text, cut.unheard])) in (LONG, LONG[: len(cut.text + cut.unheard) + 1])


def test_a_hook_before_the_recogniser_stands_before_the_engine() -> None:
    def silence(audio: bytes) -> bytes:
        return bytes(len(audio))

    endpoint = far("I cannot hear you.")
    caller = ASKED.waits_for_agent().hangs_up()
    rung = call(endpoint, caller, agent(hooks=PipelineHooks(before_send_to_stt=silence)))
    assert rung.said("user") == []
    assert rung.said("assistant")[-1] == "I cannot hear you."


# --- settings -----------------------------------------------------------------------------------------------


def test_a_model_and_a_recogniser_beside_an_engine_are_not_used_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    who = agent(llm=ScriptedLLM(["Never."]), stt=ScriptedSTT())
    assert who.llm is None
    assert who.stt is None
    rung = call(far("We open at eight."), ASKED.waits_for_agent().hangs_up(), who)
    assert rung.said("assistant")[-1] == "We open at eight."
    said = [record.message for record in caplog.records if "is not used" in record.message]
    assert said == ["llm and stt is not used: the engine hears and thinks by itself"]


@pytest.mark.parametrize(
    "settings",
    [
        {"on_message": lambda event: "x"},
        {"text_transforms": [str.upper]},
        {"handoffs": {"x": Agent(system_prompt="y", text_transforms=[str.upper])}},
        {"barge_in_strategies": [MinWordsStrategy(min_words=2)]},
        {"preemptive_generation": True},
        {"hedge_after_ms": 500},
        {"compaction": CompactionConfig()},
        {"long_turn_message": "Wait."},
        {"hooks": PipelineHooks(after_transcribe=lambda text: text)},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_what_works_on_words_is_refused_when_it_is_written_down(settings: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        agent(**settings)


def test_an_engine_needs_ears_for_speech_and_nothing_else() -> None:
    who = Agent(system_prompt="x", engine=ENGINE)
    with pytest.raises(PatterConfigError, match="vad"):
        who.require_pipeline()
    agent().require_pipeline()
    with pytest.raises(PatterConfigError, match="engine"):
        agent(engine="openai")
