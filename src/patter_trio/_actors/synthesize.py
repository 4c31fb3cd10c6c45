"""synthesize: gives sentences to the voice and its sound to the player, in the carrier's format."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable

import trio

from .._audio.convert import Converter
from ..abc import Voice
from ..events import AudioFormat, SpokenAudio

__all__ = ["synthesize"]


async def synthesize(
    voice: Voice,
    sentences: AsyncIterable[str],
    target: AudioFormat,
    sound: trio.MemorySendChannel[SpokenAudio],
    on_first: Callable[[], None],
) -> None:
    """Speaks until the sentences end. ``on_first`` is called when the first sound exists."""
    started = False
    with sound:
        converter = Converter(voice.audio, target)
        async with voice.speak(sentences) as pieces:
            async for piece in pieces:
                audio = converter.feed(piece.audio)
                if audio and not started:
                    started = True
                    on_first()
                await sound.send(SpokenAudio(audio, piece.text, piece.words))
        tail = converter.flush()
        if tail:
            await sound.send(SpokenAudio(tail))
