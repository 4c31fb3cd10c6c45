"""What carriers do to messages besides delaying them: order, copies, and the echoes of marks; from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from .conditions import LineConditions

__all__ = ["Echoes", "Shuffle"]


class Shuffle:
    """The caller's frames on their way to the server: some are overtaken by others, some come twice."""

    def __init__(self, conditions: LineConditions) -> None:
        self._conditions = conditions
        self._random = Random(f"{conditions.seed}/shuffle")
        self._count = 0
        self._kept: list[tuple[float, str]] = []

    def pass_on(self, message: str) -> Iterator[str]:
        """Takes the message of the next frame; gives those that the server gets now."""
        self._count += 1
        copies = 1 + self._happens(self._conditions.frames_repeated)
        for _ in range(copies):
            place: float = self._count
            if self._happens(self._conditions.frames_reordered):
                # Behind the frame that overtakes it last, and before the next.
                place += self._random.randint(1, self._conditions.reorder_frames) + 0.5
            self._kept.append((place, message))
        self._kept.sort(key=lambda kept: kept[0])
        while self._kept and self._kept[0][0] < self._count + 1:
            yield self._kept.pop(0)[1]

    def rest(self) -> Iterator[str]:
        """What was still to be overtaken when the caller hung up."""
        while self._kept:
            yield self._kept.pop(0)[1]

    def _happens(self, share: float) -> bool:
        return share > 0 and self._random.random() < share


class Echoes:
    """The echoes of marks: some get lost, some come late, some come twice."""

    def __init__(self, conditions: LineConditions) -> None:
        self._conditions = conditions
        self._random = Random(f"{conditions.seed}/echoes")
        self._kept: list[tuple[float, str]] = []

    def send(self, name: str, now: float) -> None:
        """The mark ``name`` was played, or returned by a clear."""
        if self._happens(self._conditions.marks_lost):
            return
        for _ in range(1 + self._happens(self._conditions.marks_repeated)):
            late = self._happens(self._conditions.marks_late)
            by = self._random.uniform(0, self._conditions.marks_late_ms) / 1000 if late else 0.0
            self._kept.append((now + by, name))
        self._kept.sort(key=lambda kept: kept[0])

    def due(self, now: float) -> Iterator[str]:
        """The echoes that go out at ``now``."""
        while self._kept and self._kept[0][0] <= now:
            yield self._kept.pop(0)[1]

    def _happens(self, share: float) -> bool:
        return share > 0 and self._random.random() < share
