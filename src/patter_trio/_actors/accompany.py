"""accompany: plays the background sound of a call, under the agent's speech and where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from .._audio.background import Bed
from .._audio.frame import FRAME_SECONDS
from ..abc import MediaSocket, MediaWire
from .leg import Leg
from .ticker import Tick, Ticker

__all__ = ["AccompaniedLeg", "accompany"]

# Three frames ride out the jitter of our clock; a turn's first word waits behind them.
_LEAD_SECONDS = 0.06


class AccompaniedLeg(Leg):
    """A leg with a background sound: under what the turns send, and alone where they send nothing.

    The background is nobody's turn: it has no marks, no ledger knows of it, and a ``clear`` drops what the
    carrier holds of it along with everything else. While a turn sends, the carrier's buffer is full enough,
    and nothing is sent alone.

    Args:
        socket: as for every leg.
        wire: likewise.
        bed: the sound.
        lead: seconds that a turn may be ahead of the caller's ear; the background is ahead by no more.
    """

    def __init__(self, socket: MediaSocket, wire: MediaWire, bed: Bed, lead: float) -> None:
        super().__init__(socket, wire)
        self._bed = bed
        self._lead = min(lead, _LEAD_SECONDS)
        self._players: dict[object, Tick] = {}
        self._plays_until = 0.0

    def post_audio(self, frame: bytes, turn: int) -> None:
        """Plays a frame of a turn's sound, with the background under it."""
        super().post_audio(self._bed.under(frame), turn)
        self._carries(frame, trio.current_time())

    def clear(self, turn: int) -> int:
        """As for every leg; the background begins anew behind it."""
        self._plays_until = self.busy_until = 0.0
        return super().clear(turn)

    @contextmanager
    def paced(self, ticker: Ticker, tick: Tick) -> Iterator[None]:
        """Ticks while the block runs, each time before the background is looked at."""
        key = object()
        self._players[key] = tick
        try:
            yield
        finally:
            del self._players[key]

    def tick(self, now: float) -> None:
        """Lets the turns send what is due, then fills up what is left of the lead."""
        for tick in list(self._players.values()):
            tick(now)
        # What the carrier does not take would only grow old here.
        while not self.queued and not self._bed.ended:
            if self._plays_until - now >= self._lead - FRAME_SECONDS / 2:
                break
            frame = self._bed.alone()
            self._post(self._wire.encode_audio(frame), None)
            self._carries(frame, now)
            self.busy_until = self._plays_until

    def _carries(self, frame: bytes, now: float) -> None:
        self._plays_until = max(self._plays_until, now) + self.audio.seconds_in(len(frame))


async def accompany(leg: AccompaniedLeg, ticker: Ticker) -> None:
    """Paces the background, and the turns with it, until cancelled."""
    with ticker.paced(leg.tick):
        await trio.sleep_forever()
