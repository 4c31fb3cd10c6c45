"""A turn: one answer of the agent, from the decision to speak to the last sound heard."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial

import attrs
import trio

from .._actors.channels import Level
from .._audio.frame import FRAME_SECONDS
from .._text.sentences import Break
from .._text.speakable import speakable
from .._text.words import split_words
from .._turns.cancelled import CancelReport, Stages
from .._turns.history import UsedTool
from .._turns.latency import TurnMetrics, TurnTimes
from .._turns.ledger import Ledger
from .._turns.playout import Playout
from .._turns.usage import Tally
from ..errors import ProviderError
from ..events import SpokenAudio, TurnKind
from .wording import Reword

__all__ = ["PlayTones", "Press", "Script", "Turn"]

PlayTones = Callable[[bytes], Awaitable[bool]]
"""Plays sound in the carrier's format, and returns whether it was heard to its end."""

Press = Callable[[PlayTones], Awaitable[None]]
"""Presses keys, if need be by playing their tones."""

_BETWEEN_SENTENCES = 0.3

# What is being said takes no longer, or is not worth waiting for.
_LAST_WORDS_SECONDS = 10.0


@attrs.frozen
class Script:
    """What a turn will say: where the text comes from, and whose it is.

    ``deltas`` is entered by the turn, so it is closed with it. ``provider`` and ``model`` name the source.
    """

    deltas: AbstractAsyncContextManager[AsyncIterable[str | Break]]
    provider: str
    model: str


