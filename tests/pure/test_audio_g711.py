"""G.711 against the reference tables."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from patter_trio._audio import g711
from patter_trio.events import LINEAR_8K, MULAW_8K, AudioFormat

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "g711.json").read_text())
ALAW = AudioFormat("alaw", 8000)
EVERY_SAMPLE = b"".join(value.to_bytes(2, "little", signed=True) for value in range(-32768, 32768))


def samples(pcm: bytes) -> list[int]:
    return [int.from_bytes(pcm[i : i + 2], "little", signed=True) for i in range(0, len(pcm), 2)]


@pytest.mark.parametrize(("law", "format"), [("ulaw", MULAW_8K), ("alaw", ALAW)])
def test_every_code_decodes_as_the_table_says(law: str, format: AudioFormat) -> None:
    assert samples(g711.decode(bytes(range(256)), format)) == VECTORS[law]["decode"]


@pytest.mark.parametrize(("law", "format"), [("ulaw", MULAW_8K), ("alaw", ALAW)])
def test_every_sample_encodes_as_the_reference_does(law: str, format: AudioFormat) -> None:
    digest = hashlib.sha256(g711.encode(EVERY_SAMPLE, format)).hexdigest()
    assert digest == VECTORS[law]["encode_all_sha256"]


def test_linear_sound_passes_untouched() -> None:
    assert g711.decode(EVERY_SAMPLE, LINEAR_8K) is EVERY_SAMPLE
    assert g711.encode(EVERY_SAMPLE, LINEAR_8K) is EVERY_SAMPLE


def test_silence_is_silence() -> None:
    for format in (MULAW_8K, LINEAR_8K):
        assert set(samples(g711.decode(format.silence * 4, format))) == {0}
