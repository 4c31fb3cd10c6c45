"""A circuit breaker: a tool that keeps failing is left alone for a while.

Pure: time is passed in. Closed, calls pass; after ``failures`` of them in a row failed it is open and calls
are refused; after ``open_seconds`` one probe passes, and how that one ends decides.
"""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["CircuitBreaker", "Permit", "Refusal"]


@attrs.frozen
class Permit:
    """A call may go; hand it back with how the call ended. One from an earlier period decides nothing."""

    period: int


@attrs.frozen
class Refusal:
    """A call may not go; another one may after this many seconds."""

    retry_after: float


@attrs.define
class CircuitBreaker:
    """Decides whether a tool may be called now.

    Args:
        failures: so many failures in a row open it.
        open_seconds: so long it stays open before a probe.
    """

    failures: int = 5
    open_seconds: float = 30.0
    state: Literal["closed", "open", "half_open"] = attrs.field(default="closed", init=False)
    _in_a_row: int = attrs.field(default=0, init=False)
    _opened_at: float = attrs.field(default=0.0, init=False)
    # Grows with each change of state: outcomes of calls from before a change say nothing about after it.
    _period: int = attrs.field(default=0, init=False)

    def admit(self, now: float) -> Permit | Refusal:
        """Asks for one call."""
        if self.state == "open":
            wait = self._opened_at + self.open_seconds - now
            if wait > 0:
                return Refusal(wait)
            self._change("half_open")
        elif self.state == "half_open":
            # The probe is on its way; nobody knows how long it takes.
            return Refusal(1.0)
        return Permit(self._period)

    def succeeded(self, permit: Permit) -> None:
        """The call did what it was asked."""
        if permit.period == self._period:
            self._in_a_row = 0
            if self.state == "half_open":
                self._change("closed")

    def failed(self, permit: Permit, now: float) -> None:
        """The call failed."""
        if permit.period == self._period:
            self._in_a_row += 1
            if self.state == "half_open" or self._in_a_row >= self.failures:
                self._opened_at = now
                self._change("open")

    def given_up(self, permit: Permit, now: float) -> None:
        """The call was cancelled: it says nothing about the tool, but its probe must not block the next."""
        if permit.period == self._period and self.state == "half_open":
            self._opened_at = now - self.open_seconds
            self._change("open")

    def _change(self, state: Literal["closed", "open", "half_open"]) -> None:
        self.state = state
        self._period += 1
        if state != "half_open":
            self._in_a_row = 0
