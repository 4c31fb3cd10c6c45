"""How an engine's answer is performed: its sound is the answer, and its words go along with it."""

from __future__ import annotations

import attrs
import trio

from .._actors.observe import Reporter
from .._actors.synthesize import synthesize
from .._text.sentences import SentenceChunker
from .._text.speakable import speakable
from .._tools.contracts import ToolCall
from .._turns.history import UsedTool
from .._turns.spoken_words import SpokenWords
from ..abc import EngineRequest
from ..errors import LanguageModelError, ProviderError, VoiceError
from ..events import LLMChunk, SpokenAudio
from .engine import CallEngine
from .perform import Stagehands, played, stage
from .persona import Persona
from .toolbox import Toolbox
from .turn import Turn
from .wording import Reword

__all__ = ["EngineAnswers", "ReplyCheck", "run_reply"]

# Words wait here while the player works: some twenty seconds of them, so that tools do not wait for ears.
_WORDS = 64

# Sentences that are put in between.
_SENTENCES = 8

# A model that calls tools in more rounds than this goes round in circles.
_ROUNDS = 10


@attrs.frozen
class EngineAnswers:
    """Where the answers of an engine's call come from: the engine, whoever speaks, and what they may do."""

    engine: CallEngine
    persona: Persona
    toolbox: Toolbox


@attrs.frozen
class ReplyCheck:
    """Checks an answer's sentences; ``reword`` gives back what it lets pass as it is."""

    chunker: SentenceChunker
    reword: Reword


async def run_reply(
    turn: Turn, answers: EngineAnswers, text: str, hands: Stagehands, check: ReplyCheck | None = None
) -> None:
    """Has the engine answer and plays it until it was heard, failed or was cancelled from outside.

    ``text`` are words of the caller that were not spoken. What a tool says meanwhile is spoken by the call's
    voice, when the engine does not speak. Under a ``check`` nothing of a response sounds before all of it was
    checked: which word sounds when is only an estimate, and what is blocked must not be heard at all.
    """
    performance = _Performance(turn, answers, hands, check)
    to_player, sound = trio.open_memory_channel[SpokenAudio](_WORDS)
    to_voice, sentences = trio.open_memory_channel[str](_SENTENCES)
    turn.writes_late = True
    with turn.scope:
        async with trio.open_nursery() as stages:
            stages.start_soon(performance.answer, text, to_voice, to_player)
            stages.start_soon(performance.put_in, sentences, to_player.clone())
            stages.start_soon(played, turn, sound, hands, hands.voice_name)
    turn.times.ended = trio.current_time()


