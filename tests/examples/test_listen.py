"""``demo --listen``: a person's headset in place of the caller's script."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import ModuleType, TracebackType
from typing import Any

import pytest
import trio

from patter_trio import Patter, Session, Twilio
from patter_trio._audio import g711
from patter_trio._cli import main
from patter_trio._demo.listen import SoundDevice, Talk, open_headset, put_through
from patter_trio._demo.show import ACCOUNT, NUMBER, TOKEN
from patter_trio.errors import MissingExtraError, PatterConfigError, PatterConnectionError
from patter_trio.events import MULAW_8K
from patter_trio.testing import (
    Caller,
    LoopbackLine,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    SimulatedTwilio,
    speak_words,
)
from patter_trio.testing.wordsound import WordReader, join_words

from ..calls.ring import agent, ring

FRAME = 320


class Tape:
    """A headset whose microphone plays recordings, each from a frame of the call on."""

    def __init__(self, *said: tuple[int, str]) -> None:
        self.said = deque(said)
        self.frames: deque[bytes] = deque()
        self.recorded = 0
        self.played: list[bytes] = []

    def record(self) -> bytes | None:
        self.recorded += 1
        if self.said and self.recorded >= self.said[0][0]:
            sound = g711.decode(speak_words(self.said.popleft()[1]), MULAW_8K)
            self.frames.extend(sound[at : at + FRAME] for at in range(0, len(sound), FRAME))
        return self.frames.popleft() if self.frames else None

    def play(self, frame: bytes) -> None:
        self.played.append(frame)

    def heard(self) -> str:
        sound = g711.encode(b"".join(self.played), MULAW_8K)
        return join_words(WordReader().feed(sound))


def test_sound_goes_both_ways_without_a_gap() -> None:
    headset = Tape((150, "When are you open?"))
    rung = ring(agent(ScriptedLLM(["From eight to six."])), Caller((Talk(headset, seconds=8.0),)))
    assert rung.said("user") == ["When are you open?"]
    assert headset.heard() == "Hello, this is the desk. From eight to six."
    assert headset.heard() == rung.outcome.heard
    assert {len(frame) for frame in headset.played} == {FRAME}
    assert len(headset.played) * 0.02 == pytest.approx(8.0, abs=0.1)


def test_the_call_ends_when_the_person_has_talked_enough() -> None:
    rung = ring(agent(), Caller((Talk(Tape(), seconds=4.0),)))
    assert rung.outcome.ended_by == "caller"
    assert [step.ok for step in rung.outcome.steps] == [True]


def test_the_call_ends_when_the_agent_hangs_up() -> None:
    async def goodbye(event: Any, call: Any) -> str:
        await call.hangup()
        return "Goodbye."

    headset = Tape((150, "That is all."))
    rung = ring(agent(on_message=goodbye), Caller((Talk(headset),)))
    assert rung.outcome.ended_by == "agent"
    assert [step.ok for step in rung.outcome.steps] == [True]
    assert len(headset.played) * 0.02 < 20


# --- the whole way, over loopback ---------------------------------------------------------------------------


class Interrupting(Tape):
    """A headset at which Ctrl-C is pressed."""

    def record(self) -> bytes | None:
        if self.recorded == 10:
            raise KeyboardInterrupt
        return super().record()


@asynccontextmanager
async def open_desk(**options: Any) -> AsyncIterator[Session]:
    patter = Patter(Twilio(account_sid=ACCOUNT, auth_token=TOKEN), NUMBER, "http://127.0.0.1:0")
    desk = patter.agent(
        "You answer.", stt=ScriptedSTT(), tts=ScriptedTTS(), vad=ScriptedVAD(), llm=ScriptedLLM(["Yes."])
    )
    async with patter.session(desk, port=0, **options) as session:
        yield session


async def test_ctrl_c_hangs_up() -> None:
    headset, said = Interrupting(), list[str]()
    async with open_desk() as session:
        with pytest.raises(KeyboardInterrupt):
            await put_through(session, headset, said.append)
    assert said == ["you are through: speak. Ctrl-C hangs up."]
    assert headset.played
    assert not session.calls


async def test_a_call_that_is_not_taken_is_told_of() -> None:
    async with open_desk(max_calls=1) as session, trio.open_nursery() as nursery:
        other = SimulatedTwilio(ACCOUNT, TOKEN, number=NUMBER, caller="+15550001111")
        nursery.start_soon(other.call, LoopbackLine(session.url), Caller((Talk(Tape()),)))
        while not session.calls:  # noqa: ASYNC110 (over real sockets)
            await trio.sleep(0.01)
        with pytest.raises(PatterConnectionError, match="the call was refused: busy"):
            await put_through(session, Tape(), print)
        nursery.cancel_scope.cancel()


# --- the machine's own microphone ---------------------------------------------------------------------------


class FakeStream:
    """``sounddevice.RawStream`` without sound."""

    latest: FakeStream
    failure: Exception | None = None

    def __init__(self, *, callback: Callable[..., None], **settings: Any) -> None:
        if FakeStream.failure is not None:
            raise FakeStream.failure
        self.settings, self.callback, self.running = settings, callback, False
        FakeStream.latest = self

    def __enter__(self) -> FakeStream:
        self.running = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.running = False

    def exchange(self, recorded: bytes) -> bytes:
        """What the audio library's thread does every 20 ms."""
        played = bytearray(len(recorded))
        self.callback(memoryview(recorded), memoryview(played), len(recorded) // 2, None, None)
        return bytes(played)


class PortAudioError(Exception):
    pass


@pytest.fixture
def sounddevice(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("sounddevice")
    monkeypatch.setattr(module, "RawStream", FakeStream, raising=False)
    monkeypatch.setattr(module, "PortAudioError", PortAudioError, raising=False)
    monkeypatch.setattr(FakeStream, "failure", None)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_the_machines_sound_passes_through_the_headset(sounddevice: ModuleType) -> None:
    one, two, three = (bytes([number]) * FRAME for number in (1, 2, 3))
    with open_headset() as headset:
        stream = FakeStream.latest
        assert stream.running
        assert stream.settings == {"samplerate": 8000, "blocksize": 160, "dtype": "int16", "channels": 1}
        assert headset.record() is None
        assert stream.exchange(one) == bytes(FRAME)
        headset.play(two)
        headset.play(three)
        assert stream.exchange(one) == two
        assert stream.exchange(one) == three
        assert [headset.record(), headset.record(), headset.record()] == [one] * 3
    assert not stream.running


def test_a_headset_that_nobody_reads_keeps_its_latest_sound_only() -> None:
    headset = SoundDevice()
    for number in range(50):
        headset.exchange(bytes([number]) * FRAME, FRAME)
    kept: list[int] = []
    while (frame := headset.record()) is not None:
        kept.append(frame[0])
    assert kept == list(range(40, 50))


def test_a_microphone_that_cannot_be_opened_is_one_line(
    sounddevice: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeStream, "failure", PortAudioError("no device\nof that kind"))
    with pytest.raises(PatterConfigError), open_headset():
        pass
    assert_one_line(["demo", "--listen"], capsys, "no device of that kind", "without --listen")


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (ImportError("no module"), MissingExtraError, ("sounddevice", "pip install 'patter-trio[listen]'")),
        (OSError("PortAudio library not found"), PatterConfigError, ("PortAudio", "libportaudio2")),
    ],
)
def test_a_missing_sound_library_is_one_line(
    failure: Exception,
    kind: type[Exception],
    words: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Refusing:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "sounddevice":
                raise failure

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with pytest.raises(kind), open_headset():
        pass
    assert_one_line(["demo", "--listen"], capsys, *words)


def assert_one_line(arguments: Sequence[str], capsys: pytest.CaptureFixture[str], *words: str) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("patter-trio: ")
    assert said.count("\n") == 1
    for word in words:
        assert word in said
