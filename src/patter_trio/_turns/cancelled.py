"""What a turn was doing when it was cancelled, and how it took it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

__all__ = ["CancelReport", "Stages"]


@attrs.frozen
class CancelReport:
    """The record of one cancellation.

    Args:
        phase: whether anything of the turn had been sent when it was cancelled.
        running: the actors that were at work.
        stopped_ms: milliseconds from the cancellation until each of those had ended.
        cancel_ms: the same for all of the turn: its nursery had joined.
        frames_unsent: frames of sound that were ready and were not sent.
        text_unheard: what was written for the turn and never heard.
    """

    phase: Literal["thinking", "speaking"]
    running: tuple[str, ...]
    stopped_ms: Mapping[str, float]
    cancel_ms: float
    frames_unsent: int
    text_unheard: str


class Stages:
    """Which actors of a turn are at work, and when the cancellation ended each; times are clock seconds."""

    def __init__(self) -> None:
        self._cut: dict[str, float] = {}

    def cut(self, name: str, now: float) -> None:
        """An actor ended because it was cancelled."""
        self._cut[name] = now

    @property
    def first_cut(self) -> float | None:
        """When the first one did; ``None`` for a turn that was not cancelled."""
        return min(self._cut.values(), default=None)

    def report(
        self, cancelled: float, joined: float, *, audible: bool, frames_unsent: int, text_unheard: str
    ) -> CancelReport:
        """The record, once the turn has joined."""
        return CancelReport(
            phase="speaking" if audible else "thinking",
            running=tuple(self._cut),
            stopped_ms={name: round((at - cancelled) * 1000, 3) for name, at in self._cut.items()},
            cancel_ms=round((joined - cancelled) * 1000, 3),
            frames_unsent=frames_unsent,
            text_unheard=text_unheard,
        )
