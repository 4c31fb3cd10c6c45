"""Calls on an engine: the same turns, barge-in, history and endings as any other call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from patter_trio import Agent, tool
from patter_trio.engines import OpenAIRealtime
from patter_trio.events import AgentSpeechEnded, TranscriptHeard, UtteranceOvertaken
from patter_trio.testing import Caller, ScriptedTTS, ScriptedVAD

from ..conformance.realtime_endpoint import Answer, Calls, Dies, Fails, RealtimeEndpoint
from .ring import LONG, Rung, patter, ring

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
