"""What a telephone line does to sound on its way, from a seed."""

from __future__ import annotations

from random import Random

import attrs

__all__ = ["LineConditions", "Path"]


@attrs.frozen
class LineConditions:
    """The line of one call; the same values give the same call.

    The way between carrier and server is an ordered stream: its messages come late, never in another order.
    Loss is on the telephone's own leg: a lost frame of the caller is never sent to the server (its ``chunk``
    and ``timestamp`` leave a gap), a lost frame of the agent is silence in the caller's ear.

    Args:
        seed: of every random choice.
        one_way_delay_ms: between carrier and server, in each direction.
        jitter_ms: up to so much more delay, evenly spread, drawn for every message.
        loss: the probability that a frame is lost, 0 to 1.
        drift_ppm: by how many millionths the carrier's clock is slow (positive) or fast (negative).
    """

    seed: int = 0
    one_way_delay_ms: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    jitter_ms: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    loss: float = attrs.field(default=0.0, validator=[attrs.validators.ge(0), attrs.validators.le(1)])
    drift_ppm: float = attrs.field(default=0.0, validator=attrs.validators.gt(-500_000))

    @property
    def pace(self) -> float:
        """Seconds of the trio clock in one second of the carrier's clock."""
        return 1 + self.drift_ppm * 1e-6

    def path(self, direction: str) -> Path:
        """One direction of the line, with random numbers of its own."""
        return Path(self, direction)


class Path:
    """One direction of a line: when a message arrives, and whether a frame does."""

    def __init__(self, conditions: LineConditions, direction: str) -> None:
        self._conditions = conditions
        self._delays = Random(f"{conditions.seed}/{direction}/delay")
        self._losses = Random(f"{conditions.seed}/{direction}/loss")
        self._last = float("-inf")

    def arrival(self, sent: float) -> float:
        """When a message that is sent at ``sent`` arrives: never before the one ahead of it."""
        jitter = self._delays.uniform(0, self._conditions.jitter_ms) if self._conditions.jitter_ms else 0.0
        self._last = max(self._last, sent + (self._conditions.one_way_delay_ms + jitter) / 1000)
        return self._last

    def loses_frame(self) -> bool:
        """Whether the next frame is lost."""
        return self._conditions.loss > 0 and self._losses.random() < self._conditions.loss
