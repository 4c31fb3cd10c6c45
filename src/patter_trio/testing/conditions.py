"""What a telephone line does to sound on its way, from a seed."""

from __future__ import annotations

from random import Random
from typing import Literal, get_args

import attrs

from ..errors import PatterConfigError

__all__ = ["LineConditions", "MarksAtClear", "Path"]

MarksAtClear = Literal["returned", "forgotten", "unanswered"]
"""What a carrier does with the marks that are out when a ``clear`` comes.

``returned``: all come back at once, as Twilio and Telnyx document it. ``forgotten``: none comes back, as
follows from Plivo's wording: a checkpoint is answered only if everything before it was really played.
``unanswered``: as before, and no mark is answered after the clear until new sound was sent; Plivo's wording
leaves that open, too.
"""


def _share(_: object, field: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value <= 1:
        raise PatterConfigError(f"{field.name} is a probability, from 0 to 1, and not {value}")


@attrs.frozen
class LineConditions:
    """The line of one call; the same values give the same call.

    The way between carrier and server is an ordered stream: its messages come late, and only those of which
    the carrier itself changed the order come in another one. Loss is on the telephone's own leg: a lost frame
    of the caller is never sent to the server (its ``chunk`` and ``timestamp`` leave a gap), a lost frame of
    the agent is silence in the caller's ear.

    Args:
        seed: of every random choice.
        one_way_delay_ms: between carrier and server, in each direction.
        jitter_ms: up to so much more delay, evenly spread, drawn for every message.
        loss: the probability that a frame is lost, 0 to 1.
        drift_ppm: by how many millionths the carrier's clock is slow (positive) or fast (negative).
        frames_reordered: the probability that a frame of the caller is overtaken by those behind it. Telnyx
            does not promise the order of media.
        reorder_frames: by how many frames at most. How far frames go astray at Telnyx is not documented.
        frames_repeated: the probability that a frame of the caller comes twice. No carrier documents it.
        marks_lost: the probability that the echo of a mark does not come; with 1 the carrier never echoes.
        marks_late: the probability that an echo is late, so that it may come behind its successors, or in
            another turn. Plivo's ``playedStream`` may come after ``clearedAudio``.
        marks_late_ms: by up to how much, evenly spread.
        marks_repeated: the probability that an echo comes twice. No carrier documents it.
        marks_at_clear: what becomes of the marks that are out when ``clear`` comes; ``None`` for what the
            simulated carrier itself does.
        stops_twice: whether the carrier says ``stop`` twice. No carrier documents it; Plivo says it sometimes
            and sometimes not at all.
    """

    seed: int = 0
    one_way_delay_ms: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    jitter_ms: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    loss: float = attrs.field(default=0.0, validator=_share)
    drift_ppm: float = attrs.field(default=0.0, validator=attrs.validators.gt(-500_000))
    frames_reordered: float = attrs.field(default=0.0, validator=_share)
    reorder_frames: int = attrs.field(default=2, validator=attrs.validators.ge(1))
    frames_repeated: float = attrs.field(default=0.0, validator=_share)
    marks_lost: float = attrs.field(default=0.0, validator=_share)
    marks_late: float = attrs.field(default=0.0, validator=_share)
    marks_late_ms: float = attrs.field(default=1500.0, validator=attrs.validators.ge(0))
    marks_repeated: float = attrs.field(default=0.0, validator=_share)
    marks_at_clear: MarksAtClear | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.in_(get_args(MarksAtClear)))
    )
    stops_twice: bool = False

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
