"""listen: joins the detector's edges and the recogniser's words into utterances."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from .._turns.endpointing import CallerWords, Endpointing, Utterance
from ..events import Transcript
from .channels import Level
from .judge import Verdict
from .observe import Reporter

__all__ = ["Commit", "EdgeSeen", "Heard", "listen"]


@attrs.frozen
class EdgeSeen:
    """A speech edge on its way to :func:`listen`; times are the trio clock."""

    speaking: bool
    at: float
    trailing_silence: float = 0.0


@attrs.frozen
class Commit:
    """Somebody says that the caller has finished."""


Heard = EdgeSeen | Transcript | Verdict | Commit


async def listen(
    heard: trio.MemoryReceiveChannel[Heard],
    endpointing: Endpointing,
    utterances: trio.MemorySendChannel[Utterance],
    words: Level[CallerWords],
    report: Reporter,
    ask: Callable[[int, str], None],
) -> None:
    """Commits utterances until the edges and results end; what is there then is committed too.

    ``words`` is kept at the words of the running utterance. ``ask`` puts a silence, with the words before
    it, to the turn detector; the verdict comes back through ``heard``.
    """
    with heard, utterances:
        ended = False
        while not ended:
            with trio.CancelScope(deadline=endpointing.wake_at):
                try:
                    item = await heard.receive()
                except trio.EndOfChannel:
                    ended = True
                else:
                    _take(item, endpointing, words, report)
            now = trio.current_time()
            silence = endpointing.ask(now)
            if silence is not None:
                ask(silence, endpointing.text)
            if ended:
                endpointing.speech_ended(now)
                now = endpointing.deadline
            utterance = endpointing.poll(now)
            if utterance is not None:
                if utterance.text:
                    report.end_of_utterance(utterance)
                words.set(attrs.evolve(words.value, committed=True))
                await utterances.send(attrs.evolve(utterance, turn_idx=report.turn_idx))


def _take(item: Heard, endpointing: Endpointing, words: Level[CallerWords], report: Reporter) -> None:
    match item:
        case Transcript():
            endpointing.transcript(item, trio.current_time())
            words.set(CallerWords(endpointing.text, item.is_final, words.value.serial + 1))
            if item.text:
                report.transcript("user", item.text, final=item.is_final)
        case Verdict():
            endpointing.judged(item.silence, item.finished)
        case Commit():
            endpointing.commit()
        case EdgeSeen(speaking=True):
            endpointing.speech_started(item.at)
        case EdgeSeen():
            endpointing.speech_ended(item.at, item.trailing_silence)
