"""listen: joins the detector's edges and the recogniser's words into utterances."""

from __future__ import annotations

import attrs
import trio

from .._turns.endpointing import Endpointing, Utterance
from ..events import Transcript
from .observe import Reporter

__all__ = ["EdgeSeen", "listen"]


@attrs.frozen
class EdgeSeen:
    """A speech edge on its way to :func:`listen`; times are the trio clock."""

    speaking: bool
    at: float
    trailing_silence: float = 0.0


async def listen(
    heard: trio.MemoryReceiveChannel[EdgeSeen | Transcript],
    endpointing: Endpointing,
    utterances: trio.MemorySendChannel[Utterance],
    report: Reporter,
) -> None:
    """Commits utterances until the edges and results end; what is there then is committed too."""
    with heard, utterances:
        ended = False
        while not ended:
            with trio.CancelScope(deadline=endpointing.deadline):
                try:
                    item = await heard.receive()
                except trio.EndOfChannel:
                    ended = True
                else:
                    _take(item, endpointing, report)
            now = trio.current_time()
            if ended:
                endpointing.speech_ended(now)
                now = endpointing.deadline
            utterance = endpointing.poll(now)
            if utterance is not None:
                if utterance.text:
                    report.end_of_utterance(utterance)
                await utterances.send(attrs.evolve(utterance, turn_idx=report.turn_idx))


def _take(item: EdgeSeen | Transcript, endpointing: Endpointing, report: Reporter) -> None:
    if isinstance(item, Transcript):
        endpointing.transcript(item, trio.current_time())
        if item.text:
            report.transcript("user", item.text, final=item.is_final)
    elif item.speaking:
        endpointing.speech_started(item.at)
    else:
        endpointing.speech_ended(item.at, item.trailing_silence)
