"""A sound behind a whole call: heard with and without speech, counted as nobody's words."""

from __future__ import annotations

import logging
import math
from random import Random
from typing import Any

import attrs
import numpy as np
import pytest
import trio
from hypothesis import given

from patter_trio import PatterConfigError
from patter_trio._audio import g711
from patter_trio._audio.background import AudioConfig, BackgroundAudioPlayer
from patter_trio._audio.clips import BuiltinAudioClip
from patter_trio.events import MULAW_8K, AudioFormat
from patter_trio.testing import Caller, LineConditions, ScriptedLLM

from ..properties.promises import breaches
from ..properties.scenarios import Focus, draw_scenario
from ..properties.staging import play
from ..properties.test_calls import random_calls, seeds
from .plain_line import FORMATS, Exchange, KnowingSTT, NoiseTTS, name_of, plain_call
from .ring import LONG, agent, ring

# Softer than a step of the loudest µ-law segment: words of word sound stay readable over it.
SOFT = 300


def hum(loud: int = SOFT, **settings: Any) -> BackgroundAudioPlayer:
    """A tone of 500 Hz."""
    turns = 2 * math.pi * 500 * np.arange(8000) / 8000
    pcm = np.rint(loud * np.sin(turns)).astype("<i2").tobytes()
    return BackgroundAudioPlayer(
        AudioConfig(pcm, sample_rate=8000), **{"volume": 1.0, "loop": True, "duck_db": 0.0, **settings}
    )


def levels(mulaw: bytes) -> list[float]:
    """The level of each frame of 20 ms."""
    heard = np.frombuffer(g711.decode(mulaw, MULAW_8K), "<i2").astype(float)
    return [float(level) for level in np.sqrt((heard.reshape(-1, 160) ** 2).mean(axis=1))]


def test_the_caller_hears_it_before_between_and_behind_the_words() -> None:
    caller = Caller().waits_for_agent().says("Do you bake on Sunday?").waits_for_agent().waits(1).hangs_up()
    rung = ring(agent(background_audio=hum()), caller)
    frames = levels(rung.outcome.ear.agent_mulaw)
    # Its first words wait for the connection and fade in; from then on no frame is silent.
    assert min(frames[20:]) > SOFT / math.sqrt(2) * 0.9
    assert rung.outcome.heard == "Hello, this is the desk. Yes, of course."


def test_silence_behind_a_call_without_it() -> None:
    caller = Caller().waits_for_agent().waits(1).hangs_up()
    assert min(levels(ring(agent(), caller).outcome.ear.agent_mulaw)) == 0


def test_without_it_only_the_words_are_sent_byte_for_byte() -> None:
    async def listens(line: Exchange) -> None:
        await trio.sleep(3.0)
        line.hangs_up()

    tts = NoiseTTS(MULAW_8K)
    call = plain_call(agent(stt=KnowingSTT([]), tts=tts, first_message="Good day"), MULAW_8K, listens)
    assert bytes(call.line.sent) == tts.sound("Good day")


def test_it_is_softer_under_speech_and_louder_again_after_it() -> None:
    who = agent(
        ScriptedLLM(["Yes."]),
        stt=KnowingSTT([]),
        tts=_SilentTTS(MULAW_8K),
        first_message="Twenty letters here!",
        background_audio=hum(8000, volume=0.5, duck_db=-20.0),
    )

    async def listens(line: Exchange) -> None:
        await trio.sleep(3.0)
        line.hangs_up()

    call = plain_call(who, MULAW_8K, listens)
    found = levels(bytes(call.line.heard))
    loud, soft = 4000 / math.sqrt(2), 400 / math.sqrt(2)
    # One second of (silent) speech, then back to full.
    assert sum(level == pytest.approx(soft, rel=0.1) for level in found) == pytest.approx(50, abs=3)
    assert found[-20] == pytest.approx(loud, rel=0.05)


class _SilentTTS(NoiseTTS):
    def sound(self, sentence: str) -> bytes:
        return self.audio.silence * self.audio.bytes_for(0.05 * len(sentence))


