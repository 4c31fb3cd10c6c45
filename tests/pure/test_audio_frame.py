from __future__ import annotations

from patter_trio._audio.frame import FRAME_SECONDS, Reblocker
from patter_trio.events import LINEAR_16K, MULAW_8K


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
