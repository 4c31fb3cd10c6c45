"""Hooks around a recogniser and a voice in whole calls: the stages beside them notice nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs

from patter_trio._call.asking import Asking
from patter_trio._call.hooking import CallHooks
from patter_trio._call.hooks import PipelineHooks
from patter_trio._turns.history import History
from patter_trio.abc import Voice
from patter_trio.events import AudioFormat, CallInfo
from patter_trio.testing import Caller, ScriptedLLM, ScriptedSTT, ScriptedTTS

from .ring import Rung, agent, ring

TALK = Caller().waits_for_agent().says("When do you open?").waits_for_agent().hangs_up()


@attrs.frozen
class HookedTTS:
    """A scripted voice behind hooks."""

    hooks: CallHooks
    name: str = "hooked"

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[Voice]:
        async with ScriptedTTS().open_voice(audio, call) as voice:
            yield self.hooks.around_voice(voice)


def call_with(**hooks: Any) -> Rung:
    hooking = CallHooks(PipelineHooks(**hooks), CallInfo("CA1"), History(), Asking("CA1"))
    who = attrs.evolve(
        agent(ScriptedLLM(["We open at eight."])),
        stt=hooking.around_recogniser(ScriptedSTT()),
        tts=HookedTTS(hooking),
    )
    return ring(who, TALK)


def test_a_call_through_hooks_that_change_nothing_is_the_same_call() -> None:
    asked: list[str] = []

    async def listen(audio: bytes) -> bytes:
        asked.append("before_stt")
        return audio

    def speak(audio: bytes, text: str) -> bytes:
        asked.append(text)
        return audio

    rung = call_with(before_stt=listen, after_tts=speak)
    assert rung.outcome.ok
    assert rung.said("user") == ["When do you open?"]
    assert rung.said("assistant") == ["Hello, this is the desk.", "We open at eight."]
    assert set(asked) == {"before_stt", "Hello, this is the desk.", "We open at eight."}
    assert rung.outcome.heard == "Hello, this is the desk. We open at eight."


def test_a_caller_whose_sound_is_dropped_is_not_understood() -> None:
    rung = call_with(before_stt=lambda audio: None)
    assert rung.said("user") == []
