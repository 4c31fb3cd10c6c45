"""listen: joins the detector's edges, the recogniser's words and the caller's keys into utterances."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from .._turns.endpointing import CallerWords, Endpointing, Utterance
from .._turns.keys import KeyCollector, KeyInput
from ..events import Transcript
from .channels import Level
from .judge import Verdict
from .observe import Reporter

__all__ = ["Commit", "EdgeSeen", "Heard", "KeySeen", "listen"]


@attrs.frozen
class EdgeSeen:
    """A speech edge on its way to :func:`listen`; times are the trio clock."""

    speaking: bool
    at: float
    trailing_silence: float = 0.0


@attrs.frozen
class Commit:
    """Somebody says that the caller has finished."""


@attrs.frozen
class KeySeen:
    """A key that the caller pressed ``at`` that time, on its way to :func:`listen`."""

    key: str
    at: float


Heard = EdgeSeen | Transcript | Verdict | Commit | KeySeen


async def listen(
    heard: trio.MemoryReceiveChannel[Heard],
    endpointing: Endpointing,
    keys: KeyCollector,
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
        while not ended or keys.began < float("inf"):
            with trio.CancelScope(deadline=min(endpointing.wake_at, keys.deadline)):
                try:
                    item = await heard.receive()
                except trio.EndOfChannel:
                    ended = True
                else:
                    _take(item, endpointing, keys, words, report)
            now = trio.current_time()
            silence = endpointing.ask(now)
            if silence is not None:
                ask(silence, endpointing.text)
            pressed = keys.take() if ended else keys.poll(now)
            if pressed is not None:
                # Whoever has pressed a key has said what there was to say about it.
                endpointing.commit()
            if ended:
                endpointing.speech_ended(now)
            spoken = endpointing.poll(endpointing.deadline if ended else now)
            if spoken is not None and spoken.text and pressed is None and keys.began < _began(spoken):
                pressed = keys.take()
            utterance = _joined(spoken, pressed, now)
            if utterance is not None:
                if pressed is not None:
                    report.transcript("user", pressed.text)
                if utterance.text and not utterance.unworded:
                    report.end_of_utterance(utterance)
                words.set(attrs.evolve(words.value, committed=True))
                await utterances.send(attrs.evolve(utterance, turn_idx=report.turn_idx))


def _began(spoken: Utterance) -> float:
    return spoken.committed_at if spoken.speech_started is None else spoken.speech_started


def _joined(spoken: Utterance | None, pressed: KeyInput | None, now: float) -> Utterance | None:
    """Words and keys as one utterance, in the order in which they began."""
    if pressed is None:
        return spoken
    if spoken is None:
        return Utterance(pressed.text, "keys_pressed", committed_at=now, has_keys=True)
    parts = [spoken.text, pressed.text]
    if pressed.began < _began(spoken):
        parts.reverse()
    return attrs.evolve(spoken, text=" ".join(filter(None, parts)), trigger="keys_pressed", has_keys=True)


def _take(
    item: Heard, endpointing: Endpointing, keys: KeyCollector, words: Level[CallerWords], report: Reporter
) -> None:
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
        case KeySeen():
            keys.press(item.key, item.at)
        case EdgeSeen(speaking=True):
            endpointing.speech_started(item.at)
        case EdgeSeen():
            endpointing.speech_ended(item.at, item.trailing_silence)
