"""Tells of every piece of text and sound of a turn, for the listeners who asked for that much."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, TypeVar

import attrs

from .._actors.observe import Reporter
from .._text.sentences import Break
from ..abc import Voice
from ..events import AudioFormat, SpokenAudio
from .turn import Turn

__all__ = ["TellingVoice", "telling_text"]

T = TypeVar("T")


@attrs.frozen
class _Seen(Generic[T]):
    """An iterable that shows each item before it is handed on."""

    items: AsyncIterator[T]
    show: Callable[[T], None]

    def __aiter__(self) -> _Seen[T]:
        return self

    async def __anext__(self) -> T:
        item = await self.items.__anext__()
        self.show(item)
        return item


@asynccontextmanager
async def telling_text(
    deltas: AbstractAsyncContextManager[AsyncIterable[str | Break]], turn: Turn, report: Reporter
) -> AsyncIterator[AsyncIterable[str | Break]]:
    """The same text, told of as it comes."""

    def show(delta: str | Break) -> None:
        if isinstance(delta, str) and delta:
            turn.tell(lambda: report.text_came(turn.idx, delta))

    async with deltas as stream:
        yield _Seen(aiter(stream), show)


@attrs.frozen
class TellingVoice:
    """The same voice, its sound told of as it comes."""

    voice: Voice
    turn: Turn
    report: Reporter

    @property
    def audio(self) -> AudioFormat:
        """The format of the sound it gives."""
        return self.voice.audio

    @asynccontextmanager
    async def speak(self, sentences: AsyncIterable[str]) -> AsyncIterator[AsyncIterable[SpokenAudio]]:
        """Speaks one turn."""
        turn, report = self.turn, self.report

        def show(piece: SpokenAudio) -> None:
            if piece.audio:
                turn.tell(lambda: report.sound_came(turn.idx, len(piece.audio)))

        async with self.voice.speak(sentences) as pieces:
            yield _Seen(aiter(pieces), show)
