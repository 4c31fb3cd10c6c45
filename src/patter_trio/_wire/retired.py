"""Models that their vendors shut down, or are about to, and what takes their place.

A number that worked last month should say why it is silent: a retired name is accepted, since a gateway may
still serve it, and its successor is named. As of November 2026.
"""

from __future__ import annotations

__all__ = ["retirement"]

# The beginning of the names, since when, and the successor.
_RETIRED = (
    ("claude-3", "", "claude-haiku-5-5"),
    ("claude-sonnet-4-0", "2026-06-15", "claude-sonnet-5-5"),
    ("claude-sonnet-4-2025", "2026-06-15", "claude-sonnet-5-5"),
    ("claude-opus-4-0", "2026-06-15", "claude-opus-5-5"),
    ("claude-opus-4-2025", "2026-06-15", "claude-opus-5-5"),
    ("claude-sonnet-4-5", "2026-11-30", "claude-sonnet-5-5"),
    ("gemini-1.", "", "gemini-3.8-flash"),
    ("gemini-2.0", "", "gemini-3.8-flash"),
)


def retirement(model: str) -> str | None:
    """A sentence about a model that is retired or will be, with its successor; ``None`` for others."""
    for beginning, since, successor in _RETIRED:
        if model.startswith(beginning):
            ends = f"is served until {since}" if since else "is retired"
            return f"model {model!r} {ends}; its successor is {successor!r}"
    return None
