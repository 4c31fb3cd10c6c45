"""Documents that Plivo was told to fetch, and does some time later; and what else is kept for that long."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from urllib.parse import parse_qs

import attrs

__all__ = ["LeftDocuments"]

# The human of a warm transfer fetches theirs on answer, after at most ten minutes of ringing.
_KEPT_SECONDS = 900.0
# A call leaves one or two at a time.
_MOST = 4096


@attrs.frozen
class _Left:
    text: str
    token: str
    until: float


@attrs.frozen
class LeftDocuments:
    """Pure, so time is passed in. A document is kept after it was fetched: Plivo asks again after failures.

    Whoever fetches it names it and the call it was left for.
    """

    _left: OrderedDict[str, _Left] = attrs.field(factory=OrderedDict[str, _Left], repr=False)

    def __len__(self) -> int:
        return len(self._left)

    def leave(self, text: str, token: str, now: float) -> str:
        """Keeps a document for a call; returns what names it."""
        while self._left and (len(self._left) >= _MOST or next(iter(self._left.values())).until < now):
            self._left.popitem(last=False)
        ref = secrets.token_urlsafe(16)
        self._left[ref] = _Left(text, token, now + _KEPT_SECONDS)
        return ref

    def find(self, url: str, now: float) -> str | None:
        """The document that an address names, if it is still kept."""
        query = parse_qs(url.partition("#")[0].partition("?")[2])
        (ref, *_), (token, *_) = query.get("ref", [""]), query.get("call", [""])
        left = self._left.get(ref)
        if left is None or left.until < now or not secrets.compare_digest(left.token, token):
            return None
        return left.text
