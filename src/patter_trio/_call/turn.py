"""A turn: one answer of the agent, from the decision to speak to the last sound heard."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress

import attrs
import trio

from .._actors.channels import Level
from .._actors.fill import fill
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
from .._turns.cancelled import CancelReport, Stages
from .._turns.latency import TurnMetrics, TurnTimes
from .._turns.ledger import Ledger
from .._turns.playout import Playout
from .._turns.usage import Tally
from ..abc import Voice
from ..errors import LanguageModelError, ProviderError, VoiceError
from ..events import SpokenAudio, TurnKind

__all__ = ["Filler", "Script", "Stagehands", "Turn", "run_turn"]

# Sentences wait here while the voice works: enough that a model never waits for a voice in practice.
_SENTENCES = 8
# Pieces of 100-200 ms: with what the player queues (2 s), the voice may be about 3.5 s ahead.
_PIECES = 8


@attrs.frozen
class Script:
    """What a turn will say: where the text comes from, and whose it is.

    ``deltas`` is entered by the turn, so it is closed with it. ``provider`` and ``model`` name the source,
    ``tally`` counts what it costs.
    """

    deltas: AbstractAsyncContextManager[AsyncIterable[str]]
    provider: str
    model: str
    tally: Tally = attrs.field(factory=Tally)


@attrs.frozen
class Filler:
    """What is said when the answer has no sound ``after`` seconds, until it has."""

    text: str
    after: float


@attrs.frozen
class Stagehands:
    """What every turn of a call works with."""

    voice: Voice
    voice_name: str
    leg: Leg
    ticker: Ticker
    report: Reporter


@attrs.define(eq=False)
class Turn:
    """The facts of one turn, shared by its actors and whoever may cut it.

    ``serial`` is unique within the call and tags what the turn sends; ``idx`` is the public turn index,
    which counts the caller's utterances: a repeated or resumed answer has its own serial and the same index.
    ``text`` is all it will say, where that is known beforehand; ``written`` is true once the model has
    written all of it. A turn that is not ``committed`` answers words that may still change: it works behind
    its closed gate, and nobody is told of it.
    """

    serial: int
    idx: int
    kind: TurnKind
    user_text: str
    ledger: Ledger
    playout: Playout
    times: TurnTimes
    text: str = ""
    interruptible: bool = True
    tally: Tally = attrs.field(factory=Tally)
    committed: bool = True
    preempted: bool = False
    filled: bool = False
    gate: Level[bool] = attrs.field(factory=lambda: Level(True))
    marks: Level[int] = attrs.field(factory=lambda: Level(0))
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    floor_lost: bool = False
    written: bool = False
    error: ProviderError | None = None
    tts_characters: int = 0
    stages: Stages = attrs.field(factory=Stages)
    cancel: CancelReport | None = None
    _sentences: trio.MemorySendChannel[str] | None = None
    _untold: list[Callable[[], None]] = attrs.field(factory=list[Callable[[], None]])

    def tell(self, report: Callable[[], None]) -> None:
        """Reports something now, or as soon as the turn is committed."""
        if self.committed:
            report()
        else:
            self._untold.append(report)

    def commit(self, now: float, utterance_idx: int) -> None:
        """The words that it answers are the caller's: from now on it is a turn like any other."""
        self.committed = self.preempted = True
        self.idx = utterance_idx
        self.times.started = now
        untold, self._untold = self._untold, []
        for report in untold:
            report()
        self.gate.set(True)

    @contextmanager
    def taking_words(self, sentences: trio.MemorySendChannel[str]) -> Iterator[None]:
        """While the answer is written, other words may be put in between."""
        self._sentences = sentences.clone()
        try:
            yield
        finally:
            self._sentences.close()
            self._sentences = None

    async def interject(self, text: str) -> bool:
        """Says ``text`` behind what the turn has written so far; ``False`` if it has written all."""
        if self._sentences is None or self.floor_lost or not self.committed:
            return False
        spoken = speakable(text)
        if spoken:
            await self._give(spoken, self._sentences)
        return True

    async def _give(self, sentence: str, sentences: trio.MemorySendChannel[str]) -> None:
        self.wrote(sentence)
        try:
            await sentences.send(sentence)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The voice is gone; its failure ends the turn, and the words stand in the rest.
            await trio.lowlevel.checkpoint()

    def wrote(self, sentence: str) -> None:
        """A sentence is given to the voice."""
        if self.times.first_sentence is None:
            self.times.first_sentence = trio.current_time()
        self.ledger.write(sentence)
        self.tts_characters += len(sentence)

    @property
    def answered(self) -> bool:
        """Whether sound of the answer itself exists, and not only of what filled the pause before it."""
        return self.times.first_audio is not None

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
            preempted=self.preempted,
            filled=self.filled,
            hedges=self.tally.hedges,
            hedges_won=self.tally.hedges_won,
            usage=self.tally.spent,
            wasted=self.tally.wasted_in_all,
            cancel=self.cancel,
        )

    def conclude(self, joined: float) -> None:
        """Once it has joined and its account is closed: the record of how it was cancelled, if it was."""
        first = self.stages.first_cut
        if first is not None:
            cancelled = self.times.cancelled if self.times.cancelled is not None else first
            self.cancel = self.stages.report(
                cancelled,
                max(joined, cancelled),
                audible=self.audible,
                frames_unsent=self.playout.frames_queued,
                text_unheard=self.ledger.unheard_text(joined),
            )