@pytest.mark.parametrize("audio", FORMATS, ids=name_of)
def test_it_is_paced_on_every_line_and_the_lead_stays_bounded(audio: AudioFormat) -> None:
    async def listens(line: Exchange) -> None:
        await trio.sleep(4.0)
        line.hangs_up()

    who = agent(stt=KnowingSTT([]), tts=NoiseTTS(audio), background_audio=hum(8000))
    call = plain_call(who, audio, listens)
    assert call.line.lead <= 0.12
    heard = np.frombuffer(g711.decode(bytes(call.line.heard), audio), "<i2").astype(float)
    frames = np.sqrt((heard.reshape(-1, audio.sample_rate // 50) ** 2).mean(axis=1))
    assert frames[20:-1].min() > 4000


def test_a_clear_drops_it_too_and_it_begins_anew() -> None:
    caller = Caller().barges_in("Stop it, please!", after=1.0).waits_for_agent().waits(1).hangs_up()
    rung = ring(agent(background_audio=hum(), first_message=LONG), caller)
    assert len(rung.floors_taken) == 1
    clear = rung.outcome.clears[0]
    frames = levels(rung.outcome.ear.agent_mulaw)
    behind = frames[round(clear / 0.02) + 3 :]
    assert min(behind) > SOFT / math.sqrt(2) * 0.9
    assert rung.outcome.marks


def test_it_has_no_marks_and_is_in_no_account() -> None:
    caller = Caller().waits_for_agent().waits(3.0).hangs_up()
    with_it, without = ring(agent(background_audio=hum()), caller), ring(agent(), caller)
    assert with_it.outcome.marks == without.outcome.marks
    (turn,), (plain,) = with_it.result.turns, without.result.turns
    assert turn.audio_sent_seconds == plain.audio_sent_seconds
    assert turn.audio_heard_seconds == plain.audio_heard_seconds
    assert turn.agent_text == plain.agent_text


def test_a_cough_pauses_the_words_and_not_the_background() -> None:
    caller = (
        Caller()
        .waits_until(lambda ear: ear.agent_since is not None and ear.now - ear.agent_since > 1.0)
        .coughs(0.2)
        .waits_for_agent()
        .hangs_up()
    )
    rung = ring(agent(background_audio=hum(), first_message=LONG), caller)
    assert len(rung.false_alarms) == 1
    assert min(levels(rung.outcome.ear.agent_mulaw)[20:]) > SOFT / math.sqrt(2) * 0.9


def test_a_sound_that_does_not_loop_ends_and_the_call_goes_on() -> None:
    caller = Caller().waits_for_agent().says("Do you bake?").waits_for_agent().waits(1).hangs_up()
    rung = ring(agent(background_audio=hum(loop=False)), caller)
    assert levels(rung.outcome.ear.agent_mulaw)[-10:] == [0.0] * 10
    assert rung.outcome.heard == "Hello, this is the desk. Yes, of course."


def test_the_first_word_waits_no_longer_than_the_backgrounds_lead() -> None:
    caller = Caller().waits_for_agent().hangs_up()
    began = [
        ring(agent(background_audio=sound), caller).outcome.ear.first_agent_sound(0.0)
        for sound in (None, hum())
    ]
    assert None not in began
    assert 0 <= began[1] - began[0] <= 0.07  # type: ignore[operator]


@pytest.mark.parametrize("delay", [0, 150])
def test_what_was_heard_is_known_over_a_slow_line(delay: int) -> None:
    caller = Caller().barges_in("Stop it, please!", after=1.7).waits_for_agent().waits(1).hangs_up()
    rung = ring(
        agent(background_audio=hum(), first_message=LONG),
        caller,
        LineConditions(one_way_delay_ms=delay, jitter_ms=20),
    )
    assert len(rung.floors_taken) == 1


@random_calls(80)
@given(seeds)
def test_every_promise_is_kept_with_a_background(seed: int) -> None:
    logging.getLogger("patter_trio").setLevel(logging.CRITICAL)
    try:
        scenario = draw_scenario(Random(seed), Focus())
        scenario = attrs.evolve(scenario, agent={**scenario.agent, "background_audio": hum()})
        found = breaches(play(scenario))
    finally:
        logging.getLogger("patter_trio").setLevel(logging.NOTSET)
    assert not found, "\n".join([*found, repr(scenario)])


def test_what_is_no_background_is_refused() -> None:
    with pytest.raises(PatterConfigError, match="BackgroundAudioPlayer"):
        agent(background_audio=BuiltinAudioClip.ROOM_TONE)
