"""Blocks and WAV files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio import RemoteProtocolError
from patter_trio._audio.frame import Reblocker
from patter_trio._audio.wav import read_wav, write_wav


@given(pieces=st.lists(st.binary(max_size=50)), size=st.integers(1, 40))
def test_blocks_are_whole_and_nothing_is_lost(pieces: list[bytes], size: int) -> None:
    blocks = Reblocker(size)
    out = [blocks.feed(piece) for piece in pieces]
    assert all(len(block) % size == 0 for block in out)
    rest = blocks.flush()
    assert len(rest) < size
    assert b"".join(out) + rest == b"".join(pieces)


def test_a_stereo_file_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    write_wav(path, [b"\1\0\2\0\3\0", b"\4\0"], 8000)
    channels, rate = read_wav(path)
    assert rate == 8000
    assert channels == [b"\1\0\2\0\3\0", b"\4\0\0\0\0\0"]


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a wave file at all, but long enough to be one"])
def test_what_is_no_wave_file_is_refused(content: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_wav(BytesIO(content))
