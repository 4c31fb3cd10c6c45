"""A telephone line for the tests of the local models."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Iterable, Sequence

import numpy as np
import trio
from numpy.typing import NDArray

from patter_trio._audio import g711
from patter_trio._turns.edges import SpeechTracker
from patter_trio.abc import STTProvider, TTSProvider, VADProvider
from patter_trio.events import (
    MULAW_8K,
    AudioFormat,
    CallInfo,
    HearingItem,
    SpeechAudio,
    SpeechEnded,
    SpeechStarted,
    SpokenAudio,
    Transcript,
)

CALL = CallInfo("call-1")

DESK = (
    "Thanks for calling Lakeside Dental, how can I help you?",
    "Our next opening is Tuesday at half past nine in the morning.",
    "A cleaning costs ninety dollars, and the first checkup is free.",
    "We are open Monday to Friday, from eight until six.",
    "Could you please spell your last name for me?",
    "That appointment has been moved to the following week.",
    "Is there anything else I can do for you?",
    "I will transfer you to a member of our team now.",
    "We are at twelve Lake Street, next to the library.",
    "You can cancel or change your booking at any time.",
)


def sentences(texts: Iterable[str]) -> trio.MemoryReceiveChannel[str]:
    into, out = trio.open_memory_channel[str](math.inf)
    with into:
        for text in texts:
            into.send_nowait(text)
    return out


async def spoken(tts: TTSProvider, *texts: str, audio: AudioFormat = MULAW_8K) -> list[SpokenAudio]:
    """What a voice of its own gives for one turn."""
    async with tts.open_voice(audio, CALL) as voice, voice.speak(sentences(texts)) as pieces:
        return [piece async for piece in pieces]


async def sound_of(tts: TTSProvider, *texts: str, audio: AudioFormat = MULAW_8K) -> bytes:
    return b"".join(piece.audio for piece in await spoken(tts, *texts, audio=audio))


def quiet(seconds: float, audio: AudioFormat = MULAW_8K) -> bytes:
    return audio.silence * round(seconds * audio.sample_rate)


def as_mulaw(samples: NDArray[np.float64]) -> bytes:
    return g711.linear_to_mulaw(np.clip(samples, -32768, 32767).astype("<i2").tobytes())


def with_noise(sound: bytes, level_db: float) -> bytes:
    """µ-law with white noise of a level in dB of full scale added."""
    samples = np.frombuffer(g711.mulaw_to_linear(sound), "<i2").astype(np.float64)
    noise = np.random.default_rng(7).standard_normal(len(samples)) * 32768 * 10 ** (level_db / 20)
    return as_mulaw(samples + noise)


def tone(*hertz: float, seconds: float, on: float = 1.0, off: float = 0.0) -> bytes:
    """A tone of the network at 8 kHz, in µ-law, in the given cadence."""
    time = np.arange(round(seconds * 8000)) / 8000
    mixed = np.sum([np.sin(2 * np.pi * each * time) for each in hertz], axis=0) * 8000 / len(hertz)
    return as_mulaw(np.where(time % (on + off) < on, mixed, 0.0))


def hearing_of(vad: VADProvider, sound: bytes, audio: AudioFormat = MULAW_8K) -> list[HearingItem]:
    """Blocks of 60 ms with the detector's edges between them, as a call gives them to a recogniser."""
    detector = vad.open_detector(audio.sample_rate)
    tracker = SpeechTracker(vad.thresholds, detector.window)
    items: list[HearingItem] = []
    step = audio.bytes_for(0.06)
    for start in range(0, len(sound), step):
        block = sound[start : start + step]
        ends_at = audio.seconds_in(start + len(block))
        edges: list[HearingItem] = []
        for probability in detector.feed(g711.decode(block, audio)):
            edge = tracker.feed(probability)
            if edge:
                edges.append(SpeechStarted(max(0.0, ends_at - tracker.onset_delay)))
            elif edge is False:
                edges.append(SpeechEnded(ends_at - tracker.trailing_silence))
        items += [SpeechAudio(block, audio.seconds_in(start), tracker.speaking), *edges]
    return items


def onsets(vad: VADProvider, sound: bytes) -> list[float]:
    """Seconds at which the detector notices speech, in frames of 20 ms."""
    detector = vad.open_detector(8000)
    tracker = SpeechTracker(vad.thresholds, detector.window)
    noticed: list[float] = []
    for start in range(0, len(sound), 160):
        for probability in detector.feed(g711.mulaw_to_linear(sound[start : start + 160])):
            if tracker.feed(probability):
                noticed.append((start + 160) / 8000)
    return noticed


async def feed(items: Iterable[HearingItem]) -> AsyncIterator[HearingItem]:
    for item in items:
        await trio.lowlevel.checkpoint()
        yield item


async def recognised(
    stt: STTProvider, items: Iterable[HearingItem], audio: AudioFormat = MULAW_8K
) -> list[Transcript]:
    async with stt.transcribe(feed(items), audio, CALL) as transcripts:
        return [transcript async for transcript in transcripts]


def final_words(transcripts: Sequence[Transcript]) -> str:
    return " ".join(each.text for each in transcripts if each.is_final and each.text)


_NUMBERS = {
    "8": "eight",
    "6": "six",
    "12": "twelve",
    "90": "ninety dollars",
    "9:30": "nine thirty",
    "check up": "checkup",
}


def _plain(text: str) -> list[str]:
    text = (
        text.lower()
        .replace("$", "")
        .replace("-", " ")
        .replace("'", "")
        .replace("a.m.", "")
        .replace("p.m.", "")
    )
    for written, said in _NUMBERS.items():
        text = re.sub(rf"\b{written}\b", said, text)
    return re.sub(r"[^a-z ]", " ", text).split()


def word_errors(reference: str, heard: str) -> tuple[int, int]:
    """Words inserted, lost or taken for others, and words said."""
    said, got = _plain(reference), _plain(heard)
    row = list(range(len(got) + 1))
    for i, word in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1], len(said)
