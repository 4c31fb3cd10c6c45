"""How much the port takes from anybody, and the counters of what it met."""

from __future__ import annotations

import attrs
from attrs.validators import gt

__all__ = ["PortLimits", "PortStats"]


@attrs.frozen(kw_only=True)
class PortLimits:
    """Bounds on what one stranger can cost. Seconds and bytes.

    Args:
        head_bytes: largest request line and headers together.
        head_deadline: from connecting to the end of the first head.
        keep_alive: how long an idle HTTP connection may wait for its next complete head.
        exchange_deadline: from a complete head to the end of its answer; webhook bodies, the house's work
            and a slow reader are all within it. Twilio itself waits 15 s for an answer.
        message_bytes: largest WebSocket message; carriers send below 2 KiB.
        close_deadline: for saying goodbye, the connection's last act.
        max_connections: open at once, calls included; above it a connection is turned away with a 503.
        accept_backoff: pause after an accept that failed for want of descriptors or memory.
    """

    head_bytes: int = attrs.field(default=16 * 1024, validator=gt(0))
    head_deadline: float = attrs.field(default=10.0, validator=gt(0))
    keep_alive: float = attrs.field(default=30.0, validator=gt(0))
    exchange_deadline: float = attrs.field(default=30.0, validator=gt(0))
    message_bytes: int = attrs.field(default=64 * 1024, validator=gt(0))
    close_deadline: float = attrs.field(default=1.0, validator=gt(0))
    max_connections: int = attrs.field(default=2000, validator=gt(0))
    accept_backoff: float = attrs.field(default=0.1, validator=gt(0))


@attrs.define(kw_only=True)
class PortStats:
    """What the port has met since it opened. The two ``*_open`` are levels, all others only grow."""

    connections_open: int = 0
    connections_total: int = 0
    connections_turned_away: int = 0
    connections_failed: int = 0
    accept_errors: int = 0
    heads_malformed: int = 0
    heads_oversized: int = 0
    heads_timed_out: int = 0
    peers_vanished: int = 0
    exchanges_timed_out: int = 0
    upgrades_refused: int = 0
    media_open: int = 0
    media_total: int = 0
    media_protocol_errors: int = 0
    messages_oversized: int = 0
    pongs_dropped: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counters by name."""
        return attrs.asdict(self)
