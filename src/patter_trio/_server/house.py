"""What the port needs of the session behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from ..abc import MediaSocket, WebhookRequest
from ..telephony import WebhookReply

__all__ = ["House", "UpgradeRequest"]


@attrs.frozen
class UpgradeRequest:
    """A carrier's request to open a media stream.

    Args:
        target: path and query exactly as they stood in the request line.
        headers: by lower-case name; values of a repeated header are joined with ``", "``.
        peer: the address it came from, for logs; empty when there is none.
    """

    target: str
    headers: Mapping[str, str]
    peer: str = ""


class House(Protocol):
    """The session, as the port sees it."""

    def refuse_media(self, upgrade: UpgradeRequest) -> int | None:
        """The HTTP status to refuse a media stream with (403, 503 …), ``None`` to accept it."""
        ...

    async def run_media(self, socket: MediaSocket, upgrade: UpgradeRequest) -> None:
        """Carries one media stream until it is over; the port closes the socket afterwards."""
        ...

    async def answer_webhook(self, kind: str, what: str, request: WebhookRequest) -> WebhookReply:
        """Answers a webhook of the carrier ``kind`` about ``what``."""
        ...

    def health(self) -> Mapping[str, Any]:
        """What ``/health`` shows, as JSON."""
        ...

    def public_url(self, target: str, *, websocket: bool = False) -> str:
        """The absolute URL under which the world reaches ``target``, from configuration alone."""
        ...
