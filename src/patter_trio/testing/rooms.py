"""What a leg may be connected to besides a media stream: sound that is played to it, and other legs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import attrs
import numpy as np
import trio

from .._audio import g711
from ..events import MULAW_8K
from .ear import is_loud
from .wordsound import FRAME_BYTES

__all__ = ["SILENT_FRAME", "Connection", "PlayedSound", "Room", "Seat", "mix"]

SILENT_FRAME = b"\xff" * FRAME_BYTES
# A leg whose clock is fast does not pile up more than this of what the others say: 60 ms.
_WAITING_FRAMES = 3


class Connection(Protocol):
    """The other end of a leg, whatever it is."""

    def pass_frame(self, caller: bytes) -> bytes:
        """Takes 20 ms of what the telephone says; gives the 20 ms that it hears."""
        ...


class PlayedSound:
    """Sound that the carrier plays; ``over`` is set when all of it was."""

    def __init__(self, sound: bytes) -> None:
        self.over = trio.Event()
        self._sound = bytearray(sound)

    def pass_frame(self, caller: bytes) -> bytes:
        """The next 20 ms of it; what the telephone says is not listened to."""
        frame = bytes(self._sound[:FRAME_BYTES])
        del self._sound[:FRAME_BYTES]
        if not frame:
            self.over.set()
        return frame.ljust(FRAME_BYTES, b"\xff")


@attrs.define(eq=False)
class Seat:
    """A leg's place in a room: what the others said and it has not heard yet."""

    room: Room
    starts: bool = True
    ends: bool = False
    muted: bool = False
    held: bool = False
    waiting: dict[int, deque[bytes]] = attrs.field(factory=dict[int, deque[bytes]])

    def pass_frame(self, caller: bytes) -> bytes:
        """Says 20 ms to the others; hears what they said."""
        heard = [frames.popleft() for frames in self.waiting.values() if frames]
        if self.room.has_started and not self.muted and not self.held:
            for other in self.room.seats:
                if other is not self:
                    frames = other.waiting.setdefault(id(self), deque(maxlen=_WAITING_FRAMES))
                    frames.append(caller)
        return SILENT_FRAME if self.held else mix(heard)


class Room:
    """Where legs hear each other: the two ends of a transfer, or a conference with a name.

    Until somebody has entered who starts it, all in it wait in silence; when somebody leaves who ends it, it
    is over for everybody.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.seats: list[Seat] = []
        self.has_started = False
        self.over = trio.Event()

    @contextmanager
    def enter(self, *, starts: bool = True, ends: bool = False, muted: bool = False) -> Iterator[Seat]:
        """A place in it for the length of the block."""
        seat = Seat(self, starts, ends, muted)
        self.seats.append(seat)
        self.has_started = self.has_started or starts
        try:
            yield seat
        finally:
            self.seats.remove(seat)
            for other in self.seats:
                other.waiting.pop(id(seat), None)
            if ends or not self.seats:
                self.over.set()


def mix(frames: list[bytes]) -> bytes:
    """All at once; a single voice stays as it is, to the last bit."""
    loud = [frame for frame in frames if is_loud(frame)]
    if len(loud) < 2:
        return loud[0] if loud else SILENT_FRAME
    samples = [np.frombuffer(g711.decode(frame, MULAW_8K), "<i2").astype(np.int32) for frame in loud]
    total = np.clip(sum(samples[1:], samples[0]), -32768, 32767).astype("<i2")
    return g711.encode(total.tobytes(), MULAW_8K)