@attrs.define(eq=False)
class Turn:
    """The facts of one turn, shared by its actors and whoever may cut it.

    ``serial`` is unique within the call and tags what the turn sends; ``idx`` is the public turn index,
    which counts the caller's utterances: a repeated or resumed answer has its own serial and the same index.
    ``text`` is all it will say, where that is known beforehand; ``written`` is true once the model has
    written all of it. ``steps`` are the tools that were used, one list for each message of the model that
    called some. ``reword`` is what becomes of fixed words that are put in between. A turn that is not
    ``committed`` answers words that may still change: it works behind its closed gate, and nobody is told
    of it. While it is ``pressing`` keys, nobody takes the floor from it. ``pause`` is cancelled when
    what fills the pause before the answer is not needed any more. Once it is ``closed``, all of it is in the
    history that ever will be. In one that ``writes_late``, what is put in between is written down by whoever
    speaks it, when they do: the answer's own words are written as they sound.
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
    reword: Reword | None = None
    tally: Tally = attrs.field(factory=Tally)
    committed: Level[bool] = attrs.field(factory=lambda: Level(True))
    steps: list[list[UsedTool]] = attrs.field(factory=list[list[UsedTool]])
    preempted: bool = False
    filled: bool = False
    gate: Level[bool] = attrs.field(factory=lambda: Level(True))
    pressing: Level[bool] = attrs.field(factory=lambda: Level(False))
    marks: Level[int] = attrs.field(factory=lambda: Level(0))
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    pause: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    floor_lost: bool = False
    closed: bool = False
    writes_late: bool = False
    written: bool = False
    error: ProviderError | None = None
    tts_characters: int = 0
    stages: Stages = attrs.field(factory=Stages)
    cancel: CancelReport | None = None
    _sentences: trio.MemorySendChannel[str] | None = None
    _sound: trio.MemorySendChannel[SpokenAudio] | None = None
    _breaks: list[int] = attrs.field(factory=list[int])
    _untold: list[Callable[[], None]] = attrs.field(factory=list[Callable[[], None]])

    def tell(self, report: Callable[[], None]) -> None:
        """Reports something now, or as soon as the turn is committed."""
        if self.committed.value:
            report()
        else:
            self._untold.append(report)

    def commit(self, now: float, utterance_idx: int) -> None:
        """The words that it answers are the caller's: from now on it is a turn like any other."""
        self.preempted = True
        self.committed.set(True)
        self.idx = utterance_idx
        self.times.started = now
        untold, self._untold = self._untold, []
        for report in untold:
            report()
        self.gate.set(True)

    @contextmanager
    def taking_words(
        self, sentences: trio.MemorySendChannel[str], sound: trio.MemorySendChannel[SpokenAudio]
    ) -> Iterator[None]:
        """While the answer is written, other words may be put in between, and sound without any.

        ``sound`` leads to the player and is closed here.
        """
        self._sentences, self._sound = sentences.clone(), sound
        try:
            yield
        finally:
            self._sentences.close()
            self._sound.close()
            self._sentences = self._sound = None

    @property
    def takes_more(self) -> bool:
        """Whether something may still be put in between."""
        return self._sentences is not None and not self.floor_lost and self.committed.value

    async def interject(self, text: str) -> bool:
        """Says ``text`` behind what the turn has written so far; ``False`` if it has written all."""
        if not self.takes_more or self._sentences is None:
            return False
        sentences = self._sentences
        spoken = speakable(text) if self.reword is None else await self.reword(text)
        if spoken:
            await self._give(spoken, sentences)
        return True

    async def _give(self, sentence: str, sentences: trio.MemorySendChannel[str]) -> None:
        if not self.writes_late:
            self.wrote(sentence)
        try:
            await sentences.send(sentence)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The voice is gone; its failure ends the turn, and the words stand in the rest.
            await trio.lowlevel.checkpoint()

    async def press(self, press: Press) -> bool:
        """Presses keys behind what was written so far; ``False`` if the turn takes no more.

        They must arrive whole: nobody takes the floor meanwhile.
        """
        await self.wait_said()
        # A caller who is just being listened to is first.
        await self.gate.wait_for(bool)
        if not self.takes_more or self._sound is None:
            return False
        self.pause.cancel()
        self.pressing.set(True)
        try:
            with self._sound.clone() as sound:
                await press(partial(self._play_wordless, sound))
        finally:
            self.pressing.set(False)
        return True

    async def _play_wordless(self, sound: trio.MemorySendChannel[SpokenAudio], audio: bytes) -> bool:
        """Plays sound behind all there is; whether it was heard to its end, for only the line can cut it."""
        try:
            await sound.send(SpokenAudio(audio, ""))
        except trio.BrokenResourceError:
            return False
        while self.times.ended is None:
            # A frame later the player has whatever was in the channel.
            await trio.sleep(FRAME_SECONDS)
            taken = not sound.statistics().current_buffer_used and self.playout.idle
            if taken and trio.current_time() >= self.ledger.plays_until:
                return True
        return False

    def wrote_before_tools(self) -> None:
        """What is written from now on comes after the tools of the current step."""
        self._breaks.append(self.ledger.written)

    def told(self, now: float) -> list[tuple[str, tuple[UsedTool, ...]]]:
        """What was heard, cut where tools were used; each part with the tools that came behind it."""
        parts = self.ledger.heard_parts(now, self._breaks)
        tools = [tuple(used) for used in self.steps]
        tools += [()] * (len(parts) - len(tools))
        parts += [""] * (len(tools) - len(parts))
        return list(zip(parts, tools, strict=True))

    async def wait_said(self) -> None:
        """Waits until what was written so far was heard, or never will be, for at most 10 s."""
        ledger = self.ledger
        with trio.move_on_after(_LAST_WORDS_SECONDS):
            while ledger.written and not self.floor_lost and self.times.ended is None:
                said = ledger.synthesised > 0 and self.playout.idle
                # The voice may be between two sentences.
                if said and trio.current_time() >= ledger.plays_until + _BETWEEN_SENTENCES:
                    return
                await trio.sleep(_BETWEEN_SENTENCES / 3)

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
        if first is not None or self.floor_lost:
            # The floor may be taken in the very moment in which the last actor ends.
            first = joined if first is None else first
            cancelled = self.times.cancelled if self.times.cancelled is not None else first
            self.cancel = self.stages.report(
                cancelled,
                max(joined, cancelled),
                audible=self.audible,
                frames_unsent=self.playout.frames_queued,
                text_unheard=self.ledger.unheard_text(joined),
            )
