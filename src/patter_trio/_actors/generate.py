"""generate: turns what the model streams into sentences for the voice."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager

import trio

from .._text.sentences import Break, SentenceChunker
from .._text.speakable import speakable

__all__ = ["generate"]

Reword = Callable[[str], Awaitable[str]]


async def generate(
    deltas: AbstractAsyncContextManager[AsyncIterable[str | Break]],
    chunker: SentenceChunker,
    sentences: trio.MemorySendChannel[str],
    on_first: Callable[[], None],
    on_sentence: Callable[[str], None],
    on_break: Callable[[], None],
    reword: Reword | None = None,
) -> None:
    """Streams ``deltas`` into ``sentences``, without what cannot be spoken, and ends both.

    ``on_first`` is called at the first token, ``on_sentence`` before each sentence is handed on, ``on_break``
    when all before a break was. ``reword`` decides what is spoken of a sentence.
    """

    async def hand_on(written: Iterable[str]) -> None:
        for sentence in written:
            spoken = speakable(sentence) if reword is None else await reword(sentence)
            await _hand_on(spoken, sentences, on_sentence)

    started = False
    with sentences:
        async with deltas as stream:
            async for delta in stream:
                if isinstance(delta, Break):
                    await hand_on(chunker.flush())
                    on_break()
                    continue
                if delta and not started:
                    started = True
                    on_first()
                await hand_on(chunker.push(delta))
        await hand_on(chunker.flush())


async def _hand_on(
    spoken: str, sentences: trio.MemorySendChannel[str], on_sentence: Callable[[str], None]
) -> None:
    if spoken:
        on_sentence(spoken)
        try:
            await sentences.send(spoken)
        except trio.BrokenResourceError:
            # The voice is gone and says so itself. The model writes on: another voice will say the rest.
            await trio.lowlevel.checkpoint()
