"""When a frame of Telnyx's was spoken: from its ``timestamp``, whatever its unit is, and its ``chunk``."""

from __future__ import annotations

import attrs

__all__ = ["MediaTimes"]

# Nobody writes what the unit of ``timestamp`` is: examples show milliseconds, RTP has samples. A step counts
# as being in a unit when it is within this factor of the sound that it brings.
_NEAR = 1.5
_TOLERANCE = 0.5


@attrs.define
class MediaTimes:
    """Media times of one track; pure.

    ``chunk`` counts messages and is what Telnyx says to sort by. ``timestamp`` shows gaps as well; it is
    believed in the unit in which it steps as the sound does, and only while it makes sense: time that stands
    still or runs behind the sound does not. Then the time is counted in chunks.
    """

    sample_rate: int
    _chunk: int | None = None
    _stamp: int | None = None
    _at: float = 0.0
    _unit: float | None = None

    def read(self, chunk: int | None, stamp: int | None, seconds: float) -> float:
        """The time of a frame, in seconds.

        Args:
            chunk: its number, ``None`` where it has none: then it follows the one before.
            stamp: its time in an unknown unit, if it has one.
            seconds: how much sound it brings.
        """
        if self._chunk is None:
            self._chunk = 1 if chunk is None else chunk
            self._stamp = stamp
            self._at = max(0.0, (self._chunk - 1) * seconds)
            return round(self._at, 4)
        ahead = 1 if chunk is None else chunk - self._chunk
        passed = self._passed(ahead, stamp, seconds)
        at = self._at + (ahead * seconds if passed is None else passed)
        if ahead > 0:
            self._chunk += ahead
            self._stamp = stamp
            self._at = at
        # Rounded, so that a copy of a frame has the time of the frame.
        return round(at, 4)

    def _passed(self, ahead: int, stamp: int | None, seconds: float) -> float | None:
        """Seconds since the latest frame by the timestamps; ``None`` if they make no sense."""
        if stamp is None or self._stamp is None or not ahead:
            return None
        step = stamp - self._stamp
        if self._unit is None:
            self._unit = next(
                (unit for unit in self._units() if _is_near(step * unit, ahead * seconds)), None
            )
        if self._unit is None:
            return None
        passed, least = step * self._unit, (abs(ahead) - _TOLERANCE) * seconds
        # It may be more than the sound that came: what was lost, or silence that was not sent.
        if passed * (1 if ahead > 0 else -1) < least:
            self._unit = None
            return None
        return passed

    def _units(self) -> tuple[float, float]:
        return 1 / 1000, 1 / self.sample_rate


def _is_near(passed: float, sound: float) -> bool:
    return sound != 0 and 1 / _NEAR < passed / sound < _NEAR
