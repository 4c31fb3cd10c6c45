"""A first message that was spoken before anybody could hear it: rendered while the telephone rings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import trio

from .._text.sentences import SentenceChunker
from .._text.speakable import speakable
from ..abc import TTSProvider, Voice
from ..events import AudioFormat, CallInfo, SpokenAudio

__all__ = ["Prerendered", "Rendering", "render"]

# Whoever greets for longer is answered before the end of it.
_LONGEST_SECONDS = 30.0


@attrs.frozen
class Rendering:
    """Sentences with their sound, in the format of the voice that spoke them."""

    audio: AudioFormat
    sentences: tuple[tuple[str, tuple[SpokenAudio, ...]], ...] = ()

    @property
    def seconds(self) -> float:
        """How much sound it is."""
        pieces = (piece for _, sound in self.sentences for piece in sound)
        return sum(self.audio.seconds_in(len(piece.audio)) for piece in pieces)


async def render(
    tts: TTSProvider, text: str, audio: AudioFormat, call: CallInfo, chunker: SentenceChunker
) -> Rendering:
    """Has ``text`` spoken, sentence by sentence as a turn would, up to half a minute of sound.

    Raises:
        Exception: whatever the voice raises; whoever asks stands at the border to foreign code.
    """
    written = [speakable(sentence) for sentence in (*chunker.push(text), *chunker.flush())]
    async with tts.open_voice(audio, call) as voice:
        done = Rendering(voice.audio)
        for sentence in filter(None, written):
            pieces: list[SpokenAudio] = []
            async with voice.speak(_Each(sentence)) as sound:
                async for piece in sound:
                    pieces.append(piece)
            done = attrs.evolve(done, sentences=(*done.sentences, (sentence, tuple(pieces))))
            if done.seconds >= _LONGEST_SECONDS:
                break
    return done


@attrs.frozen
class Prerendered:
    """A voice provider that has said the first sentences already; whatever else is said, it says as usual.

    What was rendered is used once, by the first turn, as far as that says exactly these sentences.
    """

    tts: TTSProvider
    rendering: Rendering

    @property
    def name(self) -> str:
        """The provider's own."""
        return self.tts.name

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[Voice]:
        """The provider's voice."""
        async with self.tts.open_voice(audio, call) as voice:
            fits = voice.audio == self.rendering.audio
            yield _Voice(voice, list(self.rendering.sentences) if fits else [])


class _Voice:
    def __init__(self, voice: Voice, ready: list[tuple[str, tuple[SpokenAudio, ...]]]) -> None:
        self._voice = voice
        self._ready = ready

    @property
    def audio(self) -> AudioFormat:
        return self._voice.audio

    def speak(self, sentences: AsyncIterable[str]) -> AbstractAsyncContextManager[AsyncIterable[SpokenAudio]]:
        if not self._ready:
            return self._voice.speak(sentences)
        ready, self._ready = self._ready, []
        return self._speak(sentences, ready)

    @trio.as_safe_channel
    async def _speak(
        self, sentences: AsyncIterable[str], ready: Sequence[tuple[str, tuple[SpokenAudio, ...]]]
    ) -> AsyncGenerator[SpokenAudio, None]:
        stream = aiter(sentences)
        number = 0
        async for sentence in stream:
            if number < len(ready) and sentence == ready[number][0]:
                for piece in ready[number][1]:
                    yield piece
                number += 1
                continue
            async with self._voice.speak(_Each(sentence, stream)) as sound:
                async for piece in sound:
                    yield piece


class _Each:
    """One sentence, and those behind it; no generator, so that nothing is left open when it is left early."""

    def __init__(self, first: str, rest: AsyncIterator[str] | None = None) -> None:
        self._first: str | None = first
        self._rest = rest

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if self._first is None:
            if self._rest is None:
                raise StopAsyncIteration
            return await anext(self._rest)
        first, self._first = self._first, None
        await trio.lowlevel.checkpoint()
        return first
