"""The carrier's playback buffer: what it does with ``media``, ``mark`` and ``clear``, frame by frame.

Facts are from Twilio's media stream reference: audio is buffered and played in order; a mark comes back when
all audio before it was played, at once when there is none; ``clear`` empties the buffer and returns every
outstanding mark; beyond ten minutes of buffered audio, further media is discarded. What other carriers do
with marks at a clear is :data:`~patter_trio.testing.MarksAtClear`.
"""

from __future__ import annotations

from collections import deque

from .conditions import MarksAtClear
from .wordsound import FRAME_BYTES, SAMPLE_RATE

__all__ = ["PlaybackBuffer"]

_SILENCE = b"\xff"
_LIMIT_SECONDS = 600.0


class PlaybackBuffer:
    """Holds 8 kHz µ-law until it is played; pure, one :meth:`tick` per 20 ms.

    A frame counts as played at the tick after the one that took it. The frame that is sounding when ``clear``
    comes is played to its end, as a telephone does; marks after it do not wait for it, unless the carrier
    answers only for what was played.

    Args:
        limit_seconds: how much may wait to be played.
        marks_at_clear: what becomes of the marks that are out when a clear comes.
    """

    def __init__(
        self, limit_seconds: float = _LIMIT_SECONDS, *, marks_at_clear: MarksAtClear = "returned"
    ) -> None:
        self._limit = round(limit_seconds * SAMPLE_RATE)
        self._at_clear = marks_at_clear
        self._silenced_at = -1
        self._audio = bytearray()
        self._received = 0
        self._played = 0
        self._marks: deque[tuple[int, str]] = deque()

    @property
    def seconds(self) -> float:
        """Seconds of audio that wait to be played."""
        return len(self._audio) / SAMPLE_RATE

    @property
    def outstanding(self) -> tuple[str, ...]:
        """Marks that have not come back, in order."""
        return tuple(name for _, name in self._marks)

    def put(self, audio: bytes) -> bool:
        """Buffers ``audio``; ``False`` when it was discarded because ten minutes are waiting."""
        if len(self._audio) + len(audio) > self._limit:
            return False
        self._audio += audio
        self._received += len(audio)
        return True

    def mark(self, name: str) -> tuple[str, ...]:
        """Takes a mark; returns the marks that come back now: this one if nothing waits before it."""
        if self._received == self._silenced_at:
            return ()
        self._marks.append((self._received, name))
        return self._due()

    def clear(self) -> tuple[str, ...]:
        """Drops what was not played; returns every outstanding mark, if this carrier does."""
        if self._at_clear != "returned":
            sounding = self._received - len(self._audio)
            self._marks = deque(mark for mark in self._marks if mark[0] <= sounding)
            self._received = sounding
            self._audio.clear()
            if self._at_clear == "unanswered":
                self._silenced_at = self._received
            return ()
        self._audio.clear()
        self._played = self._received
        return self._due()

    def tick(self) -> tuple[bytes, tuple[str, ...]]:
        """The next 20 ms to play, filled up with silence, and the marks whose audio has been played."""
        self._played = self._received - len(self._audio)
        due = self._due()
        frame = bytes(self._audio[:FRAME_BYTES])
        del self._audio[:FRAME_BYTES]
        return frame.ljust(FRAME_BYTES, _SILENCE), due

    def _due(self) -> tuple[str, ...]:
        due: list[str] = []
        while self._marks and self._marks[0][0] <= self._played:
            due.append(self._marks.popleft()[1])
        return tuple(due)
