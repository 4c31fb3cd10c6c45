"""How a turn is performed: generate, synthesize and play in a nursery of their own, or play alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import attrs
import trio

from .._actors.channels import Level
from .._actors.fill import fill
from .._actors.generate import generate
from .._actors.leg import Leg
from .._actors.observe import Reporter
from .._actors.play import play
from .._actors.synthesize import synthesize
from .._actors.ticker import Ticker
from .._foreign import foreign
from .._text.sentences import SentenceChunker
from ..abc import Voice
from ..errors import LanguageModelError, ProviderError, VoiceError
from ..events import SpokenAudio
from .chunks import TellingVoice, telling_text
from .turn import Script, Turn
from .wording import Reword

__all__ = ["Filler", "Stagehands", "played", "run_sound", "run_turn", "stage"]

# Sentences wait here while the voice works: enough that a model never waits for a voice in practice.
_SENTENCES = 8
# Pieces of 100-200 ms: with what the player queues (2 s), the voice may be about 3.5 s ahead.
_PIECES = 8


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


async def run_turn(
    turn: Turn,
    script: Script,
    chunker: SentenceChunker,
    hands: Stagehands,
    filler: Filler | None = None,
    reword: Reword | None = None,
) -> None:
    """Generates, speaks and plays until the turn was heard, failed or was cancelled from outside.

    A stage that fails ends the stages before it; what was already spoken is still played, and the error is
    left in ``turn.error``. ``reword`` decides what is spoken of each sentence.
    """
    performance = _Performance(turn, script, hands)
    to_voice, sentences = trio.open_memory_channel[str](_SENTENCES)
    to_player, sound = trio.open_memory_channel[SpokenAudio](_PIECES)
    with turn.scope:
        async with trio.open_nursery() as stages:
            stages.start_soon(performance.think, chunker, to_voice, to_player.clone(), reword)
            stages.start_soon(performance.speak, sentences, to_player)
            stages.start_soon(played, turn, sound, hands, hands.voice_name)
            if filler is not None:
                await stages.start(performance.fill_the_pause, filler)
    turn.times.ended = trio.current_time()


class _Performance:
    """The stages of one turn, with what each of them notes of its progress."""

    def __init__(self, turn: Turn, script: Script, hands: Stagehands) -> None:
        self._turn = turn
        self._script = script
        self._hands = hands
        self._speaker = f"text to speech ({hands.voice_name})"
        self._pausing = Level(False)

    async def think(
        self,
        chunker: SentenceChunker,
        to_voice: trio.MemorySendChannel[str],
        to_player: trio.MemorySendChannel[SpokenAudio],
        reword: Reword | None,
    ) -> None:
        """From the model or function to sentences."""
        turn, script = self._turn, self._script
        words = turn.taking_words(to_voice, to_player)
        with words, stage(turn, "generate", LanguageModelError, script.provider):
            report = self._hands.report
            deltas = script.deltas
            if report.wants_chunks:
                deltas = telling_text(deltas, turn, report)
            await generate(
                deltas,
                chunker,
                to_voice,
                self._first_token,
                turn.wrote,
                turn.wrote_before_tools,
                reword,
            )
            turn.written = True
            turn.times.written = trio.current_time()

    async def speak(
        self, sentences: trio.MemoryReceiveChannel[str], to_player: trio.MemorySendChannel[SpokenAudio]
    ) -> None:
        """From sentences to sound."""
        turn, hands = self._turn, self._hands
        with stage(turn, "synthesize", VoiceError, self._speaker):
            with sentences, to_player:
                words = _Begun(sentences)
                begun = await words.begin()
                turn.pause.cancel()
                if begun:
                    await self._pausing.wait_for(lambda pausing: not pausing)
                    voice = hands.voice
                    if hands.report.wants_chunks:
                        voice = TellingVoice(voice, turn, hands.report)
                    await synthesize(voice, words, hands.leg.audio, to_player, self._first_audio)
            turn.ledger.complete = turn.error is None
            turn.times.synthesised = trio.current_time()

    async def fill_the_pause(
        self, filler: Filler, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Sound for a pause that grows long, until there is something to say."""
        turn, hands = self._turn, self._hands
        self._pausing.set(True)
        task_status.started()
        with stage(turn, "fill", VoiceError, self._speaker), turn.pause:
            await trio.sleep(filler.after)
            if turn.error is None:
                await fill(hands.voice, filler.text, hands.leg.audio, self._filler_sound)
                turn.playout.filled()
        self._pausing.set(False)

    def _first_token(self) -> None:
        turn, script, report = self._turn, self._script, self._hands.report
        turn.times.first_token = trio.current_time()
        turn.tell(lambda: report.first_token(turn.idx, script.provider, script.model))

    def _first_audio(self) -> None:
        self._turn.times.first_audio = trio.current_time()
        if not self._turn.filled:
            self._sound_exists()

    def _filler_sound(self, piece: SpokenAudio) -> None:
        if not self._turn.filled:
            self._turn.filled = True
            self._sound_exists()
        self._turn.playout.fill(piece)

    def _sound_exists(self) -> None:
        turn, hands = self._turn, self._hands
        turn.tell(lambda: hands.report.first_audio(turn.idx, hands.voice_name))


async def run_sound(turn: Turn, pieces: Iterable[SpokenAudio], hands: Stagehands) -> None:
    """Plays until all was heard or the turn is cancelled from outside; nothing is generated or spoken."""
    to_player, sound = trio.open_memory_channel[SpokenAudio](_PIECES)
    with turn.scope:
        async with trio.open_nursery() as stages:
            stages.start_soon(_give, turn, pieces, to_player)
            stages.start_soon(played, turn, sound, hands, turn.kind)
    turn.times.ended = trio.current_time()


async def _give(
    turn: Turn, pieces: Iterable[SpokenAudio], to_player: trio.MemorySendChannel[SpokenAudio]
) -> None:
    """From something recorded to sound; a text it speaks counts as written."""
    with to_player:
        for piece in pieces:
            if piece.text:
                turn.ledger.write(piece.text)
            if turn.times.first_audio is None:
                turn.times.first_audio = trio.current_time()
            await to_player.send(piece)
        turn.written = turn.ledger.complete = True


async def played(
    turn: Turn, sound: trio.MemoryReceiveChannel[SpokenAudio], hands: Stagehands, source: str
) -> None:
    """From sound to the caller's ear."""

    def first_frame() -> None:
        turn.times.first_frame = trio.current_time()
        hands.report.agent_speech_started(turn.idx, source)

    with _cuttable(turn, "play"):
        await play(
            sound,
            turn.playout,
            turn.ledger,
            hands.leg,
            turn.serial,
            hands.ticker,
            turn.gate,
            turn.marks,
            first_frame,
        )


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
def stage(turn: Turn, name: str, error: type[ProviderError], what: str) -> Iterator[None]:
    """Somebody else's code behind one of our actors: its failure ends the turn, never the call."""
    try:
        with _cuttable(turn, name), foreign(error, what):
            yield
    except ProviderError as failure:
        # The stage that failed first closes its channels, and its neighbours fail on those.
        turn.error = turn.error or failure