class _Performance:
    """The stages of one answer."""

    def __init__(
        self, turn: Turn, answers: EngineAnswers, hands: Stagehands, check: ReplyCheck | None
    ) -> None:
        self._check = check
        self._turn = turn
        self._answers = answers
        self._engine = answers.engine
        self._hands = hands
        # What is put in between waits until the engine has spoken, and the other way round.
        self._mouth = trio.Lock()

    async def answer(
        self, text: str, to_voice: trio.MemorySendChannel[str], to_player: trio.MemorySendChannel[SpokenAudio]
    ) -> None:
        """From the engine to the player, and what it asks for in between."""
        turn, name = self._turn, self._engine.name
        with to_voice, turn.taking_words(to_voice, to_player):
            with stage(turn, "generate", ProviderError, f"engine ({name})"):
                session = await self._engine.ready()
                await self._engine.take(session)
                await self._rounds(text, to_player)
                turn.written = True
            if turn.error is not None and not isinstance(turn.error, LanguageModelError | VoiceError):
                # An engine that breaks in a way of its own is treated as a voice that does.
                turn.error = VoiceError(str(turn.error))
        turn.ledger.complete = turn.error is None

    async def _rounds(self, text: str, to_player: trio.MemorySendChannel[SpokenAudio]) -> None:
        turn, toolbox = self._turn, self._answers.toolbox
        request = EngineRequest(text)
        for _ in range(_ROUNDS):
            executor = await toolbox.executor()
            session = await self._engine.ready()
            session.update(self._answers.persona.system_message(), executor.definitions())
            async with self._mouth:
                calls = await self._speak(request, to_player)
            if not calls:
                return
            turn.wrote_before_tools()
            used: list[UsedTool] = []
            turn.steps.append(used)
            try:
                await toolbox.use(calls, executor, turn, used)
            finally:
                for tool in used:
                    session.give_result(tool.id, tool.result)
            request = EngineRequest()
        raise LanguageModelError(f"{self._engine.name} called tools {_ROUNDS} times in one answer")

    async def _speak(
        self, request: EngineRequest, to_player: trio.MemorySendChannel[SpokenAudio]
    ) -> list[ToolCall]:
        """One response, to its end; what of it was written and not spoken when it was cut stays unheard."""
        turn, calls, said = self._turn, list[ToolCall](), list[str]()
        items: dict[str, SpokenWords] = {}
        turn.tally.asked()
        try:
            async with self._engine.respond(request) as pieces:
                async for piece in pieces:
                    if isinstance(piece, LLMChunk):
                        if piece.type == "tool_call":
                            calls.append(ToolCall(piece.id, piece.name, piece.arguments))
                        elif piece.type == "usage":
                            turn.tally.used(piece)
                        elif piece.type == "text":
                            self._first_token()
                            turn.tally.pieces += 1
                            said.append(piece.content)
                            self._item(items, piece.id).feed_text(piece.content)
                    else:
                        self._item(items, piece.item).feed_sound(piece.audio)
                    if self._check is None:
                        for name, words in items.items():
                            await self._give(name, words, to_player)
            instead = await self._blocked("".join(said))
            if instead is not None:
                for name in items:
                    self._engine.unsay(name)
                items.clear()
                await self._say(instead, to_player)
                return []
            for name, words in items.items():
                words.finish()
                await self._give(name, words, to_player)
        finally:
            for words in items.values():
                for word in words.rest:
                    turn.ledger.write(word)
        return calls

    async def _blocked(self, text: str) -> str | None:
        """What is said in place of an answer that must not be heard; ``None`` for one that may."""
        if self._check is None:
            return None
        chunker = self._check.chunker
        for sentence in (*chunker.push(text), *chunker.flush()):
            passed = await self._check.reword(sentence)
            if passed != speakable(sentence):
                return passed
        return None

    async def _say(self, sentence: str, to_player: trio.MemorySendChannel[SpokenAudio]) -> None:
        """Has the call's voice say a sentence within the answer."""
        turn, hands = self._turn, self._hands
        if sentence:
            turn.wrote(sentence)
            self._engine.index = turn.ledger.written - 1
            await synthesize(hands.voice, _One(sentence), hands.leg.audio, to_player.clone(), _nothing)

    def _item(self, items: dict[str, SpokenWords], name: str) -> SpokenWords:
        if name not in items:
            for before in items.values():
                before.finish()
            items[name] = SpokenWords(self._hands.leg.audio)
        return items[name]

    async def _give(
        self, item: str, words: SpokenWords, to_player: trio.MemorySendChannel[SpokenAudio]
    ) -> None:
        turn = self._turn
        for piece in words.take():
            if turn.times.first_audio is None:
                turn.times.first_audio = trio.current_time()
                turn.tell(lambda: self._report.first_audio(turn.idx, self._engine.name))
            if piece.text:
                turn.ledger.write(piece.text)
            self._engine.spoke(item, max(turn.ledger.written - 1, 0), 1, piece.audio)
            await to_player.send(piece)

    @property
    def _report(self) -> Reporter:
        return self._hands.report

    def _first_token(self) -> None:
        turn = self._turn
        if turn.times.first_token is None:
            turn.times.first_token = turn.times.first_sentence = trio.current_time()
            name, model = self._engine.name, self._engine.engine.model
            turn.tell(lambda: self._report.first_token(turn.idx, name, model))

    async def put_in(
        self, sentences: trio.MemoryReceiveChannel[str], to_player: trio.MemorySendChannel[SpokenAudio]
    ) -> None:
        """Sentences that somebody else has for this turn."""
        turn, hands = self._turn, self._hands
        what = f"text to speech ({hands.voice_name})"
        with stage(turn, "synthesize", VoiceError, what), sentences, to_player:
            async for sentence in sentences:
                async with self._mouth:
                    await self._say(sentence, to_player)


def _nothing() -> None:
    """What is put in is not the answer."""


class _One:
    """One sentence."""

    def __init__(self, sentence: str) -> None:
        self._sentences = [sentence]

    def __aiter__(self) -> _One:
        return self

    async def __anext__(self) -> str:
        await trio.lowlevel.checkpoint()
        if not self._sentences:
            raise StopAsyncIteration
        return self._sentences.pop()
