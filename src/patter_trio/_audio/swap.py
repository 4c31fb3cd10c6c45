"""Linear16 in the other byte order, for carriers that send it big-endian."""

from __future__ import annotations

import array

__all__ = ["swap_bytes"]


def swap_bytes(pcm: bytes) -> bytes:
    """Each sample's two bytes the other way round; whole samples only."""
    samples = array.array("h", pcm)
    samples.byteswap()
    return samples.tobytes()
