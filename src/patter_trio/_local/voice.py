"""A voice made of a blocking function: sentences in, sound in the carrier's format out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from functools import partial

import numpy as np
import trio
from numpy.typing import NDArray

from ..events import AudioFormat, SpokenAudio
from .loudness import for_telephone, trimmed
from .threads import in_thread

__all__ = ["LocalVoice", "Render"]

Render = Callable[[str], Iterator[NDArray[np.float32]]]
"""Blocking: the parts of a text (usually one) as floats with a full scale of 1.0, each when it is ready."""

# One hop for a fifth of a second of sound; the player cuts it to frames.
_PIECE_SECONDS = 0.2
# Between two sentences of a turn. Not behind the last one: the turn ends where the voice does.
_PAUSE_SECONDS = 0.25


class LocalVoice:
    """One call's voice. It gives the carrier's own format: the thread that speaks also resamples and encodes.

    Doing that per sentence in the thread costs less than per piece on the event loop, and µ-law at 8 kHz is
    a sixth of what a 24 kHz voice would send through the channels.
    """

    def __init__(self, render: Render, sample_rate: int, audio: AudioFormat) -> None:
        self._render = render
        self._sample_rate = sample_rate
        self._audio = audio

    @property
    def audio(self) -> AudioFormat:
        """The format of the sound it gives: the carrier's."""
        return self._audio

    @trio.as_safe_channel
    async def speak(self, sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
        """Speaks one turn. Leaving it returns at once; a thread at work ends with its sentence.

        A sentence without anything to say aloud (an emoji) gives no sound.

        Raises:
            VoiceError: the synthesis failed.
        """
        spoken = False
        async for sentence in sentences:
            text: str | None = sentence
            render_next = partial(next, self._parts(sentence), None)
            while (sound := await in_thread(render_next)) is not None:
                if spoken:
                    pause = self._audio.silence * round(_PAUSE_SECONDS * self._audio.sample_rate)
                    yield SpokenAudio(pause)
                spoken = True
                step = self._audio.bytes_for(_PIECE_SECONDS)
                for start in range(0, len(sound), step):
                    yield SpokenAudio(sound[start : start + step], text=text)
                    text = None

    def _parts(self, sentence: str) -> Iterator[bytes]:
        if not any(character.isalnum() for character in sentence):
            return
        for samples in self._render(sentence):
            speech = trimmed(samples, self._sample_rate)
            if len(speech):
                yield for_telephone(speech, self._sample_rate, self._audio)
