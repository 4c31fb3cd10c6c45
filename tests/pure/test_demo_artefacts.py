from __future__ import annotations

import json
import sys
import wave
from pathlib import Path

import pytest

from patter_trio._demo.artefacts import (
    CallArtefacts,
    CallTurn,
    FloorChange,
    ScriptStep,
    latency_record,
    latency_table,
    write_artefacts,
)
from patter_trio.errors import PatterConfigError

CALL = CallArtefacts(
    audio=b"\x01\x00\x02\x00" * 8000,
    turns=(
        CallTurn(idx=0, kind="greeting", agent_text_heard="Hello.", t_first_audio=0.1, t_end=0.4),
        CallTurn(
            idx=1,
            user_text="And you?",
            agent_text_heard="Well",
            agent_text_cut="enough.",
            t_user_start=0.4,
            t_user_end=0.5,
            t_first_audio=0.75,
            t_end=0.9,
            interrupted=True,
            latencies={"endpointing": 120.04, "tts": 61.0},
        ),
    ),
    floor=(FloorChange(kind="taken", at=0.95, turn_idx=1, onset=0.85, silence=0.93),),
    steps=(ScriptStep(text="asks", done=True, at=0.4),),
    conditions={"seed": 7},
    title="Short call",
)


def test_writes_every_artefact_and_says_so(tmp_path: Path) -> None:
    lines: list[str] = []
    written = write_artefacts(CALL, tmp_path / "new" / "folder", say=lines.append)
    assert {path.name for path in written} >= {"call.wav", "transcript.json", "latency.json", "timeline.svg"}
    assert len(lines) == 5
    with wave.open(str(tmp_path / "new" / "folder" / "call.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (
            2,
            2,
            8000,
            8000,
        )
    transcript = json.loads((tmp_path / "new" / "folder" / "transcript.json").read_text("utf-8"))
    assert transcript["turns"][1]["agent_text_heard"] == "Well"
    assert transcript["turns"][1]["agent_text_cut"] == "enough."
    assert transcript["summary"]["interrupted"] == 1


def test_replaces_its_own_files_and_leaves_others_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    (tmp_path / "latency.json").write_text("old")
    lines: list[str] = []
    write_artefacts(CALL, tmp_path, say=lines.append)
    assert sum(line.startswith("replaced") for line in lines) == 1
    assert (tmp_path / "mine.txt").read_text() == "kept"
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".new")]


def test_latencies_are_milliseconds_per_turn() -> None:
    record = latency_record(CALL)
    assert record["turns"][1] == {
        "idx": 1,
        "kind": "reply",
        "interrupted": True,
        "reply_gap": 250.0,
        "endpointing": 120.0,
        "tts": 61.0,
    }
    assert record["barge_ins"] == [{"turn_idx": 1, "onset_to_silence": 80.0}]
    assert latency_table(CALL).splitlines()[-1].split() == [
        *("1", "reply", "250", "ms", "120", "ms", "61", "ms", "interrupted")
    ]


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PatterConfigError, match="--out DIR"):
        write_artefacts(CALL, tmp_path / "file")


def test_without_pillow_the_rest_is_written_and_the_extra_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    lines: list[str] = []
    written = write_artefacts(CALL, tmp_path, say=lines.append)
    assert [path.name for path in written] == ["call.wav", "transcript.json", "latency.json", "timeline.svg"]
    assert "patter-trio[pictures]" in lines[-1]
