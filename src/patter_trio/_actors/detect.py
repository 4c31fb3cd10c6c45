"""detect: finds the caller's voice in the frames and cuts them into blocks for the recogniser."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable

import trio

from .._audio import g711
from .._turns.edges import CallerSpeech, SpeechTracker
from .._turns.window import SoundWindow
from ..abc import SpeechDetector
from ..events import AudioFormat, AudioReceived, HearingItem, SpeechAudio, SpeechEnded, SpeechStarted
from .channels import Level, LossySender

__all__ = ["SpeechEdge", "detect"]

# Three frames a block: a hop and a send for every 60 ms instead of every 20.
_BLOCK_FRAMES = 3

SpeechEdge = SpeechStarted | SpeechEnded


async def detect(
    frames: AsyncIterable[AudioReceived],
    detector: SpeechDetector,
    tracker: SpeechTracker,
    audio: AudioFormat,
    speech: Level[CallerSpeech],
    hearing: LossySender[HearingItem],
    on_edge: Callable[[SpeechEdge], None],
    window: SoundWindow | None = None,
) -> None:
    """Runs the detector in line and keeps ``speech`` true; the edges travel with the sound.

    ``on_edge`` is called at each edge, before anything else learns of it through a channel. ``window`` is
    given all sound, for a turn detector to look at.
    """
    block: list[bytes] = []
    block_at = 0.0
    with hearing:
        async for frame in frames:
            if not block:
                block_at = frame.at
            block.append(frame.audio)
            pcm = g711.decode(frame.audio, audio)
            if window is not None:
                window.feed(pcm)
            for probability in detector.feed(pcm):
                edge = tracker.feed(probability)
                now = trio.current_time()
                if edge is None:
                    if tracker.speaking:
                        speech.set(CallerSpeech(True, tracker.voiced, speech.value.since))
                    continue
                heard_until = frame.at + audio.seconds_in(len(frame.audio))
                item: SpeechEdge
                if edge:
                    item = SpeechStarted(max(0.0, heard_until - tracker.onset_delay))
                    speech.set(CallerSpeech(True, tracker.voiced, now))
                else:
                    item = SpeechEnded(max(0.0, heard_until - tracker.trailing_silence))
                    speech.set(CallerSpeech(False, tracker.voiced, speech.value.since, now))
                on_edge(item)
                hearing.push(SpeechAudio(b"".join(block), block_at, tracker.speaking))
                block.clear()
                block_at = heard_until
                hearing.push(item)
            if len(block) >= _BLOCK_FRAMES:
                hearing.push(SpeechAudio(b"".join(block), block_at, tracker.speaking))
                block.clear()
        if block:
            hearing.push(SpeechAudio(b"".join(block), block_at, tracker.speaking))
