"""The last seconds of a caller's sound, for a detector that judges whether they have finished."""

from __future__ import annotations

from collections import deque

__all__ = ["SoundWindow"]


class SoundWindow:
    """Keeps the latest ``seconds`` of linear16 sound, in the pieces in which it came.

    Args:
        seconds: how much is kept at the most.
        sample_rate: samples per second of the sound.
    """

    def __init__(self, seconds: float, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._size = round(seconds * sample_rate) * 2
        self._pieces: deque[bytes] = deque()
        self._held = 0

    def feed(self, pcm: bytes) -> None:
        """Takes the next piece; the oldest ones make room."""
        self._pieces.append(pcm)
        self._held += len(pcm)
        while self._pieces and self._held - len(self._pieces[0]) >= self._size:
            self._held -= len(self._pieces.popleft())

    def sound(self) -> bytes:
        """What is kept, oldest sample first."""
        whole = b"".join(self._pieces)
        return whole[-self._size :] if self._size else b""
