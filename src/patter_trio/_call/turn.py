"""A turn: one answer of the agent, from the decision to speak to the last sound heard."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

import attrs
import trio

from .._actors.channels import Level
from .._actors.foreign import foreign
from .._actors.generate import generate
from .._actors.leg import Leg
from .._actors.observe import Reporter
from .._actors.play import play
from .._actors.synthesize import synthesize
from .._actors.ticker import Ticker
from .._text.sentences import SentenceChunker
from .._text.speakable import speakable
from .._text.words import split_words
from .._turns.latency import TurnMetrics, TurnTimes
from .._turns.ledger import Ledger
from .._turns.playout import Playout
from ..abc import Voice
from ..errors import LanguageModelError, ProviderError, VoiceError
from ..events import SpokenAudio, TurnKind

__all__ = ["Script", "Turn", "run_turn"]

# Sentences wait here while the voice works: enough that a model never waits for a voice in practice.
_SENTENCES = 8
# Pieces of 100-200 ms: with what the player queues (2 s), the voice may be about 3.5 s ahead.
_PIECES = 8


@attrs.frozen
class Script:
    """What a turn will say: where the text comes from, and whose it is.

    ``deltas`` is entered by the turn, so it is closed with it. ``provider`` and ``model`` name the source.
    """

    deltas: AbstractAsyncContextManager[AsyncIterable[str]]
    provider: str
    model: str


@attrs.define(eq=False)
class Turn:
    """The facts of one turn, shared by its actors and whoever may cut it.

    ``serial`` is unique within the call and tags what the turn sends; ``idx`` is the public turn index,
    which counts the caller's utterances: a repeated or resumed answer has its own serial and the same index.
    ``text`` is all it will say, where that is known beforehand; ``written`` is true once the model has
    written all of it.
    """

    serial: int
    idx: int
    kind: TurnKind
    user_text: str
    ledger: Ledger
    playout: Playout
    times: TurnTimes
    text: str = ""
    gate: Level[bool] = attrs.field(factory=lambda: Level(True))
    marks: Level[int] = attrs.field(factory=lambda: Level(0))
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    floor_lost: bool = False
    written: bool = False
    error: ProviderError | None = None
    tts_characters: int = 0

    @property
    def audible(self) -> bool:
        """Whether a frame of it went out."""
        return self.ledger.sent > 0

    def rest(self, now: float) -> str:
        """What it had still to say: of a text known beforehand, also what was not written yet."""
        if not self.text:
            return self.ledger.unheard_text(now)
        heard = len(split_words(self.ledger.heard_text(now)))
        return " ".join(split_words(speakable(self.text))[heard:])

    def played_out(self, now: float) -> bool:
        """Whether all there was to say was sent and, by our clock, played: only its last mark is missing."""
        return (
            self.audible and self.ledger.complete and self.playout.sent_all and now >= self.ledger.plays_until
        )

    def wake(self) -> None:
        """Lets whoever waits for a mark look again: the line is gone."""
        self.marks.set(self.marks.value + 1)

    def mark_played(self, name: str) -> bool:
        """The carrier echoed a mark; ``False`` if it is none of this turn's."""
        known = self.ledger.mark_played(name, trio.current_time())
        if known:
            self.marks.set(self.marks.value + 1)
        return known

    def metrics(self, wall: float, samples_per_second: int) -> TurnMetrics:
        """The record of the turn, once it is over."""
        now = self.times.ended or 0.0
        return TurnMetrics(
            turn_index=self.idx,
            kind=self.kind,
            user_text=self.user_text,
            agent_text=self.ledger.heard_text(now),
            unheard_text=self.ledger.unheard_text(now),
            interrupted=self.floor_lost,
            latency=self.times.breakdown(),
            tts_characters=self.tts_characters,
            audio_sent_seconds=self.ledger.sent / samples_per_second,
            audio_heard_seconds=self.ledger.heard(now) / samples_per_second,
            timestamp=wall,
            error_code=str(self.error.code) if self.error else None,
        )


async def run_turn(
    turn: Turn,
    script: Script,
    chunker: SentenceChunker,
    voice: Voice,
    voice_name: str,
    leg: Leg,
    ticker: Ticker,
    report: Reporter,
) -> None:
    """Generates, speaks and plays until the turn was heard, failed or was cancelled from outside.

    A stage that fails ends the stages before it; what was already spoken is still played, and the error is
    left in ``turn.error``.
    """

    def first_token() -> None:
        turn.times.first_token = trio.current_time()
        report.first_token(turn.idx, script.provider, script.model)

    def first_audio() -> None:
        turn.times.first_audio = trio.current_time()
        report.first_audio(turn.idx, voice_name)

    def first_frame() -> None:
        turn.times.first_frame = trio.current_time()
        report.agent_speech_started(turn.idx, voice_name)

    def wrote(sentence: str) -> None:
        if turn.times.first_sentence is None:
            turn.times.first_sentence = trio.current_time()
        turn.ledger.write(sentence)
        turn.tts_characters += len(sentence)

    to_voice, sentences = trio.open_memory_channel[str](_SENTENCES)
    to_player, sound = trio.open_memory_channel[SpokenAudio](_PIECES)

    async def think() -> None:
        with _stage(turn, LanguageModelError, script.provider):
            await generate(script.deltas, chunker, to_voice, first_token, wrote)
            turn.written = True

    async def speak() -> None:
        with _stage(turn, VoiceError, f"text to speech ({voice_name})"):
            await synthesize(voice, sentences, leg.audio, to_player, first_audio)
            turn.ledger.complete = turn.error is None

    async def sound_out() -> None:
        await play(
            sound, turn.playout, turn.ledger, leg, turn.serial, ticker, turn.gate, turn.marks, first_frame
        )

    with turn.scope:
        async with trio.open_nursery() as stages:
            stages.start_soon(think)
            stages.start_soon(speak)
            stages.start_soon(sound_out)
    turn.times.ended = trio.current_time()


@contextmanager
def _stage(turn: Turn, error: type[ProviderError], what: str) -> Iterator[None]:
    """Somebody else's code behind one of our actors: its failure ends the turn, never the call."""
    try:
        with foreign(error, what):
            yield
    except ProviderError as failure:
        # The stage that failed first closes its channels, and its neighbours fail on those.
        turn.error = turn.error or failure
