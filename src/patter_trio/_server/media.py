"""A carrier's media socket on our own port: the handshake, then whole messages over the fast path."""

from __future__ import annotations

import logging

import trio
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from .._net.frames import FrameSocket
from .._net.pipes import pipe_over
from .head import refusal
from .house import House, UpgradeRequest
from .limits import PortLimits, PortStats

__all__ = ["CarrierSocket", "serve_media"]

_log = logging.getLogger("patter_trio.server.media")
_quiet = logging.getLogger("patter_trio.server.websockets")
_quiet.setLevel(logging.WARNING)

_READ_SIZE = 4096
"""Ten times a carrier's message. A flood of the smallest frames costs the loop about 4 ms per read of this
size, after which everybody else has their turn."""


class CarrierSocket(FrameSocket):
    """The :class:`patter_trio.abc.MediaSocket` of our own port."""

    async def aclose(self) -> None:
        """Says goodbye within the deadline even when the call was cancelled, and closes."""
        with trio.CancelScope(shield=True):
            await super().aclose()


async def serve_media(
    stream: trio.abc.Stream,
    head: bytes,
    rest: bytes,
    upgrade: UpgradeRequest,
    house: House,
    *,
    limits: PortLimits,
    stats: PortStats,
) -> None:
    """Answers an upgrade and, if it is accepted, lets the house carry the stream to its end.

    Args:
        stream: the connection; it is used up.
        head: the request as it came.
        rest: bytes that came behind it: the peer's first frames.
    """
    # Compression is not offered: it costs more than 20 ms of base64 is worth.
    protocol = ServerProtocol(max_size=limits.message_bytes, logger=_quiet)
    protocol.receive_data(head)
    requests = protocol.events_received()
    if not requests or not isinstance(request := requests[0], Request):
        # Our own reading of the head is stricter in most ways, not in all: a body, or too many headers.
        stats.upgrades_refused += 1
        await stream.send_all(refusal(400))
        return
    response = protocol.accept(request)
    if response.status_code == 101:
        status = house.refuse_media(upgrade)
        if status is not None:
            response = protocol.reject(status, "")
    protocol.send_response(response)
    await stream.send_all(b"".join(protocol.data_to_send()))
    if protocol.state is not State.OPEN:
        stats.upgrades_refused += 1
        return
    socket = CarrierSocket(
        pipe_over(stream, read_size=_READ_SIZE), protocol, close_deadline=limits.close_deadline
    )
    if rest:
        socket.feed(rest)
    stats.media_total += 1
    stats.media_open += 1
    try:
        await house.run_media(socket, upgrade)
    finally:
        stats.media_open -= 1
        stats.pongs_dropped += socket.pongs_dropped
        if socket.oversized:
            stats.messages_oversized += 1
        elif socket.protocol_error is not None:
            stats.media_protocol_errors += 1
            _log.info("media socket from %s broke the protocol: %s", upgrade.peer, socket.protocol_error)
        await socket.aclose()
