"""The caller's frames in the order in which they were spoken, whatever order they came in."""

from __future__ import annotations

from collections import deque

import attrs

from ..events import AudioFormat, AudioReceived
from .frame import FRAME_SECONDS

__all__ = ["FrameOrder"]

# Telnyx does not keep the order of media. Three frames may overtake one, and 60 ms is what a lost frame
# holds up those behind it; frames in order wait for nothing.
_WINDOW = 3 * FRAME_SECONDS

# A gap is filled with silence up to this length; a longer one is a jump of the carrier's clock.
_LONGEST_GAP = 1.0

# Carriers write their times in whole milliseconds and start them anywhere.
_TOLERANCE = FRAME_SECONDS / 2

# A copy comes soon after its frame; late frames are known by the silence that stands in their place.
_REMEMBERED = 16


@attrs.define
class FrameOrder:
    """Sorts frames by their media time and fills with silence what never came; pure.

    A frame that is next passes at once. One that came too early waits for those before it until more than
    60 ms of sound wait with it; then what is missing becomes silence. A frame that comes after that, or a
    second time, is dropped. Times that make no sense are not believed: such a frame follows the one before,
    because a carrier whose clock stumbles is still to be heard. So media time never runs back.

    Attributes:
        lost: frames in whose place silence was put.
        late: frames that came after that, or were spoken before the first one that came.
        repeated: frames that came once more.
        reordered: frames that were put back in order.
    """

    _audio: AudioFormat
    lost: int = 0
    late: int = 0
    repeated: int = 0
    reordered: int = 0
    _ends_at: float | None = None
    _early: list[AudioReceived] = attrs.field(factory=list[AudioReceived])
    _recent: deque[AudioReceived] = attrs.field(factory=lambda: deque[AudioReceived](maxlen=_REMEMBERED))
    _gaps: deque[tuple[float, float]] = attrs.field(
        factory=lambda: deque[tuple[float, float]](maxlen=_REMEMBERED)
    )

    def feed(self, frame: AudioReceived) -> list[AudioReceived]:
        """Takes a frame; returns what can be heard now, in order and without gaps."""
        if self._ends_at is None:
            # The first frame may have overtaken others, too.
            self._ends_at = frame.at
            self._gaps.append((frame.at - _LONGEST_GAP, frame.at))
        ahead = frame.at - self._ends_at
        if ahead < -_TOLERANCE:
            if frame in self._recent:
                self.repeated += 1
                return []
            if any(start - _TOLERANCE <= frame.at < end - _TOLERANCE for start, end in self._gaps):
                self.late += 1
                return []
            return [self._pass(frame), *self._due()]
        if ahead < _TOLERANCE:
            if self._early:
                self.reordered += 1
            return [self._pass(frame), *self._due()]
        if frame in self._early:
            self.repeated += 1
            return []
        self._early.append(frame)
        self._early.sort(key=lambda early: early.at)
        return self._due()

    def flush(self) -> list[AudioReceived]:
        """Nothing more will come: what waited for others, with silence in their place."""
        return self._due(flush=True)

    def _due(self, *, flush: bool = False) -> list[AudioReceived]:
        due: list[AudioReceived] = []
        while self._early:
            assert self._ends_at is not None
            if self._early[0].at - self._ends_at >= _TOLERANCE:
                if not flush and self._early[-1].at - self._ends_at <= _WINDOW + _TOLERANCE:
                    break
                due.append(self._silence(self._ends_at, self._early[0].at))
            due.append(self._pass(self._early.pop(0)))
        return due

    def _pass(self, frame: AudioReceived) -> AudioReceived:
        assert self._ends_at is not None
        self._recent.append(frame)
        if frame.at - self._ends_at < -_TOLERANCE:
            frame = attrs.evolve(frame, at=self._ends_at)
        self._ends_at = frame.at + self._audio.seconds_in(len(frame.audio))
        return frame

    def _silence(self, start: float, end: float) -> AudioReceived:
        missing = min(end - start, _LONGEST_GAP)
        self.lost += round(missing / FRAME_SECONDS)
        self._gaps.append((end - missing, end))
        return AudioReceived(self._audio.silence * round(missing * self._audio.sample_rate), end - missing)
