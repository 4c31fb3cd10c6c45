"""hear: the only reader of the carrier's socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import attrs
import trio

from .._audio.order import FrameOrder
from ..abc import EndsByClosing, MediaSocket, MediaWire
from ..errors import RemoteProtocolError
from ..events import AudioReceived, DigitPressed, MarkPlayed, StreamStopped
from .channels import LossySender

__all__ = ["HearingCounts", "hear"]

# Twilio, Telnyx and Plivo send a frame every 20 ms, silence included; five seconds without a single
# message is a dead stream that nobody closed.
_SILENT_CARRIER_SECONDS = 5.0


@attrs.define
class HearingCounts:
    """What arrived, and what of it could not be used.

    ``frames_lost`` did not reach us in time: silence stands in their place. ``frames_late`` of them came
    after that and were dropped, as were the ``frames_repeated`` that we had already. ``frames_reordered``
    came after their successors, yet in time. ``frames_dropped`` and ``blocks_dropped`` gave way to newer ones
    because the detector or the recogniser was too slow.
    """

    frames: int = 0
    frames_dropped: int = 0
    blocks_dropped: int = 0
    edges_dropped: int = 0
    malformed: int = 0
    unexpected: int = 0
    frames_lost: int = 0
    frames_late: int = 0
    frames_repeated: int = 0
    frames_reordered: int = 0
    late_marks: int = 0
    last_error: str = ""


async def hear(
    socket: MediaSocket,
    wire: MediaWire,
    frames: LossySender[AudioReceived],
    on_mark: Callable[[str], bool],
    on_digit: Callable[[str], None],
    counts: HearingCounts,
) -> Literal["stopped", "lost", "silent"]:
    """Reads the stream until it ends and says how: ``stopped`` is the carrier's own goodbye.

    Malformed messages are counted and dropped, and so is half a sample at the end of a frame, which would
    tear all that follow. Frames that come in another order, again or never leave here in order and without
    gaps, so that media time never runs back.
    """
    order = FrameOrder(wire.audio)
    with frames:
        try:
            how = await _read(socket, wire, frames, order, on_mark, on_digit, counts)
            for frame in order.flush():
                frames.push(frame)
            return how
        finally:
            counts.frames_lost, counts.frames_late = order.lost, order.late
            counts.frames_repeated, counts.frames_reordered = order.repeated, order.reordered


async def _read(
    socket: MediaSocket,
    wire: MediaWire,
    frames: LossySender[AudioReceived],
    order: FrameOrder,
    on_mark: Callable[[str], bool],
    on_digit: Callable[[str], None],
    counts: HearingCounts,
) -> Literal["stopped", "lost", "silent"]:
    sample = wire.audio.bytes_per_sample
    with trio.CancelScope(deadline=trio.current_time() + _SILENT_CARRIER_SECONDS) as watch:
        while True:
            try:
                event = wire.decode(await socket.receive())
            except trio.EndOfChannel:
                return "stopped" if isinstance(wire, EndsByClosing) else "lost"
            except RemoteProtocolError as error:
                counts.malformed += 1
                counts.last_error = str(error)
                continue
            now = trio.current_time()
            # Moving a deadline costs more than reading one: once a second is often enough.
            if watch.deadline - now < _SILENT_CARRIER_SECONDS - 1.0:
                watch.deadline = now + _SILENT_CARRIER_SECONDS
            if isinstance(event, AudioReceived):
                counts.frames += 1
                if len(event.audio) % sample:
                    counts.malformed += 1
                    counts.last_error = "half a sample at the end of a frame"
                    event = attrs.evolve(event, audio=event.audio[: -(len(event.audio) % sample)])
                for frame in order.feed(event):
                    frames.push(frame)
            elif isinstance(event, MarkPlayed):
                if not on_mark(event.name):
                    counts.late_marks += 1
            elif isinstance(event, DigitPressed):
                on_digit(event.digit)
            elif isinstance(event, StreamStopped):
                return "stopped"
            elif event is not None:
                counts.unexpected += 1
    return "silent"
