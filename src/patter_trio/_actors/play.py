"""play: paces a turn's sound to the caller and waits until it was heard."""

from __future__ import annotations

from collections.abc import Callable

import trio

from .._turns.ledger import Ledger
from .._turns.playout import Playout
from ..events import SpokenAudio
from .channels import Level
from .leg import Leg
from .ticker import Ticker

__all__ = ["play"]

# Sound that waits here is lost work when the caller interrupts: two seconds ride out a slow voice.
_QUEUE_SECONDS = 2.0


async def play(
    sound: trio.MemoryReceiveChannel[SpokenAudio],
    playout: Playout,
    ledger: Ledger,
    leg: Leg,
    turn: int,
    ticker: Ticker,
    gate: Level[bool],
    marks: Level[int],
    on_first: Callable[[], None],
) -> None:
    """Sends at the ticker's pace while ``gate`` is open; returns when the last sample was heard.

    ``marks`` counts the marks that the carrier has echoed. What fills the pause before the first piece of
    ``sound`` comes into ``playout`` by another way, and gives way to it.
    """
    progress = trio.lowlevel.ParkingLot()
    started = False

    def tick(now: float) -> None:
        nonlocal started
        if not gate.value:
            return
        sent = False
        for frame, mark in playout.due(now, leg.busy_until):
            leg.post_audio(frame, turn)
            if mark is not None:
                leg.post_mark(mark, turn)
            if not started:
                started = True
                on_first()
            sent = True
        if sent and progress:
            progress.unpark_all()

    with leg.paced(ticker, tick):
        async with sound:
            async for piece in sound:
                if playout.filling:
                    playout.drop()
                ledger.synthesise(len(piece.audio) // leg.audio.bytes_per_sample, piece.text, piece.words)
                playout.push(piece.audio)
                tick(trio.current_time())
                while playout.queued > _QUEUE_SECONDS:
                    await progress.park()
        playout.finish()
        tick(trio.current_time())
        while not playout.sent_all:
            await progress.park()
    last = playout.closing_mark()
    if last is not None:
        leg.post_mark(last, turn)
    with trio.move_on_at(ledger.plays_until + ledger.echo_seconds):
        await marks.wait_for(lambda _: ledger.all_marks_played)
    # The caller may be speaking over the very end: whether that takes the floor is decided first.
    await gate.wait_for(bool)
