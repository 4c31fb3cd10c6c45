"""What a turn that was cancelled tells of itself."""

from __future__ import annotations

import pytest

from patter_trio import CancelReport
from patter_trio.events import FloorTaken, TurnEnded
from patter_trio.testing import Caller, ScriptedLLM, ScriptedTTS

from .ring import LONG, Rung, agent, ring

GREETED = Caller().waits_for_agent()


def reports(rung: Rung) -> list[CancelReport]:
    return [turn.cancel for turn in rung.result.turns if turn.cancel is not None]


def test_a_turn_that_is_cut_while_it_speaks() -> None:
    caller = GREETED.says("When?").barges_in("And the price?", after=1.1).waits_for_agent().hangs_up()
    rung = ring(agent(ScriptedLLM([LONG, "Four."])), caller)
    (report,) = reports(rung)
    assert report.phase == "speaking"
    assert "play" in report.running
    assert set(report.stopped_ms) == set(report.running)
    assert all(0 <= ms <= report.cancel_ms for ms in report.stopped_ms.values())
    assert report.frames_unsent > 0
    assert LONG.endswith(report.text_unheard)
    assert report.text_unheard == rung.result.history[2].unheard
    (taken,) = rung.of(FloorTaken)
    assert taken.report == report


def test_a_turn_that_is_cut_while_it_thinks() -> None:
    caller = GREETED.says("Monday?").waits(0.9).says("No, Friday?").waits_for_agent().hangs_up()
    rung = ring(agent(ScriptedLLM(["Yes."], first_token_delay=2.0)), caller)
    (report,) = reports(rung)
    assert report.phase == "thinking"
    assert set(report.running) == {"generate", "synthesize", "play"}
    assert report.frames_unsent == 0
    assert report.text_unheard == ""


def test_a_filler_is_among_what_was_running() -> None:
    caller = GREETED.says("Monday?").waits(0.9).says("No, Friday?").waits_for_agent().hangs_up()
    llm = ScriptedLLM(["Yes."], first_token_delay=2.0)
    rung = ring(agent(llm, long_turn_message="One moment."), caller)
    assert "fill" in reports(rung)[0].running


def test_a_turn_that_was_heard_has_no_report() -> None:
    rung = ring(agent(), GREETED.says("Hello?").waits_for_agent().hangs_up())
    assert reports(rung) == []
    assert not any(event.metrics.cancel for event in rung.of(TurnEnded))


def test_a_caller_who_hangs_up_cancels_what_was_running_too() -> None:
    caller = GREETED.says("When?").waits_until(lambda ear: "Monday" in ear.text()).hangs_up()
    rung = ring(agent(ScriptedLLM([LONG]), tts=ScriptedTTS()), caller)
    (report,) = reports(rung)
    assert report.phase == "speaking"
    assert not rung.result.turns[-1].interrupted, "nobody took the floor"


def test_an_actor_that_is_slow_to_stop_is_named() -> None:
    import trio

    async def on_message(event: dict[str, str]) -> str:
        try:
            await trio.sleep(60)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.7)  # somebody's clean-up
        return "Never."

    caller = GREETED.says("Monday?").waits(0.9).says("No, Friday?").waits(3.0).hangs_up()
    rung = ring(agent(on_message=on_message), caller)
    report = reports(rung)[0]
    assert report.stopped_ms["generate"] == pytest.approx(700, abs=1)
    assert report.stopped_ms["play"] < 50
    assert report.cancel_ms == pytest.approx(700, abs=1)
