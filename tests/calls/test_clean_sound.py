"""What the caller's sound goes through before the detector and the recogniser hear it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import numpy as np
import pytest
import trio

from patter_trio import Agent, PatterConfigError
from patter_trio._actors.clean import clean
from patter_trio._audio import g711
from patter_trio._audio.inbound import AgcConfig, AutomaticGain, HighPass
from patter_trio.events import AudioFormat, AudioReceived, UserSpeechStarted
from patter_trio.testing import Caller, ScriptedVAD

from .plain_line import FORMATS, Exchange, KnowingSTT, NoiseTTS, PlainCall, name_of, plain_call
from .ring import agent, ring

LINEAR = AudioFormat("linear16", 16000)


@attrs.frozen
class Filter:
    """A filter made of a function, which counts how often it was opened."""

    function: Callable[[bytes], bytes]
    rates: list[int] = attrs.field(factory=list[int])

    def open_filter(self, sample_rate: int) -> Filter:
        self.rates.append(sample_rate)
        return self

    def process(self, pcm: bytes) -> bytes:
        return self.function(pcm)


async def asks(line: Exchange) -> None:
    await trio.sleep(2.0)
    line.says(1.0)
    await trio.sleep(3.0)
    line.hangs_up()


def heard_by(audio: AudioFormat, **settings: Any) -> tuple[PlainCall, KnowingSTT]:
    stt = KnowingSTT(["hello"])
    who = agent(stt=stt, tts=NoiseTTS(audio), vad=ScriptedVAD(), **settings)
    return plain_call(who, audio, asks), stt


def halved(pcm: bytes) -> bytes:
    return bytes((np.frombuffer(pcm, "<i2") // 2).astype("<i2"))


@pytest.mark.parametrize("audio", FORMATS, ids=name_of)
def test_the_recogniser_hears_what_the_filter_made_in_the_lines_format(audio: AudioFormat) -> None:
    call, stt = heard_by(audio, audio_filter=Filter(halved))
    spoken = g711.decode(bytes(call.line.spoken[: len(stt.heard)]), audio)
    assert bytes(stt.heard) == g711.encode(halved(spoken), audio)
    assert len(stt.heard) > audio.bytes_for(4)


def test_the_detector_hears_it_too() -> None:
    call, _ = heard_by(LINEAR, audio_filter=Filter(lambda pcm: bytes(len(pcm))))
    assert not [event for event in call.events if isinstance(event, UserSpeechStarted)]


def test_each_call_opens_its_filter_at_the_lines_rate() -> None:
    muffler = Filter(halved)
    heard_by(LINEAR, audio_filter=muffler)
    heard_by(AudioFormat("mulaw"), audio_filter=muffler)
    assert muffler.rates == [16000, 8000]


def test_without_filters_the_frames_are_the_very_same() -> None:
    frames = PlainFrames([])
    assert clean(frames, LINEAR, "call") is frames
    call, stt = heard_by(LINEAR)
    assert bytes(stt.heard) == bytes(call.line.spoken[: len(stt.heard)])


def test_rumble_goes_first_then_noise_then_the_level_is_evened() -> None:
    call, stt = heard_by(LINEAR, high_pass_hz=100, audio_filter=Filter(halved), agc=True)
    stages = (HighPass(100, 16000), Filter(halved), AutomaticGain(AgcConfig(), 16000))
    wanted = b""
    for at in range(0, len(stt.heard), 640):
        frame = bytes(call.line.spoken[at : at + 640])
        for stage in stages:
            frame = stage.process(frame)
        wanted += frame
    assert bytes(stt.heard) == wanted


def test_the_level_is_evened_as_it_was_asked() -> None:
    call, stt = heard_by(LINEAR, agc=AgcConfig(max_gain_db=3.0))
    stage = AutomaticGain(AgcConfig(max_gain_db=3.0), 16000)
    spoken = bytes(call.line.spoken[: len(stt.heard)])
    assert bytes(stt.heard) == b"".join(
        stage.process(spoken[at : at + 640]) for at in range(0, len(spoken), 640)
    )


def test_the_high_pass_is_where_it_was_asked() -> None:
    call, stt = heard_by(LINEAR, high_pass_hz=250.0)
    wanted = HighPass(250, 16000).process(bytes(call.line.spoken[: len(stt.heard)]))
    difference = np.frombuffer(bytes(stt.heard), "<i2").astype(int) - np.frombuffer(wanted, "<i2")
    assert np.abs(difference).max() <= 1


# --- filters that fail --------------------------------------------------------------------------------------


def breaks(pcm: bytes) -> bytes:
    raise ZeroDivisionError("the model has gone")


@pytest.mark.parametrize(
    ("function", "why"),
    [
        pytest.param(breaks, "the model has gone", id="raises"),
        pytest.param(lambda pcm: pcm[:-2], "638 bytes of 640", id="shorter"),
        pytest.param(lambda pcm: pcm + pcm, "1280 bytes of 640", id="longer"),
        pytest.param(lambda pcm: None, "NoneType", id="nothing"),
    ],
)
def test_a_filter_that_fails_is_left_out_with_one_warning(
    function: Callable[[bytes], bytes], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        call, stt = heard_by(LINEAR, audio_filter=Filter(function))
    assert bytes(stt.heard) == bytes(call.line.spoken[: len(stt.heard)])
    assert [entry.text for entry in call.result.history][-1] == "Yes, of course."
    (warning,) = [record.message for record in caplog.records if "without its filter" in record.message]
    assert why in warning
    assert "Filter" in warning


def test_a_filter_that_cannot_be_opened_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    class Licensed:
        def open_filter(self, sample_rate: int) -> Any:
            raise PatterConfigError(f"no licence for {sample_rate} Hz")

    with caplog.at_level(logging.WARNING):
        call, _ = heard_by(LINEAR, audio_filter=Licensed())
    assert call.result.outcome == "answered"
    assert "no licence for 16000 Hz" in caplog.text


def test_a_filter_that_fails_in_one_call_is_tried_again_in_the_next() -> None:
    failing = Filter(breaks)
    heard_by(LINEAR, audio_filter=failing)
    heard_by(LINEAR, audio_filter=failing)
    assert failing.rates == [16000, 16000]


# --- in a session -------------------------------------------------------------------------------------------


def test_a_filter_with_a_model_is_opened_once_for_the_session() -> None:
    opened: list[str] = []
    live = Filter(lambda pcm: pcm)

    class Model:
        @asynccontextmanager
        async def open(self) -> AsyncIterator[Filter]:
            opened.append("in")
            try:
                yield live
            finally:
                opened.append("out")

    rung = ring(agent(audio_filter=Model()), Caller().waits_for_agent().says("Hello?").waits_for_agent())
    assert rung.said("user") == ["Hello?"]
    assert opened == ["in", "out"]
    assert live.rates == [8000]


@pytest.mark.parametrize(
    "wrong",
    [
        {"high_pass_hz": 5},
        {"high_pass_hz": 3000},
        {"high_pass_hz": "low"},
        {"audio_filter": 7},
        {"audio_filter": Filter},
        {"agc": 3},
        {"agc": "on"},
    ],
)
def test_settings_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError, match=next(iter(wrong))):
        agent(**wrong)


def test_the_gain_can_be_left_off_in_words() -> None:
    assert Agent(system_prompt="", agc=False).agc is None
    assert Agent(system_prompt="", agc=True).agc == AgcConfig()


@attrs.frozen
class PlainFrames:
    """Frames that are there already."""

    frames: list[AudioReceived]

    def __aiter__(self) -> PlainFrames:
        return self

    async def __anext__(self) -> AudioReceived:
        await trio.lowlevel.checkpoint()
        if not self.frames:
            raise StopAsyncIteration
        return self.frames.pop(0)


@pytest.mark.parametrize("setting", [{"agc": True}, {"high_pass_hz": 100}, {"audio_filter": Filter(halved)}])
def test_a_colleague_cannot_bring_filters_of_its_own(setting: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError, match="stay those of the agent that answers"):
        agent(handoffs={"billing": Agent(system_prompt="", **setting)})
