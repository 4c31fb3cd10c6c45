"""hear: the only reader of the carrier's socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import attrs
import trio

from .._audio.frame import FRAME_SECONDS
from ..abc import MediaSocket, MediaWire
from ..errors import RemoteProtocolError
from ..events import AudioReceived, DigitPressed, MarkPlayed, StreamStopped
from .channels import LossySender

__all__ = ["HearingCounts", "hear"]

# Twilio, Telnyx and Plivo send a frame every 20 ms, silence included; five seconds without a single
# message is a dead stream that nobody closed.
_SILENT_CARRIER_SECONDS = 5.0

# A gap is filled with silence up to this length; a longer one is a jump of the carrier's clock.
_LONGEST_GAP = 1.0


@attrs.define
class HearingCounts:
    """What arrived, and what of it could not be used.

    ``frames_lost`` never reached us; ``frames_dropped`` and ``blocks_dropped`` gave way to newer ones because
    the detector or the recogniser was too slow.
    """

    frames: int = 0
    frames_dropped: int = 0
    blocks_dropped: int = 0
    edges_dropped: int = 0
    malformed: int = 0
    unexpected: int = 0
    frames_lost: int = 0
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

    Malformed messages are counted and dropped. Lost frames become silence, so that media time never jumps.
    """
    ends_at: float | None = None
    with frames, trio.CancelScope(deadline=trio.current_time() + _SILENT_CARRIER_SECONDS) as watch:
        while True:
            try:
                event = wire.decode(await socket.receive())
            except trio.EndOfChannel:
                return "lost"
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
                if ends_at is not None and event.at - ends_at >= FRAME_SECONDS / 2:
                    _fill_gap(frames, wire, ends_at, event.at, counts)
                ends_at = event.at + wire.audio.seconds_in(len(event.audio))
                frames.push(event)
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


def _fill_gap(
    frames: LossySender[AudioReceived], wire: MediaWire, start: float, end: float, counts: HearingCounts
) -> None:
    missing = min(end - start, _LONGEST_GAP)
    counts.frames_lost += round(missing / FRAME_SECONDS)
    silence = wire.audio.silence * round(missing * wire.audio.sample_rate)
    frames.push(AudioReceived(silence, end - missing))
