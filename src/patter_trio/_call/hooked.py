"""Streams with a function of the user's on their way.

They are iterators rather than generators: nothing in them is left open when they are left early.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import attrs

from .._text.sentences import Break
from ..abc import STTProvider, Voice
from ..events import AudioFormat, CallInfo, HearingItem, SpeechAudio, SpokenAudio, Transcript

__all__ = ["ChangeSound", "Deltas", "each_delta", "recogniser_behind", "voice_through", "whole_reply"]

ChangeSound = Callable[[bytes, AudioFormat, str], Awaitable[bytes | None]]
"""Takes sound, its format and the words it speaks; gives what is left of it."""

Deltas = AbstractAsyncContextManager[AsyncIterable[str | Break]]
"""What a model writes, piece by piece."""

In = TypeVar("In")


def recogniser_behind(change: ChangeSound, stt: STTProvider) -> STTProvider:
    """A recogniser that hears what ``change`` leaves."""
    return _Recogniser(stt, change)


def voice_through(change: ChangeSound, voice: Voice) -> Voice:
    """A voice of whose sound ``change`` decides what is played."""
    return _Voice(voice, change)


def each_delta(change: Callable[[str], str], deltas: Deltas) -> Deltas:
    """The deltas, each of them changed."""
    return _through(deltas, lambda stream: _Each(aiter(stream), change))


def whole_reply(change: Callable[[str], Awaitable[str]], deltas: Deltas) -> Deltas:
    """All deltas as one, once the last is there, and changed."""
    return _through(deltas, lambda stream: _Whole(aiter(stream), change))


@asynccontextmanager
async def _through(
    opens: AbstractAsyncContextManager[AsyncIterable[In]],
    change: Callable[[AsyncIterable[In]], AsyncIterator[In]],
) -> AsyncIterator[AsyncIterator[In]]:
    async with opens as stream:
        yield change(stream)


@attrs.frozen
class _Recogniser:
    stt: STTProvider
    change: ChangeSound

    @property
    def name(self) -> str:
        return self.stt.name

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        return self.stt.transcribe(_Hearing(aiter(hearing), audio, self.change), audio, call)


@attrs.frozen
class _Voice:
    voice: Voice
    change: ChangeSound

    @property
    def audio(self) -> AudioFormat:
        return self.voice.audio

    def speak(self, sentences: AsyncIterable[str]) -> AbstractAsyncContextManager[AsyncIterable[SpokenAudio]]:
        speech = self.voice.speak(sentences)
        return _through(speech, lambda stream: _Sound(aiter(stream), self.audio, self.change))


@attrs.frozen(eq=False)
class _Hearing(AsyncIterator[HearingItem]):
    items: AsyncIterator[HearingItem]
    audio: AudioFormat
    change: ChangeSound

    async def __anext__(self) -> HearingItem:
        while True:
            item = await anext(self.items)
            if not isinstance(item, SpeechAudio):
                return item
            audio = await self.change(item.audio, self.audio, "")
            if audio:
                return attrs.evolve(item, audio=audio)


@attrs.define(eq=False)
class _Sound(AsyncIterator[SpokenAudio]):
    pieces: AsyncIterator[SpokenAudio]
    audio: AudioFormat
    change: ChangeSound
    text: str = ""

    async def __anext__(self) -> SpokenAudio:
        piece = await anext(self.pieces)
        self.text = self.text if piece.text is None else piece.text
        if not piece.audio:
            return piece
        audio = await self.change(piece.audio, self.audio, self.text)
        # The piece stays even without its sound: it says which sentence begins here.
        return attrs.evolve(piece, audio=audio or b"")


@attrs.frozen(eq=False)
class _Each(AsyncIterator[str | Break]):
    deltas: AsyncIterator[str | Break]
    change: Callable[[str], str]

    async def __anext__(self) -> str | Break:
        delta = await anext(self.deltas)
        return delta if isinstance(delta, Break) else self.change(delta)


@attrs.define(eq=False)
class _Whole(AsyncIterator[str | Break]):
    deltas: AsyncIterator[str | Break]
    change: Callable[[str], Awaitable[str]]
    given: bool = False

    async def __anext__(self) -> str:
        if self.given:
            raise StopAsyncIteration
        # A reply that is held back is not said in parts: no break is left in it.
        text = "".join([delta async for delta in self.deltas if isinstance(delta, str)])
        self.given = True
        return await self.change(text) if text.strip() else text
