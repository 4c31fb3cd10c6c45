"""fill: says something short while the answer is still being thought of."""

from __future__ import annotations

from collections.abc import Callable

import trio

from .._audio.convert import Converter
from ..abc import Voice
from ..events import AudioFormat, SpokenAudio

__all__ = ["fill"]


async def fill(voice: Voice, text: str, target: AudioFormat, push: Callable[[SpokenAudio], None]) -> None:
    """Speaks ``text`` into ``push``, in the carrier's format.

    One sentence needs no bound: it is given to the player as fast as the voice makes it.
    """
    to_voice, sentences = trio.open_memory_channel[str](1)
    with sentences:
        with to_voice:
            await to_voice.send(text)
        converter = Converter(voice.audio, target)
        async with voice.speak(sentences) as pieces:
            async for piece in pieces:
                push(SpokenAudio(converter.feed(piece.audio), piece.text, piece.words))
        tail = converter.flush()
        if tail:
            push(SpokenAudio(tail))
