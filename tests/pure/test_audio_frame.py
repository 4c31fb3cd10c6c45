from __future__ import annotations

import json
import struct
from base64 import b64decode
from pathlib import Path

import pytest

from patter_trio._audio.frame import FRAME_SECONDS, Reblocker
from patter_trio._audio.swap import swap_bytes
from patter_trio.events import LINEAR_8K, LINEAR_16K, MULAW_8K, AudioFormat


def test_a_frame_of_a_call_has_160_bytes() -> None:
    assert MULAW_8K.bytes_for(FRAME_SECONDS) == 160
    assert LINEAR_16K.bytes_for(FRAME_SECONDS) == 640


def test_bytes_wait_until_their_block_is_whole() -> None:
    blocks = Reblocker(4)
    assert [blocks.feed(piece) for piece in (b"ab", b"cde", b"fghijklm", b"", b"n")] == [
        *(b"", b"abcd", b"efghijkl", b"", b""),
    ]
    assert blocks.flush() == b"mn"
    assert blocks.flush() == b""


def test_whole_blocks_pass_without_a_copy() -> None:
    sound = bytes(640)
    assert Reblocker(2).feed(sound) is sound


# --- linear sound as carriers write it ----------------------------------------------------------------------

LINEAR = json.loads((Path(__file__).parents[1] / "vectors" / "linear16.json").read_text(encoding="utf-8"))


def test_linear_samples_are_little_endian_and_can_be_swapped() -> None:
    samples = LINEAR["l16"]["samples"]
    little = b64decode(LINEAR["l16"]["little_endian_b64"])
    assert struct.unpack(f"<{len(samples)}h", little) == tuple(samples)
    assert swap_bytes(little) == b64decode(LINEAR["l16"]["big_endian_b64"])
    assert swap_bytes(swap_bytes(little)) == little


@pytest.mark.parametrize(
    ("name", "audio"),
    [
        ("pcmu_8000", MULAW_8K),
        ("pcma_8000", AudioFormat("alaw", 8000)),
        ("l16_8000", LINEAR_8K),
        ("l16_16000", LINEAR_16K),
        ("l16_24000", AudioFormat("linear16", 24000)),
    ],
)
def test_a_frame_has_the_size_that_carriers_send(name: str, audio: AudioFormat) -> None:
    assert audio.bytes_for(FRAME_SECONDS) == LINEAR["frame_sizes"][name]


def test_a_tone_of_the_carriers_has_the_length_of_a_frame() -> None:
    tone = b64decode(LINEAR["l16"]["tone_440hz_20ms_16k_le_b64"])
    assert LINEAR_16K.seconds_in(len(tone)) == FRAME_SECONDS
