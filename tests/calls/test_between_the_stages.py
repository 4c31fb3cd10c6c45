"""Hooks, guardrails and transforms, set on an agent and noticed by a caller."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from patter_trio import Guardrail, PipelineHooks, filter_for_tts
from patter_trio.testing import Caller, Reply, ScriptedLLM, ScriptedTTS, ToolUse

from .ring import Rung, agent, ring

ASKED = Caller().waits_for_agent().says("When do you open?").waits_for_agent(quiet=1.5).hangs_up()


def answered(reply: str = "We open at eight. Come early.", **settings: Any) -> tuple[Rung, ScriptedLLM]:
    llm = ScriptedLLM([reply])
    return ring(agent(llm, **settings), ASKED), llm


def test_after_transcribe_rewords_the_question_or_skips_the_turn() -> None:
    rung, llm = answered(hooks=PipelineHooks(after_transcribe=lambda text, ctx: text.upper()))
    assert rung.said("user") == ["WHEN DO YOU OPEN?"]
    assert llm.requests[0].messages[-1]["content"] == "WHEN DO YOU OPEN?"
    rung, llm = answered(hooks=PipelineHooks(after_stt=lambda text, ctx: None))
    assert llm.requests == []
    assert rung.said("user") == []


def test_before_llm_adds_what_the_model_should_know() -> None:
    seen: list[Any] = []

    async def look_up(messages: list[Any], ctx: Any) -> list[Any]:
        await trio.sleep(0.1)
        seen.append(ctx)
        return [messages[0], {"role": "system", "content": "It is Sunday."}, *messages[1:]]

    rung, llm = answered(hooks=PipelineHooks(before_llm=look_up))
    assert llm.requests[0].messages[1] == {"role": "system", "content": "It is Sunday."}
    assert seen[0].caller == "+15557654321"
    assert seen[0].call_id == rung.outcome.call_sid
    assert [entry["text"] for entry in seen[0].history] == ["Hello, this is the desk."]


def test_the_three_tiers_of_after_llm_change_what_is_heard() -> None:
    tiers = {
        "on_chunk": lambda chunk: chunk.replace("eight", "nine"),
        "on_sentence": lambda sentence, ctx: "" if "early" in sentence else None,
    }
    rung, _ = answered(
        "We open at eight on all days. Come early if you can please.", hooks=PipelineHooks(after_llm=tiers)
    )
    assert rung.said("assistant")[-1] == "We open at nine on all days."
    whole: list[str] = []

    async def on_response(text: str, ctx: Any) -> str:
        whole.append(text)
        return "Another answer."

    rung, _ = answered(hooks=PipelineHooks(after_llm={"on_response": on_response}))
    assert whole == ["We open at eight. Come early."]
    assert rung.said("assistant")[-1] == "Another answer."


def test_before_and_after_synthesize_change_words_and_sound() -> None:
    sounds: list[tuple[int, str]] = []

    def hear(audio: bytes, text: str, ctx: Any) -> bytes:
        sounds.append((len(audio), text))
        return audio

    hooks = PipelineHooks(
        before_synthesize=lambda text, ctx: text.replace("eight", "8"), after_synthesize=hear
    )
    rung, _ = answered(hooks=hooks)
    assert rung.said("assistant")[-1] == "We open at 8. Come early."
    assert all(text for _, text in sounds)


def test_before_send_to_stt_makes_the_recogniser_deaf_to_what_is_dropped() -> None:
    _, llm = answered(hooks=PipelineHooks(before_send_to_stt=lambda audio, ctx: None))
    assert llm.requests == []


def test_a_hook_that_fails_or_hangs_changes_nothing_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def hangs(messages: Any, ctx: Any) -> Any:
        await trio.sleep_forever()

    def fails(text: str, ctx: Any) -> str:
        raise RuntimeError("not my day")

    hooks = PipelineHooks(before_llm=hangs, after_transcribe=fails, before_tts=fails)
    llm = ScriptedLLM(["We open at eight."])
    caller = Caller().waits_for_agent().says("When?").waits_for_agent(quiet=2).says("And today?")
    rung = ring(agent(llm, hooks=hooks), caller.waits_for_agent(quiet=2).hangs_up())
    assert rung.said("assistant")[1:] == ["We open at eight.", "We open at eight."]
    assert caplog.text.count("the hook after_transcribe") == 1
    assert caplog.text.count("the hook before_llm") == 1


def test_a_guardrail_is_spoken_in_place_of_what_is_never_said() -> None:
    rail = Guardrail("prices", blocked_terms=["dollars"], replacement="Please ask at the counter.")
    rung, _ = answered("A loaf is four dollars today. We open at eight.", guardrails=[rail])
    assert rung.said("assistant")[-1] == "Please ask at the counter. We open at eight."
    assert "dollars" not in rung.outcome.heard
    assert "dollars" not in str(rung.result.history)


def test_fixed_words_are_the_developers_own_and_pass_the_guardrails() -> None:
    rail = Guardrail("desk", blocked_terms=["desk"])
    rung, _ = answered(guardrails=[rail])
    assert rung.said("assistant")[0] == "Hello, this is the desk."


def test_transforms_are_applied_to_every_sentence() -> None:
    tts = ScriptedTTS()
    rung, _ = answered(
        "We *open* at eight.",
        text_transforms=[filter_for_tts, lambda text: text.replace("eight", "9")],
        tts=tts,
    )
    assert rung.said("assistant")[-1] == "We open at 9."
    assert "We open at 9." in tts.record.sentences


def test_guardrails_hold_for_what_is_said_before_a_tool() -> None:
    async def nothing() -> str:
        return "done"

    from patter_trio import tool

    llm = ScriptedLLM([Reply("Four dollars it is.", tools=[ToolUse("nothing")]), "Done."])
    rail = Guardrail("prices", blocked_terms=["dollars"], replacement="One moment.")
    rung = ring(agent(llm, guardrails=[rail], tools=[tool(nothing)]), ASKED)
    assert rung.outcome.heard.endswith("One moment. Done.")


def test_without_hooks_nothing_stands_between_the_stages() -> None:
    from patter_trio._call.asking import Asking
    from patter_trio._call.hooking import CallHooks
    from patter_trio._call.wording import wording
    from patter_trio._turns.history import History
    from patter_trio.events import CallInfo

    asking = Asking("CA")
    hooks = CallHooks(None, CallInfo("CA"), History(), asking)
    stt, voice, deltas = object(), object(), object()
    assert hooks.around_recogniser(stt) is stt  # type: ignore[arg-type]
    assert hooks.around_voice(voice) is voice  # type: ignore[arg-type]
    assert hooks.around_deltas(deltas) is deltas  # type: ignore[arg-type]
    assert wording(hooks, (), (), asking, written=True) is None


def test_sound_that_a_hook_discards_was_not_heard() -> None:
    hooks = PipelineHooks(after_synthesize=lambda audio, text: None if "early" in text else audio)
    rung, _ = answered("We open at eight on all days. Come early if you can please.", hooks=hooks)
    assert rung.said("assistant")[-1] == "We open at eight on all days."
    assert rung.result.history[-1].unheard == "Come early if you can please."
