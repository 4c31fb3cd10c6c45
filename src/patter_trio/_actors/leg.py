"""The caller's leg: the one writer of the carrier's socket."""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager

import attrs
import trio

from ..abc import MediaSocket, MediaWire, WritesDigits
from ..errors import CarrierStalledError
from ..events import AudioFormat
from .ticker import Tick, Ticker

__all__ = ["Leg"]

# A carrier that takes nothing for this long no longer plays anything to the caller either.
_STALL_SECONDS = 1.5


@attrs.define
class _Queued:
    message: str
    turn: int | None
    since: float


class Leg:
    """What we send to the caller, in order, whole messages only.

    Posting never waits: the message goes straight to the socket if that can take it, else it queues for
    :meth:`write`, the actor that the call runs. Nothing here runs inside a turn's scope, so a cancelled
    turn never leaves a torn frame; what the queue still holds of it is dropped by :meth:`clear`.

    ``busy_until`` is when the carrier will have played what was sent beside the turns: see
    :class:`~patter_trio._actors.accompany.AccompaniedLeg`.
    """

    busy_until = 0.0

    def __init__(self, socket: MediaSocket, wire: MediaWire) -> None:
        self._socket = socket
        self._wire = wire
        self._queue: deque[_Queued] = deque()
        self._waiting = trio.lowlevel.ParkingLot()
        self._broken = False
        self.audio: AudioFormat = wire.audio

    def post_audio(self, frame: bytes, turn: int) -> None:
        """Plays a frame of a turn's sound."""
        self._post(self._wire.encode_audio(frame), turn)

    def post_mark(self, name: str, turn: int) -> None:
        """Asks to be told when everything before it was played."""
        self._post(self._wire.encode_mark(name), turn)

    def post_digits(self, digits: str) -> None:
        """Presses keys, at a carrier whose wire has a message for it."""
        assert isinstance(self._wire, WritesDigits), "asked only where presses_keys is true"
        self._post(self._wire.encode_digits(digits), None)

    @property
    def presses_keys(self) -> bool:
        """Whether the carrier's wire has a message for keys."""
        return isinstance(self._wire, WritesDigits)

    def clear(self, turn: int) -> int:
        """Drops what is not on the wire yet of a turn and clears the carrier's buffer; returns the drops.

        Only to be called when the turn's nursery has joined: nothing of the turn can follow.
        """
        kept = deque(queued for queued in self._queue if queued.turn != turn)
        dropped = len(self._queue) - len(kept)
        self._queue = kept
        self._post(self._wire.encode_clear(), None)
        return dropped

    def paced(self, ticker: Ticker, tick: Tick) -> AbstractContextManager[None]:
        """Calls a player's ``tick(now)`` every 20 ms while the block runs."""
        return ticker.paced(tick)

    @property
    def queued(self) -> int:
        """Messages that the socket has not taken yet."""
        return len(self._queue)

    def _post(self, message: str, turn: int | None) -> None:
        if self._broken or (not self._queue and self._socket.send_nowait(message)):
            return
        self._queue.append(_Queued(message, turn, trio.current_time()))
        self._waiting.unpark()

    async def write(self) -> None:
        """Sends what the socket did not take at once, until cancelled or the connection breaks.

        A connection that breaks here is not judged here: a hang-up looks the same from this side, and whoever
        reads the socket knows whether a ``stop`` came first.

        Raises:
            CarrierStalledError: a message could not be sent for 1.5 s.
        """
        while True:
            while not self._queue:
                await self._waiting.park()
            queued = self._queue[0]
            # A carrier that takes a message now and then is stalled too: what waits is late for the ear.
            with trio.move_on_at(queued.since + _STALL_SECONDS) as scope:
                # The head stays in the queue while it is being sent, so that nothing overtakes it.
                queued.turn = None
                try:
                    await self._socket.send(queued.message)
                except trio.BrokenResourceError:
                    self._broken = True
                    self._queue.clear()
                    return
            if scope.cancelled_caught:
                raise CarrierStalledError(f"the carrier took nothing for {_STALL_SECONDS} s")
            self._queue.popleft()