async def run_turn(
    turn: Turn,
    script: Script,
    chunker: SentenceChunker,
    hands: Stagehands,
    filler: Filler | None = None,
) -> None:
    """Generates, speaks and plays until the turn was heard, failed or was cancelled from outside.

    A stage that fails ends the stages before it; what was already spoken is still played, and the error is
    left in ``turn.error``.
    """
    voice, voice_name, leg, report = hands.voice, hands.voice_name, hands.leg, hands.report

    def first_token() -> None:
        turn.times.first_token = trio.current_time()
        turn.tell(lambda: report.first_token(turn.idx, script.provider, script.model))

    def sound_exists() -> None:
        turn.tell(lambda: report.first_audio(turn.idx, voice_name))

    def first_audio() -> None:
        turn.times.first_audio = trio.current_time()
        if not turn.filled:
            sound_exists()

    def first_frame() -> None:
        turn.times.first_frame = trio.current_time()
        report.agent_speech_started(turn.idx, voice_name)

    def fill_with(piece: SpokenAudio) -> None:
        if not turn.filled:
            turn.filled = True
            sound_exists()
        turn.playout.fill(piece)

    to_voice, sentences = trio.open_memory_channel[str](_SENTENCES)
    to_player, sound = trio.open_memory_channel[SpokenAudio](_PIECES)

    async def think() -> None:
        with turn.taking_words(to_voice), _stage(turn, "generate", LanguageModelError, script.provider):
            await generate(script.deltas, chunker, to_voice, first_token, turn.wrote)
            turn.written = True

    async def speak() -> None:
        with _stage(turn, "synthesize", VoiceError, f"text to speech ({voice_name})"):
            with sentences, to_player:
                words = _Begun(sentences)
                if await words.begin():
                    pause.cancel()
                    await pause_over.wait()
                    await synthesize(voice, words, leg.audio, to_player, first_audio)
                pause.cancel()
            turn.ledger.complete = turn.error is None

    async def fill_the_pause(pause_filler: Filler) -> None:
        with _stage(turn, "fill", VoiceError, f"text to speech ({voice_name})"), pause:
            await trio.sleep(pause_filler.after)
            if turn.error is None:
                await fill(voice, pause_filler.text, leg.audio, fill_with)
                turn.playout.filled()
        pause_over.set()

    async def sound_out() -> None:
        with _cuttable(turn, "play"):
            await play(
                sound,
                turn.playout,
                turn.ledger,
                leg,
                turn.serial,
                hands.ticker,
                turn.gate,
                turn.marks,
                first_frame,
            )

    pause, pause_over = trio.CancelScope(), trio.Event()
    with turn.scope:
        async with trio.open_nursery() as stages:
            stages.start_soon(think)
            stages.start_soon(speak)
            stages.start_soon(sound_out)
            if filler is None:
                pause_over.set()
            else:
                stages.start_soon(fill_the_pause, filler)
    turn.times.ended = trio.current_time()


class _Begun:
    """Sentences of which the first one is waited for before anybody reads them.

    A voice works on one thing at a time: it is asked for the answer when there is one to be spoken.
    """

    def __init__(self, sentences: trio.MemoryReceiveChannel[str]) -> None:
        self._sentences = sentences
        self._first: list[str] = []

    async def begin(self) -> bool:
        """Waits for the first sentence; ``False`` when there will be none."""
        with suppress(trio.EndOfChannel):
            self._first.append(await self._sentences.receive())
        return bool(self._first)

    def __aiter__(self) -> _Begun:
        return self

    async def __anext__(self) -> str:
        if self._first:
            await trio.lowlevel.checkpoint()
            return self._first.pop()
        return await self._sentences.__anext__()


@contextmanager
def _cuttable(turn: Turn, name: str) -> Iterator[None]:
    """An actor of a turn, whose end by cancellation is noted."""
    try:
        yield
    except trio.Cancelled:
        turn.stages.cut(name, trio.current_time())
        raise


@contextmanager
def _stage(turn: Turn, name: str, error: type[ProviderError], what: str) -> Iterator[None]:
    """Somebody else's code behind one of our actors: its failure ends the turn, never the call."""
    try:
        with _cuttable(turn, name), foreign(error, what):
            yield
    except ProviderError as failure:
        # The stage that failed first closes its channels, and its neighbours fail on those.
        turn.error = turn.error or failure
