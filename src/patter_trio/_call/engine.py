"""The engine of one call, as its ears and as its mouth.

An engine is one connection, and a call has two uses for it: what understands the caller, and what speaks. So
here is a recogniser over it, which the call keeps connected as it does any other, and a voice over the
session that the recogniser has open at the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import trio

from .._actors.channels import Level
from .._turns.history import History
from .._turns.ledger import Ledger
from ..abc import Engine, EngineRequest, EngineSession, EngineSound, Voice
from ..errors import VoiceError
from ..events import (
    AudioFormat,
    CallInfo,
    HearingItem,
    LLMChunk,
    SpeechEnded,
    SpeechStarted,
    SpokenAudio,
    Transcript,
)

__all__ = ["CallEngine"]

# An engine that is lost is won back within this time, or the caller hears nothing for longer than they wait.
_SESSION_SECONDS = 10.0

# After the last sound the words of it may still come.
_LAST_WORDS_SECONDS = 1.5

# A turn is not closed before its question is known, unless that takes longer than this.
_WORDS_SECONDS = 1.5

# The edge of a speech comes by another way than its sound, a moment apart.
_EDGE_SECONDS = 0.1
_AGAIN_SECONDS = 0.1


@attrs.define
class _Words:
    """What the caller said in one commit, once it is known."""

    text: str | None = None


@attrs.define
class _Item:
    """Something the engine said: which of the turn's words, and how much sound."""

    name: str
    first: int
    count: int = 0
    bytes: int = 0


