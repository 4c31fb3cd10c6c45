"""How the tests of the recognisers speak to one, and read what it understood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import trio

from patter_trio._actors.transcribe import Reconnection, transcribe
from patter_trio.events import (
    MULAW_8K,
    AudioFormat,
    CallInfo,
    HearingItem,
    SpeechAudio,
    SpeechEnded,
    SpeechStarted,
    Transcript,
)
from patter_trio.testing import speak_words

CALL = CallInfo("call-1", caller="+15550100001", callee="+15550100002")
BLOCK = 0.04


def blocks(
    sound: bytes, at: float, audio: AudioFormat = MULAW_8K, *, speech: bool = True
) -> list[HearingItem]:
    size = audio.bytes_for(BLOCK)
    return [
        SpeechAudio(sound[start : start + size], at + audio.seconds_in(start), speech)
        for start in range(0, len(sound), size)
    ]


def silence(seconds: float, at: float, audio: AudioFormat = MULAW_8K) -> list[HearingItem]:
    return blocks(audio.silence * round(seconds * audio.sample_rate), at, audio, speech=False)


def utterance(text: str, at: float, *, after: float = 0.3) -> tuple[list[HearingItem], float]:
    """Words and the silence behind them, with their edges; and when it is over."""
    sound = speak_words(text)
    end = at + MULAW_8K.seconds_in(len(sound))
    items = [SpeechStarted(at), *blocks(sound, at), *silence(0.2, end), SpeechEnded(end + 0.2)]
    return [*items, *silence(after, end + 0.2)], end + 0.2 + after


def conversation(*texts: str, at: float = 0.0, after: float = 0.5) -> list[HearingItem]:
    """Utterances after each other."""
    items: list[HearingItem] = silence(0.2, at)
    at += 0.2
    for text in texts:
        spoken, at = utterance(text, at, after=after)
        items += spoken
    return items


async def play(outlet: trio.MemorySendChannel[HearingItem], items: Sequence[HearingItem]) -> None:
    """Sends items at the pace of the clock, and closes."""
    async with outlet:
        for item in items:
            await outlet.send(item)
            if isinstance(item, SpeechAudio):
                await trio.sleep(BLOCK)


@attrs.define
class Heard:
    """What came of a hearing; ``at`` is when each transcript did."""

    transcripts: list[Transcript] = attrs.field(factory=list)
    at: list[float] = attrs.field(factory=list)

    @property
    def finals(self) -> list[str]:
        return [transcript.text for transcript in self.transcripts if transcript.is_final]

    @property
    def interims(self) -> list[str]:
        return [transcript.text for transcript in self.transcripts if not transcript.is_final]

    @property
    def answers(self) -> list[str]:
        return [transcript.text for transcript in self.transcripts if transcript.from_finalize]


async def hear(
    provider: Any, items: Sequence[HearingItem], audio: AudioFormat = MULAW_8K, heard: Heard | None = None
) -> Heard:
    """One connection, to the end of the hearing; ``heard`` keeps what came before a failure too."""
    heard = heard or Heard()
    outlet, inlet = trio.open_memory_channel[HearingItem](50)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play, outlet, items)
        try:
            async with provider.transcribe(inlet, audio, CALL) as transcripts:
                async for transcript in transcripts:
                    heard.transcripts.append(transcript)
                    heard.at.append(trio.current_time())
        finally:
            nursery.cancel_scope.cancel()
    return heard


async def hear_call(provider: Any, items: Sequence[HearingItem], audio: AudioFormat = MULAW_8K) -> Heard:
    """The same through the call's own actor, which reconnects."""
    heard = Heard()
    outlet, inlet = trio.open_memory_channel[HearingItem](50)
    results_in, results = trio.open_memory_channel[Transcript](100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play, outlet, items)
        nursery.start_soon(transcribe, provider, inlet, audio, CALL, results_in, Reconnection())
        async for transcript in results:
            heard.transcripts.append(transcript)
            heard.at.append(trio.current_time())
    return heard
