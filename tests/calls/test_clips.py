"""Recordings that are played to the caller: what is heard of them, and what is remembered."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from patter_trio import Call, PatterConfigError
from patter_trio._audio import g711
from patter_trio._audio.wav import write_wav
from patter_trio.events import MULAW_8K
from patter_trio.testing import Caller, ScriptedLLM, speak_words

from .ring import LONG, Rung, agent, ring

GREETED = Caller().waits_for_agent()


def wav(words: str) -> bytes:
    """A recording in which somebody says some words."""
    file = io.BytesIO()
    write_wav(file, [g711.decode(speak_words(words, serial=900), MULAW_8K)], 8000)
    return file.getvalue()


def tone(rate: int, channels: int = 1, *, frequency: float = 440.0, seconds: float = 1.0) -> bytes:
    """A recording of one tone."""
    wave_form = 12000 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    file = io.BytesIO()
    write_wav(file, [wave_form.astype("<i2").tobytes()] * channels, rate)
    return file.getvalue()


def played(source: Any, caller: Caller | None = None, *, after: float = 3.0, **settings: Any) -> Rung:
    """A call in which something is played, 3 s after it began."""

    async def act(call: Call) -> None:
        await trio.sleep(after)
        began = trio.current_time()
        await call.play(source, **settings)
        assert trio.current_time() == began, "only queued"

    caller = caller or GREETED.waits(12.0).hangs_up()
    return ring(agent(ScriptedLLM(["Yes, of course."])), caller, on_call=act, forgets=True)


def test_a_recording_is_heard_and_not_remembered() -> None:
    rung = played(wav("Welcome to the bakery."))
    assert rung.outcome.heard.endswith("Welcome to the bakery.")
    assert rung.said("assistant") == ["Hello, this is the desk."]
    assert rung.turn_kinds == ["greeting", "clip"]
    assert rung.result.turns[-1].audio_heard_seconds == pytest.approx(4 * 0.34, abs=0.02)


def test_what_is_said_in_it_is_remembered_where_it_is_known() -> None:
    rung = played(wav("Welcome to the bakery."), text="Welcome to the bakery.")
    assert rung.said("assistant")[-1] == "Welcome to the bakery."


def test_a_caller_interrupts_it_and_what_was_heard_is_remembered() -> None:
    caller = Caller().waits(5.0).says("Stop it please").waits_for_agent().hangs_up()
    rung = played(wav(LONG), caller, text=LONG)
    entry = rung.result.history[1]
    assert LONG.startswith(entry.text)
    assert abs(len(entry.text.split()) - 6) <= 2
    assert f"{entry.text} {entry.unheard}" == LONG
    assert len(rung.floors_taken) == 1
    assert rung.said("assistant")[-1] == "Yes, of course."


def test_a_recording_that_must_be_heard_is_heard_to_its_end() -> None:
    caller = Caller().waits(5.0).says("Stop it please").waits_for_agent().hangs_up()
    rung = played(wav(LONG), caller, interruptible=False)
    assert LONG in rung.outcome.heard
    assert rung.said("assistant")[-1] == "Yes, of course."


def test_it_waits_for_what_is_being_said() -> None:
    rung = played(wav("And music."), after=0.5)
    assert rung.outcome.heard == "Hello, this is the desk. And music."


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_and_any_number_of_channels_sounds_as_it_was_recorded(rate: int, channels: int) -> None:
    rung = played(tone(rate, channels))
    (_, span) = rung.outcome.ear.agent_speech
    assert span.end - span.start == pytest.approx(1.0, abs=0.045)
    pcm = g711.decode(rung.outcome.ear.agent_mulaw, MULAW_8K)
    heard = np.frombuffer(pcm, "<i2")[round((span.start + 0.1) * 8000) :][:6400].astype(float)
    loudest = np.argmax(np.abs(np.fft.rfft(heard * np.hanning(len(heard))))) * 8000 / len(heard)
    assert loudest == pytest.approx(440, abs=2)
    assert np.abs(heard).max() == pytest.approx(12000, rel=0.06)


def test_a_file_is_as_good_as_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "welcome.wav"
    path.write_bytes(wav("Welcome."))
    assert played(path).outcome.heard.endswith("Welcome.")
    assert played(str(path)).outcome.heard.endswith("Welcome.")


def eight_bits() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 1, 8000, 0, "NONE", ""))
        out.writeframes(bytes(8000))
    return file.getvalue()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"RIFF", "cannot be played"),
        (eight_bits(), "8 bits"),
        (tone(8000, seconds=0.0), "no sound"),
        (tone(44101), "no simple ratio"),
        ("no/such/file.wav", "No such file"),
        (5, "neither a path nor"),
    ],
)
def test_what_cannot_be_played_is_told_at_once(source: Any, said: str) -> None:
    async def act(call: Call) -> None:
        with pytest.raises(PatterConfigError, match=said):
            await call.play(source)
        with pytest.raises(PatterConfigError, match=said):
            await call.hold(source)
        assert not call.is_on_hold

    ring(agent(), GREETED.hangs_up(), on_call=act)


def test_what_is_said_in_it_is_a_text() -> None:
    async def act(call: Call) -> None:
        with pytest.raises(PatterConfigError, match="text must be"):
            await call.play(wav("la"), text=5)  # type: ignore[arg-type]

    ring(agent(), GREETED.hangs_up(), on_call=act)
