from __future__ import annotations

import array
import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from patter_trio._audio import g711
from patter_trio.events import LINEAR_8K, AudioFormat

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "g711.json").read_text(encoding="utf-8")
)
EVERY_SAMPLE = b"".join(value.to_bytes(2, "little", signed=True) for value in range(-32768, 32768))

Law = Literal["mulaw", "alaw"]
both_laws = pytest.mark.parametrize(("law", "key"), [("mulaw", "ulaw"), ("alaw", "alaw")])


@both_laws
def test_every_code_decodes_as_the_reference_says(law: Law, key: str) -> None:
    pcm = g711.decode(bytes(range(256)), AudioFormat(law))
    values = [int.from_bytes(pcm[at : at + 2], "little", signed=True) for at in range(0, 512, 2)]
    assert values == VECTORS[f"{key}_decode_table"]


@both_laws
def test_every_sample_encodes_as_the_reference_says(law: Law, key: str) -> None:
    encoded = g711.encode(EVERY_SAMPLE, AudioFormat(law))
    assert hashlib.sha256(encoded).hexdigest() == VECTORS["full_range"][f"{key}_sha256"]
    for sample in VECTORS["encode_samples"]:
        assert encoded[sample["pcm"] + 32768] == sample[key], sample


@both_laws
def test_a_tone_encodes_as_the_reference_says(law: Law, key: str) -> None:
    tone = VECTORS["tone_440hz_20ms_8k"]
    pcm = base64.b64decode(tone["pcm_s16le_b64"])
    assert base64.b64encode(g711.encode(pcm, AudioFormat(law))).decode() == tone[f"{key}_b64"]


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_coded_sound_survives_the_way_there_and_back(law: Law) -> None:
    # µ-law has two codes for zero, and 0x7F comes back as the other one.
    codes = bytes(code for code in range(256) if (law, code) != ("mulaw", 0x7F))
    assert g711.encode(g711.decode(codes, AudioFormat(law)), AudioFormat(law)) == codes


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_the_formats_idea_of_silence_is_silent(law: Law) -> None:
    audio = AudioFormat(law)
    assert max(map(abs, array.array("h", g711.decode(audio.silence * 160, audio)))) <= 8


def test_linear_sound_passes_untouched() -> None:
    assert g711.decode(EVERY_SAMPLE, LINEAR_8K) is EVERY_SAMPLE
    assert g711.encode(EVERY_SAMPLE, LINEAR_8K) is EVERY_SAMPLE


def test_importing_it_warns_nobody() -> None:
    command = [sys.executable, "-W", "error", "-c", "import patter_trio._audio.g711"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""
