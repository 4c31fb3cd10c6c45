"""What an answer of a carrier's REST API is, whichever carrier it is."""

from __future__ import annotations

import attrs

__all__ = ["RestAnswer"]


@attrs.frozen
class RestAnswer:
    """An HTTP answer. ``retry_after`` is that header, in seconds; a date there is not read."""

    status: int
    body: bytes = attrs.field(default=b"", repr=False)
    retry_after: int | None = None

    @property
    def is_success(self) -> bool:
        """Whether the request was carried out."""
        return 200 <= self.status < 300
