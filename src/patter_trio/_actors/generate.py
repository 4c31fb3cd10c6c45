"""generate: turns what the model streams into sentences for the voice."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from contextlib import AbstractAsyncContextManager

import trio

from .._text.sentences import SentenceChunker
from .._text.speakable import speakable

__all__ = ["generate"]


async def generate(
    deltas: AbstractAsyncContextManager[AsyncIterable[str]],
    chunker: SentenceChunker,
    sentences: trio.MemorySendChannel[str],
    on_first: Callable[[], None],
    on_sentence: Callable[[str], None],
) -> None:
    """Streams ``deltas`` into ``sentences``, without what cannot be spoken, and ends both.

    ``on_first`` is called at the first token, ``on_sentence`` before each sentence is handed on.
    """
    started = False
    with sentences:
        async with deltas as stream:
            async for delta in stream:
                if delta and not started:
                    started = True
                    on_first()
                for sentence in chunker.push(delta):
                    await _hand_on(sentence, sentences, on_sentence)
        for sentence in chunker.flush():
            await _hand_on(sentence, sentences, on_sentence)


async def _hand_on(
    sentence: str, sentences: trio.MemorySendChannel[str], on_sentence: Callable[[str], None]
) -> None:
    spoken = speakable(sentence)
    if spoken:
        on_sentence(spoken)
        try:
            await sentences.send(spoken)
        except trio.BrokenResourceError:
            # The voice is gone and says so itself. The model writes on: another voice will say the rest.
            await trio.lowlevel.checkpoint()
