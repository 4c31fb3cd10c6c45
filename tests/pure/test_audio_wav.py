from __future__ import annotations

import io
import math
import wave
from pathlib import Path

import pytest

from patter_trio._audio.levels import rms_dbfs
from patter_trio._audio.wav import WavWriter, read_wav, write_wav
from patter_trio.errors import PatterConfigError, RemoteProtocolError


def test_both_legs_of_a_call_lie_side_by_side(tmp_path: Path) -> None:
    file = tmp_path / "call.wav"
    write_wav(file, [b"\1\0\2\0\3\0", b"\xff\xff"], 8000)
    with wave.open(str(file)) as written:
        assert (written.getnchannels(), written.getsampwidth(), written.getframerate()) == (2, 2, 8000)
        assert written.readframes(3) == b"\1\0\xff\xff\2\0\0\0\3\0\0\0"
    assert read_wav(file) == ([b"\1\0\2\0\3\0", b"\xff\xff\0\0\0\0"], 8000)


def test_a_file_object_serves_as_well() -> None:
    memory = io.BytesIO()
    write_wav(memory, [b"\1\0\2\0?"], 16000)
    memory.seek(0)
    assert read_wav(memory) == ([b"\1\0\2\0"], 16000)


def test_an_empty_recording_is_a_file_too(tmp_path: Path) -> None:
    write_wav(tmp_path / "nothing.wav", [b"", b""], 8000)
    assert read_wav(tmp_path / "nothing.wav") == ([b"", b""], 8000)


def test_a_file_without_channels_is_refused() -> None:
    with pytest.raises(PatterConfigError):
        write_wav(io.BytesIO(), [], 8000)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"not a wav file, by far", b"RIFF\0\0\0\0WAVEjunk"])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_wav(io.BytesIO(data))


def test_samples_of_8_bits_are_refused() -> None:
    memory = io.BytesIO()
    with wave.open(memory, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(1)
        out.setframerate(8000)
        out.writeframes(bytes(10))
    memory.seek(0)
    with pytest.raises(RemoteProtocolError, match="8 bits"):
        read_wav(memory)


def test_a_file_cut_short_gives_the_frames_it_has() -> None:
    memory = io.BytesIO()
    write_wav(memory, [b"\1\0\2\0", b"\3\0\4\0"], 8000)
    channels, rate = read_wav(io.BytesIO(memory.getvalue()[:-3]))
    assert (channels, rate) == ([b"\1\0", b"\3\0"], 8000)


def test_levels_are_relative_to_full_scale() -> None:
    square = b"\x00\x80\xff\x7f" * 400
    sine = b"".join(
        round(32767 * math.sin(2 * math.pi * number / 80)).to_bytes(2, "little", signed=True)
        for number in range(800)
    )
    assert rms_dbfs(square) == pytest.approx(0.0, abs=0.01)
    assert rms_dbfs(sine) == pytest.approx(-3.01, abs=0.01)
    assert rms_dbfs(sine + b"x") == rms_dbfs(sine)


@pytest.mark.parametrize("pcm", [b"", b"x", bytes(320)])
def test_silence_has_no_level(pcm: bytes) -> None:
    assert rms_dbfs(pcm) == -math.inf


def test_a_growing_file_can_be_read_after_each_piece_even_if_nobody_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with path.open("xb") as file:
        writer = WavWriter(file, channels=2, sample_rate=16000)
        assert read_wav(path) == ([b"", b""], 16000)
        sound = b""
        for number in range(1, 5):
            piece = bytes([number, 0, number + 10, 0]) * number
            writer.append(piece)
            sound += piece
            # Read beside the open file, as after a process that died here.
            (left, right), rate = read_wav(path)
            assert rate == 16000
            assert left == b"".join(sound[at : at + 2] for at in range(0, len(sound), 4))
            assert right == b"".join(sound[at + 2 : at + 4] for at in range(0, len(sound), 4))
        writer.append(b"")
    assert path.stat().st_size == 44 + len(sound)


def test_what_was_written_and_not_said_in_the_header_is_not_read(tmp_path: Path) -> None:
    """The disk is full in the middle of a piece: the header speaks of the pieces before it."""
    path = tmp_path / "call.wav"
    with path.open("xb") as file:
        writer = WavWriter(file, channels=2, sample_rate=8000)
        writer.append(b"\1\0\2\0" * 100)
    with path.open("ab") as file:
        file.write(b"\3\0\4")
    (left, right), _ = read_wav(path)
    assert left == b"\1\0" * 100
    assert right == b"\2\0" * 100
