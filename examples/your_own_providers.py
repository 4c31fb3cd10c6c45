"""Your own ears, mind and voice: the smallest classes that fit, and the checks that say whether they do.

A provider is any class with the right methods; it inherits from nothing. The engines here are toys that
need no model, so that this file runs as it is: put yours where they are called.

    pip install patter-trio
    python your_own_providers.py        # runs the conformance checks
"""

from __future__ import annotations

import array
import math
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import Any

import trio

from patter_trio import AudioFormat, CallInfo, LLMChunk, SpokenAudio, Transcript
from patter_trio.abc import DetectorThresholds
from patter_trio.events import HearingItem, Message, SpeechAudio, SpeechEnded
from patter_trio.testing import WordReader, run_virtual
from patter_trio.testing.checks import check_llm, check_stt, check_tts, check_vad

Recognise = Callable[[bytes, AudioFormat], Awaitable[str]]


class LoudnessDetector:
    """One call's voice activity detector: it keeps the samples that do not fill a window yet."""

    window = 0.02

    def __init__(self, sample_rate: int) -> None:
        self._window_bytes = 2 * round(sample_rate * self.window)
        self._rest = b""

    def feed(self, pcm: bytes) -> list[float]:
        """A probability for each window that is complete: never waits, never blocks."""
        sound, probabilities = self._rest + pcm, []
        while len(sound) >= self._window_bytes:
            samples = array.array("h", sound[: self._window_bytes])
            sound = sound[self._window_bytes :]
            loudness = sum(map(abs, samples)) / len(samples)
            probabilities.append(1.0 if loudness > 500 else 0.0)
        self._rest = sound
        return probabilities


class MyVAD:
    """Settings, shared by all calls; each call opens a detector of its own."""

    name = "my_vad"
    thresholds = DetectorThresholds(onset=0.5, release=0.5, onset_windows=3, min_silence=0.3)

    def open_detector(self, sample_rate: int) -> LoudnessDetector:
        """A fresh detector."""
        return LoudnessDetector(sample_rate)


class MySTT:
    """Collects what is said between the detector's edges and has it recognised as one piece."""

    name = "my_stt"

    def __init__(self, recognise: Recognise, before: float = 0.3) -> None:
        self._recognise = recognise
        self._before = before  # seconds before the edge that belong to the speech

    @trio.as_safe_channel
    async def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AsyncGenerator[Transcript, None]:
        """One call. A final transcript answers each end of speech, also when there were no words."""
        keep, speaking, sound = audio.bytes_for(self._before), False, b""
        async for item in hearing:
            if isinstance(item, SpeechAudio):
                speaking = speaking or item.speech
                sound += item.audio
                if not speaking:
                    sound = sound[-keep:]
            elif isinstance(item, SpeechEnded):
                text = await self._recognise(sound, audio)
                yield Transcript(text, is_final=True, from_finalize=True)
                speaking, sound = False, b""
        # The caller is gone: what was said last still belongs into the transcript.
        text = await self._recognise(sound, audio)
        if text:
            yield Transcript(text, is_final=True)


class MyLLM:
    """Answers with the caller's own words, one at a time as models do."""

    name, model = "my_llm", "echo-1"

    @trio.as_safe_channel
    async def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        call_id: str | None = None,
    ) -> AsyncGenerator[LLMChunk, None]:
        """Leaving this early, at any ``yield``, must be harmless: it is what an interruption does."""
        for word in f"You said: {messages[-1]['content']}".split():
            await trio.sleep(0.01)  # your request
            yield LLMChunk("text", content=f"{word} ")
        yield LLMChunk("done")


class MyTTS:
    """A voice that hums a note for every word."""

    name = "my_tts"
    audio = AudioFormat("linear16", 8000)

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[MyTTS]:
        """A voice for one call; this one keeps nothing between turns, so it is the same for all of them."""
        yield self

    @trio.as_safe_channel
    async def speak(self, sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
        """One turn. The text on the first piece of a sentence is how the call knows what was heard."""
        async for sentence in sentences:
            for number, word in enumerate(sentence.split()):
                await trio.sleep(0.01)  # your engine
                yield SpokenAudio(hum(word), text=None if number else sentence)


def hum(word: str) -> bytes:
    """A short note in linear16 at 8 kHz, longer for longer words."""
    samples = 8000 * len(word) // 20
    wave = (round(9000 * math.sin(2 * math.pi * 220 * n / 8000)) for n in range(samples))
    return array.array("h", wave).tobytes()


async def read_word_sound(sound: bytes, audio: AudioFormat) -> str:
    """A recogniser for the sound that simulated callers speak, which carries its own text."""
    await trio.sleep(0.05)
    return " ".join(word.text for word in WordReader(audio).feed(sound) if word.complete)


def main() -> None:
    """Checks all four; each check says in one sentence what is wrong."""
    run_virtual(check_vad, MyVAD())
    run_virtual(check_stt, MySTT(read_word_sound))
    run_virtual(check_llm, MyLLM())
    run_virtual(check_tts, MyTTS())
    print("all four conform")


if __name__ == "__main__":
    main()
