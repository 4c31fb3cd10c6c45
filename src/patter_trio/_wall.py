"""The one place that reads wall time, for records that people read."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["wall_time"]


def wall_time() -> float:
    """Seconds since the epoch."""
    return datetime.now(UTC).timestamp()
