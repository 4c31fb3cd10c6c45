"""Calls on tape: what the file holds is what the caller's ear received, beside what the caller said."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import attrs
import numpy as np
import pytest
import trio
from hypothesis import given

from patter_trio import CallResult, PatterConfigError
from patter_trio._actors import record
from patter_trio._actors.record import TapedWire, open_recording
from patter_trio._audio import g711
from patter_trio._audio.tape import Tape
from patter_trio._audio.wav import WavWriter, read_wav
from patter_trio.abc import WritesDigits
from patter_trio.events import CallInfo
from patter_trio.testing import Caller, Ear, LineConditions, MemoryLine, ScriptedLLM, WordReader, run_virtual

from ..properties.scenarios import Focus, draw_scenario
from ..properties.staging import play
from ..properties.test_calls import random_calls, seeds
from .plain_line import FORMATS, Exchange, KnowingSTT, NoiseTTS, PlainWire, name_of, plain_call
from .ring import LONG, URL, Rung, agent, patter, ring, twilio
from .test_background import hum

FRAME = 160

Places = dict[tuple[int, int, int], int]


def places(mulaw: bytes) -> Places:
    """Where each frame of word sound lies."""
    return {(frame.serial, frame.word, frame.number): frame.at for frame in WordReader().read_frames(mulaw)}


@attrs.frozen
class Compared:
    """A recording beside the ear: how far its frames are from where they were heard, in samples."""

    agent: list[int]
    caller: list[int]
    missing: int
    extra: int

    @classmethod
    def of(cls, path: Any, ear: Ear) -> Compared:
        (left, right), rate = read_wav(path)
        assert rate == 8000
        assert len(left) == len(right)
        # Of the last moments nobody on our side can know what was still played.
        end = min(len(left) // 2, 8000 * ear.now) - 4000
        heard, taped = places(ear.agent_mulaw), places(g711.linear_to_mulaw(right))
        said, kept = places(ear.caller_mulaw), places(g711.linear_to_mulaw(left))
        return cls(
            [taped[key] - heard[key] for key in heard if key in taped],
            [kept[key] - said[key] for key in said if key in kept],
            sum(key not in taped for key in heard if heard[key] < end)
            + sum(key not in kept for key in said if said[key] < end),
            sum(key not in heard for key in taped if taped[key] < end),
        )

    def within(self, samples: int) -> bool:
        """Whether no frame is further from its place."""
        return all(abs(off) <= samples for off in (*self.agent, *self.caller))


def interrupts() -> Caller:
    return (
        Caller()
        .barges_in("Stop it, please!", after=1.0)
        .waits_for_agent()
        .says("And on Sunday?")
        .barges_in("Thank you, that will do.", after=0.4)
        .waits_for_agent()
        .waits(1)
        .hangs_up()
    )


def recorded(place: Any, conditions: LineConditions | None = None, **settings: Any) -> Rung:
    who = agent(ScriptedLLM([LONG, LONG, LONG]), first_message=LONG, local_recording=place, **settings)
    return ring(who, interrupts(), conditions)


@pytest.mark.parametrize("delay", [0, 75, 180])
def test_a_call_with_interruptions_is_on_it_sample_by_sample_as_it_was_heard(
    delay: int, tmp_path: Path
) -> None:
    rung = recorded(tmp_path, LineConditions(one_way_delay_ms=delay))
    assert len(rung.floors_taken) == 2
    found = Compared.of(rung.result.recording_path, rung.outcome.ear)
    assert len(found.agent) > 500
    assert len(found.caller) > 100
    assert set(found.agent) == set(found.caller) == {0}
    assert found.missing == found.extra == 0


def test_both_channels_are_the_ears_own_from_end_to_end(tmp_path: Path) -> None:
    rung = recorded(tmp_path)
    (left, right), _ = read_wav(str(rung.result.recording_path))
    caller, heard = rung.outcome.ear.stereo()
    # The very last frame is that in which the caller hangs up.
    assert len(caller) - len(left) <= 2 * FRAME
    assert left == caller[: len(left)]
    assert right == heard[: len(right)]


def test_the_background_is_on_it_too(tmp_path: Path) -> None:
    rung = recorded(tmp_path, background_audio=hum())
    (_, right), _ = read_wav(str(rung.result.recording_path))
    _, heard = rung.outcome.ear.stereo()
    same = sum(right[at : at + 320] == heard[at : at + 320] for at in range(0, len(right), 320))
    assert same >= len(right) // 320 - 3
    assert Compared.of(rung.result.recording_path, rung.outcome.ear).within(0)


@pytest.mark.parametrize("audio", FORMATS, ids=name_of)
def test_every_line_is_recorded_at_its_own_rate(audio: Any, tmp_path: Path) -> None:
    async def asks(line: Exchange) -> None:
        await trio.sleep(2.0)
        line.says(1.0)
        await trio.sleep(3.0)
        line.hangs_up()

    who = agent(stt=KnowingSTT(["hello"]), tts=NoiseTTS(audio), local_recording=tmp_path)
    call = plain_call(who, audio, asks)
    (left, right), rate = read_wav(str(call.result.recording_path))
    assert rate == audio.sample_rate
    for channel, sound in ((left, call.line.spoken), (right, call.line.heard)):
        wanted = np.frombuffer(g711.decode(bytes(sound), audio)[: len(channel)], "<i2").astype(int)
        # Silence is 8 in A-law and 0 in the file.
        assert np.abs(np.frombuffer(channel, "<i2") - wanted).max() <= 8
    assert len(left) > 2 * rate * 4.9


# The carrier neither stops reading nor sending: what it plays then, nobody on our side is told.
ORDINARY = ("says", "says", "barges_in", "barges_in", "coughs_over", "coughs", "waits", "waits_for_agent")


def random_recording(seed: int, focus: Focus, folder: Path) -> tuple[Compared, str]:
    scenario = draw_scenario(Random(seed), focus)
    (call,) = play(attrs.evolve(scenario, agent={**scenario.agent, "local_recording": folder})).calls
    assert call.result is not None
    return Compared.of(call.result.recording_path, call.outcome.ear), repr(scenario)


@random_calls(40)
@given(seeds)
def test_any_call_on_a_good_line_is_recorded_to_the_frame(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    focus = Focus((*ORDINARY, "presses", "goes_silent"), bad_line=0, loss=0, faulty=0, broken=0.2)
    with _quiet():
        found, scenario = random_recording(seed, focus, tmp_path_factory.mktemp("calls"))
    assert found.within(FRAME), scenario
    assert found.missing <= 1, scenario
    assert found.extra <= 1, scenario


@random_calls(20)
@given(seeds)
def test_any_call_on_a_bad_line_is_recorded_to_the_lines_own_jitter(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    focus = Focus(ORDINARY, bad_line=1.0, loss=0, faulty=0, broken=0)
    with _quiet():
        found, scenario = random_recording(seed, focus, tmp_path_factory.mktemp("calls"))
    # Where the carrier ran dry between two marks nobody knows: they are half a second apart.
    assert found.within(4000), scenario
    near = sum(abs(off) <= FRAME + 0.12 * 8000 for off in found.agent)
    assert near >= 0.9 * len(found.agent), scenario
    assert all(abs(off) <= 1 for off in found.caller), scenario
    assert found.missing + found.extra <= 8, scenario


@contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


# --- where --------------------------------------------------------------------------------------------------


def test_the_folder_is_made_and_the_file_has_the_calls_name(tmp_path: Path) -> None:
    rung = recorded(tmp_path / "a" / "b")
    assert rung.result.recording_path == str(tmp_path / "a" / "b" / f"{rung.result.call_id}.wav")


def test_true_means_a_folder_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rung = recorded(True)
    assert Path(str(rung.result.recording_path)) == Path("recordings") / f"{rung.result.call_id}.wav"
    assert (tmp_path / str(rung.result.recording_path)).exists()


def test_a_function_chooses_the_file_or_that_there_is_none(tmp_path: Path) -> None:
    def choose(info: CallInfo) -> Path | None:
        return tmp_path / f"from {info.caller}.wav"

    assert recorded(choose).result.recording_path == str(tmp_path / "from +15557654321.wav")
    assert recorded(lambda info: None).result.recording_path is None
    assert recorded(False).result.recording_path is None
    assert [path.name for path in tmp_path.iterdir()] == ["from +15557654321.wav"]


def test_a_session_says_it_for_the_agent_that_it_is_given(tmp_path: Path) -> None:
    rung = ring(agent(), Caller().waits_for_agent().hangs_up(), local_recording=tmp_path)
    assert rung.result.recording_path == str(tmp_path / f"{rung.result.call_id}.wav")
    with pytest.raises(PatterConfigError, match="local_recording needs an agent"):
        patter().session(None, local_recording=tmp_path)


def test_no_file_is_ever_written_over(tmp_path: Path) -> None:
    (tmp_path / "call.wav").write_bytes(b"precious")
    rung = recorded(lambda info: tmp_path / "call.wav")
    assert rung.result.recording_path == str(tmp_path / "call-2.wav")
    assert (tmp_path / "call.wav").read_bytes() == b"precious"


@pytest.mark.parametrize("call_id", ["../../etc/passwd", "/etc/passwd", "..", "", "a\0b", "c:\\x"])
def test_no_name_of_a_call_leads_out_of_the_folder(call_id: str, tmp_path: Path) -> None:
    async def main() -> None:
        recording = open_recording(tmp_path, CallInfo(call_id), PlainWire(FORMATS[0]))
        assert recording is not None
        path = await recording.finish()
        assert path is not None
        assert path.parent == tmp_path
        assert path.exists()

    trio.run(main)


def test_who_is_told_of_the_end_is_told_of_the_file(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    def on_call_end(payload: dict[str, Any]) -> None:
        (left, _), _ = read_wav(payload["recording_path"])
        told.append({"seconds": len(left) / 16000})

    who = agent(local_recording=tmp_path)
    rung = ring(who, Caller().waits_for_agent().waits(1).hangs_up(), on_call_end=on_call_end)
    (end,) = told
    assert end["seconds"] == pytest.approx(rung.outcome.ear.now, abs=0.05)


def test_a_call_that_is_cancelled_leaves_a_whole_file(tmp_path: Path) -> None:
    """The session is cancelled in mid-sentence: nothing waits any more, and yet the file is closed."""

    async def main() -> list[CallResult]:
        who = agent(first_message=LONG, local_recording=tmp_path)
        results: list[CallResult] = []
        with trio.move_on_after(3.0):
            async with patter().session(
                who, port=None, on_call_end=lambda end: results.append(end["result"])
            ) as session:
                await twilio().call(MemoryLine(session.app, URL), Caller().waits(60).hangs_up())
        return results

    (result,) = run_virtual(main, seed=1)
    assert result.reason == "drained"
    (left, right), _ = read_wav(str(result.recording_path))
    assert len(left) / 16000 == pytest.approx(3.0, abs=0.1)
    assert len(places(g711.linear_to_mulaw(right))) > 100


# --- when the disk will not ---------------------------------------------------------------------------------


def one_warning(caplog: pytest.LogCaptureFixture) -> str:
    (warning,) = [entry.message for entry in caplog.records if "without its recording" in entry.message]
    return warning


def test_a_folder_that_cannot_be_made_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        rung = recorded(tmp_path / "file")
    assert rung.result.outcome == "answered"
    assert rung.result.recording_path is None
    assert "file" in one_warning(caplog)


def test_a_disk_that_fills_up_is_one_warning_and_what_was_written_can_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullWriter(WavWriter):
        def append(self, frames: bytes) -> None:
            if self._size > 8000:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().append(frames)

    monkeypatch.setattr(record, "WavWriter", FullWriter)
    with caplog.at_level(logging.WARNING):
        rung = recorded(tmp_path)
    assert rung.result.outcome == "answered"
    assert rung.result.recording_path is None
    assert "No space left" in one_warning(caplog)
    (left, _), _ = read_wav(next(tmp_path.iterdir()))
    assert left


def test_a_disk_that_falls_too_far_behind_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "_BATCHES", 1)

    class SlowWriter(WavWriter):
        def append(self, frames: bytes) -> None:
            go_on.wait(10)
            super().append(frames)

    go_on = threading.Event()
    monkeypatch.setattr(record, "WavWriter", SlowWriter)
    with caplog.at_level(logging.WARNING):
        rung = recorded(tmp_path)
    go_on.set()
    assert rung.result.outcome == "answered"
    assert rung.result.recording_path is None
    assert "too slow" in one_warning(caplog)


def test_a_function_that_fails_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    def choose(info: CallInfo) -> Path:
        raise KeyError("no tenant")

    with caplog.at_level(logging.WARNING):
        rung = recorded(choose)
    assert rung.result.outcome == "answered"
    assert "no tenant" in one_warning(caplog)


@pytest.mark.parametrize("wrong", [None, 7, Path, ["a"]])
def test_what_is_no_place_is_refused(wrong: Any) -> None:
    with pytest.raises(PatterConfigError, match="local_recording"):
        agent(local_recording=wrong)


# --- the wire it listens on ---------------------------------------------------------------------------------


def test_a_taped_wire_says_and_hears_what_the_wire_does() -> None:
    class Keys(PlainWire):
        def encode_digits(self, digits: str) -> str:
            return f"keys {digits}"

    async def main() -> None:
        plain = Keys(FORMATS[0])
        taped = TapedWire(plain, Tape(plain.audio, 0.0))
        assert taped.decode("media 0.00 ffff") == plain.decode("media 0.00 ffff")
        assert taped.decode("mark 1.1") == plain.decode("mark 1.1")
        assert taped.encode_audio(b"\1") == plain.encode_audio(b"\1")
        assert taped.encode_mark("x") == plain.encode_mark("x")
        assert taped.encode_clear() == plain.encode_clear()
        assert isinstance(taped, WritesDigits)
        assert taped.encode_digits("12") == "keys 12"
        assert not isinstance(TapedWire(PlainWire(FORMATS[0]), Tape(plain.audio, 0.0)), WritesDigits)

    trio.run(main)
