"""Frames: the 20 ms in which telephones count."""

from __future__ import annotations

__all__ = ["FRAME_SECONDS", "Reblocker"]

FRAME_SECONDS = 0.020


class Reblocker:
    """Cuts a stream of bytes into blocks of one size, however it arrives.

    Args:
        size: bytes per block; for linear16 a multiple of two.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Takes bytes; returns as many whole blocks as there are now, in one piece."""
        self._rest += data
        whole = len(self._rest) // self._size * self._size
        blocks = bytes(self._rest[:whole])
        del self._rest[:whole]
        return blocks

    def flush(self) -> bytes:
        """What is left of the last block."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest
