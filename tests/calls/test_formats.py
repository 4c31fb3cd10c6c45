"""Calls on lines of every format: what is heard, said, cut and counted is the same on all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trio

from patter_trio._actors.channels import LossySender, open_lossy_channel
from patter_trio._actors.hear import HearingCounts, hear
from patter_trio._audio import g711
from patter_trio.events import AudioFormat, AudioReceived, UserSpeechEnded, UserSpeechStarted
from patter_trio.testing import ScriptedLLM, ScriptedVAD

from .plain_line import FORMATS, Exchange, KnowingSTT, NoiseTTS, PlainWire, name_of, plain_call
from .ring import agent

every_format = pytest.mark.parametrize("audio", FORMATS, ids=name_of)


async def listens_and_asks(line: Exchange) -> None:
    await trio.sleep(3.0)
    line.says(1.0)
    await trio.sleep(4.0)
    line.hangs_up()


@every_format
def test_a_voice_that_speaks_the_lines_format_passes_through_unchanged(audio: AudioFormat) -> None:
    tts = NoiseTTS(audio)
    who = agent(ScriptedLLM(["Yes."]), stt=KnowingSTT(["hello"]), tts=tts, first_message="Good morning.")
    call = plain_call(who, audio, listens_and_asks)
    for sentence in ("Good morning.", "Yes."):
        assert tts.sound(sentence) in bytes(call.line.heard)
    assert [entry.text for entry in call.result.history] == ["Good morning.", "hello", "Yes."]
    greeting, reply = call.result.turns
    assert greeting.audio_heard_seconds == pytest.approx(13 * 0.05)
    assert reply.audio_heard_seconds == pytest.approx(4 * 0.05)


@every_format
def test_the_recogniser_gets_the_lines_own_bytes(audio: AudioFormat) -> None:
    stt = KnowingSTT(["hello"])
    call = plain_call(agent(stt=stt, tts=NoiseTTS(audio)), audio, listens_and_asks)
    assert stt.audio == audio
    assert bytes(stt.heard) == bytes(call.line.spoken[: len(stt.heard)])
    assert audio.seconds_in(len(stt.heard)) > 6.9


@every_format
def test_an_interrupted_agent_is_remembered_as_far_as_it_was_heard(audio: AudioFormat) -> None:
    text = "one two three four five six seven eight nine ten eleven twelve"

    async def interrupts(line: Exchange) -> None:
        await trio.sleep(1.5)
        line.says(1.0)
        await trio.sleep(5.0)
        line.hangs_up()

    tts = NoiseTTS(audio)
    who = agent(ScriptedLLM(["Yes."]), stt=KnowingSTT(["stop"]), tts=tts, first_message=text)
    call = plain_call(who, audio, interrupts)
    cut = call.result.turns[0]
    assert cut.interrupted
    assert len(call.line.clears) == 1
    # 62 letters last 3.1 s; the gate closes 40 ms after the onset at 1.5 s, the carrier held 100 ms by then.
    assert cut.audio_heard_seconds == pytest.approx(1.6, abs=0.15)
    whole, heard = tts.sound(text), bytes(call.line.heard)
    began = heard.index(whole[: call.line.frame])
    played = next(n for n in range(len(whole)) if heard[began + n] != whole[n])
    assert audio.seconds_in(played) == pytest.approx(cut.audio_heard_seconds, abs=0.021)
    assert cut.agent_text == text[: len(cut.agent_text)]
    assert whole[played : played + audio.bytes_for(0.2)] not in heard
    assert tts.sound("Yes.") in heard


@every_format
def test_a_voice_in_another_format_sounds_the_same(audio: AudioFormat) -> None:
    """A tone of 440 Hz at 24 kHz comes out as a tone of 440 Hz, as long and as loud."""

    class Tone(NoiseTTS):
        def sound(self, sentence: str) -> bytes:
            turns = 2 * math.pi * 440 * np.arange(24000) / 24000
            return bytes(np.rint(10000 * np.sin(turns)).astype("<i2"))

    who = agent(stt=KnowingSTT([]), tts=Tone(AudioFormat("linear16", 24000)), first_message="Tone.")

    async def listens(line: Exchange) -> None:
        await trio.sleep(3.0)
        line.hangs_up()

    call = plain_call(who, audio, listens)
    heard = np.frombuffer(g711.decode(bytes(call.line.heard), audio), "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.fft.rfftfreq(len(heard), 1 / audio.sample_rate)[spectrum.argmax()] == pytest.approx(440, abs=1)
    assert math.sqrt((heard**2).sum() / audio.sample_rate) == pytest.approx(10000 / math.sqrt(2), rel=0.02)
    assert call.result.turns[0].audio_heard_seconds == pytest.approx(1.0, abs=0.001)


@every_format
def test_the_detector_hears_the_caller_at_the_lines_own_rate(audio: AudioFormat) -> None:
    call = plain_call(
        agent(stt=KnowingSTT(["hello"]), tts=NoiseTTS(audio), vad=ScriptedVAD()), audio, listens_and_asks
    )
    (started,) = [event for event in call.events if isinstance(event, UserSpeechStarted)]
    (ended,) = [event for event in call.events if isinstance(event, UserSpeechEnded)]
    assert started.audio_offset_ms == pytest.approx(3000, abs=40)
    assert ended.audio_offset_ms == pytest.approx(4000, abs=40)


async def test_half_a_sample_is_counted_and_tears_nothing() -> None:
    line = Exchange(AudioFormat("linear16", 16000))
    messages = ["media 0.00 " + "0102" * 320 + "03", "media 0.02 " + "0102" * 320, "media 0.04 01", "stop"]

    async def receive() -> str:
        await trio.lowlevel.checkpoint()
        return messages.pop(0)

    line.receive = receive  # type: ignore[method-assign]
    frames: LossySender[AudioReceived]
    frames, inlet = open_lossy_channel(10)
    counts = HearingCounts()
    how = await hear(line, PlainWire(line.audio), frames, lambda name: True, lambda digit: None, counts)
    assert how == "stopped"
    assert b"".join([frame.audio async for frame in inlet]) == b"\1\2" * 640
    assert counts.malformed == 2
    assert "half a sample" in counts.last_error
