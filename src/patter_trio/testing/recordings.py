"""Recordings that a simulated carrier makes: both sides of a leg as they sounded, on two channels."""

from __future__ import annotations

import io
from typing import Literal

import attrs

from .._audio import g711
from .._audio.wav import write_wav
from ..events import MULAW_8K
from .ear import Ear
from .wordsound import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE

__all__ = ["Recording"]


@attrs.define(eq=False)
class Recording:
    """A stretch of a leg's sound; pauses in it are silence.

    Args:
        recording_id: its id.
        ear: the sound of the leg, which goes on being recorded.
        channels: 2 for the telephone (left) and what it heard (right), 1 for both mixed.
        details: the vendor's own record of it.
    """

    recording_id: str
    ear: Ear = attrs.field(repr=False)
    channels: int = 2
    details: object = attrs.field(default=None, repr=False)
    status: Literal["running", "paused", "stopped", "deleted"] = "running"
    _first: int = attrs.field(init=False)
    _last: int | None = attrs.field(init=False, default=None)
    _pauses: list[list[int]] = attrs.field(init=False, factory=list[list[int]])

    def __attrs_post_init__(self) -> None:
        self._first = self.ear.frames

    @property
    def seconds(self) -> float:
        """How long it is."""
        return ((self.ear.frames if self._last is None else self._last) - self._first) * FRAME_SECONDS

    def pause(self) -> None:
        """Records silence until it goes on."""
        if self.status == "running":
            self.status = "paused"
            self._pauses.append([self.ear.frames, -1])

    def resume(self) -> None:
        """Goes on."""
        if self.status == "paused":
            self.status = "running"
            self._pauses[-1][1] = self.ear.frames

    def stop(self) -> bool:
        """Ends it; ``False`` when it has ended already."""
        if self.status in ("stopped", "deleted"):
            return False
        self.resume()
        self.status, self._last = "stopped", self.ear.frames
        return True

    def wav(self) -> bytes:
        """The WAV file."""
        last = self.ear.frames if self._last is None else self._last
        sides = [
            bytearray(side[self._first * FRAME_BYTES : last * FRAME_BYTES])
            for side in (self.ear.caller_mulaw, self.ear.agent_mulaw)
        ]
        for start, end in self._pauses:
            first, behind = start - self._first, (last if end < 0 else end) - self._first
            for side in sides:
                side[first * FRAME_BYTES : behind * FRAME_BYTES] = b"\xff" * ((behind - first) * FRAME_BYTES)
        left, right = (g711.decode(bytes(side), MULAW_8K) for side in sides)
        file = io.BytesIO()
        write_wav(file, [left, right] if self.channels == 2 else [_both(left, right)], SAMPLE_RATE)
        return file.getvalue()


def _both(left: bytes, right: bytes) -> bytes:
    sides = [memoryview(side).cast("h") for side in (left, right)]
    return b"".join(
        max(-32768, min(32767, a + b)).to_bytes(2, "little", signed=True) for a, b in zip(*sides, strict=True)
    )
