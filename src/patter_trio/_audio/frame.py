"""Frames: the 20 ms in which telephones count, and streams of bytes that arrive cut anywhere."""

from __future__ import annotations

__all__ = ["FRAME_SECONDS", "Reblocker"]

FRAME_SECONDS = 0.020


class Reblocker:
    """Holds back what is not yet a whole block, so that no sample is ever torn.

    Args:
        size: bytes per block: 2 for the samples of linear16.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Takes bytes; returns the whole blocks there are now, in one piece."""
        if self._rest:
            data = self._rest + data
        whole = len(data) - len(data) % self._size
        self._rest = data[whole:]
        return data[:whole]

    def flush(self) -> bytes:
        """The beginning of the last block, if it was not completed."""
        rest, self._rest = self._rest, b""
        return rest