@attrs.define(eq=False)
class CallEngine:
    """The engine as one call uses it.

    ``words`` counts what became known of the caller's words. ``index`` is the number of the sentence in the
    turn that the voice speaks next.
    """

    engine: Engine
    audio: AudioFormat
    info: CallInfo
    history: History
    session: Level[EngineSession | None] = attrs.field(factory=lambda: Level[EngineSession | None](None))
    words: Level[int] = attrs.field(factory=lambda: Level(0))
    speaking: Level[bool] = attrs.field(factory=lambda: Level(False))
    index: int = 0
    _said: deque[_Words] = attrs.field(factory=deque[_Words])
    _unanswered: deque[_Words] = attrs.field(factory=deque[_Words])
    _speeches: int = 0
    _opened: float = 0.0
    _covers: deque[int] = attrs.field(factory=deque[int])
    _items: list[_Item] = attrs.field(factory=list[_Item])

    @property
    def name(self) -> str:
        """The engine's own."""
        return self.engine.name

    # --- ears -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AsyncIterator[AsyncIterable[Transcript]]:
        """One session, from its opening to its end; the call opens another one when it is lost."""
        async with self.engine.open_session(audio, call, self.history.messages()) as session:
            to_call, transcripts = trio.open_memory_channel[Transcript](0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, hearing, session, nursery.cancel_scope)
                nursery.start_soon(self._tell, session, to_call)
                self._opened = trio.current_time()
                self.session.set(session)
                try:
                    yield transcripts
                finally:
                    self.session.set(None)
                    self._lose_words()
                nursery.cancel_scope.cancel()

    async def _pump(
        self, hearing: AsyncIterable[HearingItem], session: EngineSession, scope: trio.CancelScope
    ) -> None:
        async for item in hearing:
            await session.hear(item)
            if isinstance(item, SpeechStarted):
                self.speaking.set(True)
            elif isinstance(item, SpeechEnded):
                self._speeches += 1
                self.speaking.set(False)
        self.speaking.set(False)
        await self.take(session)
        session.finish()
        await trio.sleep(_LAST_WORDS_SECONDS)
        scope.cancel()

    async def _tell(self, session: EngineSession, to_call: trio.MemorySendChannel[Transcript]) -> None:
        with to_call:
            async for transcript in session:
                if transcript.is_final:
                    if self._unanswered:
                        self._unanswered.popleft().text = transcript.text
                    # A recogniser answers each speech: so the call knows what need not be heard again.
                    for _ in range((self._covers.popleft() if self._covers else 1) - 1):
                        await to_call.send(Transcript("", is_final=True))
                await to_call.send(transcript)
                self.words.set(self.words.value + 1)

    def _lose_words(self) -> None:
        """What the lost session has not understood is heard again by the next one, as if it were new."""
        for words in self._unanswered:
            words.text = ""
        self._unanswered.clear()
        self._covers.clear()
        self._speeches = 0
        self.words.set(self.words.value + 1)

    async def take(self, session: EngineSession) -> None:
        """What was heard so far is the caller's to be answered."""
        # What the session before it had not understood is heard again first.
        await trio.sleep_until(self._opened + _AGAIN_SECONDS)
        with trio.move_on_after(_EDGE_SECONDS):
            await self.speaking.wait_for(lambda speaking: not speaking)
        if session.commit():
            self._covers.append(max(1, self._speeches))
            self._speeches = 0
            words = _Words()
            self._said.append(words)
            self._unanswered.append(words)

    async def take_last(self) -> None:
        """The line is gone: nobody will be answered, but the words are wanted."""
        await trio.sleep(_EDGE_SECONDS)
        if self.session.value is not None:
            await self.take(self.session.value)

    def forget(self) -> None:
        """What was heard since was a noise."""
        if self.session.value is not None and not self.speaking.value:
            self.session.value.forget()
            self._speeches = 0

    async def wait_words(self) -> None:
        """Waits until all that the caller was answered is known in words, for a moment at most."""
        with trio.move_on_after(_WORDS_SECONDS):
            await self.words.wait_for(lambda _: all(words.text is not None for words in self._said))

    def take_words(self) -> str:
        """The caller's words since the last time, as far as they are known."""
        texts: list[str] = []
        while self._said and self._said[0].text is not None:
            texts.append(self._said.popleft().text or "")
        return " ".join(filter(None, texts))

    # --- voice ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[Voice]:
        """The engine as a voice that says what it is told."""
        await self.ready()
        yield self

    async def ready(self) -> EngineSession:
        """The session, as soon as there is one.

        Raises:
            VoiceError: there was none for too long.
        """
        with trio.move_on_after(_SESSION_SECONDS):
            session = await self.session.wait_for(lambda session: session is not None)
            if session is not None:
                return session
        raise VoiceError(f"{self.name} was not there for {_SESSION_SECONDS:g} s")

    @trio.as_safe_channel
    async def speak(self, sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
        """Speaks exactly these sentences."""
        async for sentence in sentences:
            number, self.index = self.index, self.index + 1
            text: str | None = sentence
            async with self.respond(EngineRequest(say=sentence)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, EngineSound):
                        self.spoke(piece.item, number, 1, piece.audio)
                        yield SpokenAudio(piece.audio, text)
                        text = None

    def respond(
        self, request: EngineRequest
    ) -> AbstractAsyncContextManager[AsyncIterable[EngineSound | LLMChunk]]:
        """A response of the session that is open; raises VoiceError where there is none, or it is lost."""
        if self.session.value is None:
            raise VoiceError(f"{self.name} is not there")
        return self.session.value.respond(request)

    def give_result(self, call_id: str, result: str) -> None:
        """What came of a tool that was left to finish."""
        if self.session.value is not None:
            self.session.value.give_result(call_id, result)

    # --- what was heard of it -------------------------------------------------------------------------------

    def begin(self) -> None:
        """A turn begins."""
        self._items.clear()
        self.index = 0

    def spoke(self, name: str, first: int, count: int, audio: bytes) -> None:
        """``count`` words or sentences of the turn, from number ``first`` on, were given to the player."""
        item = next((item for item in self._items if item.name == name), None)
        if item is None:
            item = _Item(name, first)
            self._items.append(item)
        item.count = max(item.count, first + count - item.first)
        item.bytes += len(audio)

    def unsay(self, name: str) -> None:
        """Something that the engine said is never heard by anybody."""
        if self.session.value is not None:
            self.session.value.truncate(name, 0)

    def truncate(self, ledger: Ledger, now: float) -> None:
        """The turn was cut: the engine forgets what the caller has not heard of it."""
        session = self.session.value
        for item in self._items:
            heard = ledger.heard_within(item.first, item.count, now) * self.audio.bytes_per_sample
            if session is not None and heard < item.bytes:
                session.truncate(item.name, int(self.audio.seconds_in(heard) * 1000))
        self._items.clear()
