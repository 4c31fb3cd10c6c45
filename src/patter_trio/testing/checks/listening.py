"""What a recogniser must do."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from ..._audio import g711
from ...abc import Opens, STTProvider
from ...events import (
    MULAW_8K,
    AudioFormat,
    HearingItem,
    SpeechAudio,
    SpeechEnded,
    SpeechStarted,
    Transcript,
)
from ..wordsound import speak_words
from ._conduct import CALL, conduct, expect, expect_name, no_task_left, opened

__all__ = ["check_stt"]

_BLOCK_SECONDS = 0.04
_SILENCE_SECONDS = 0.5
_WORDS = "good morning everybody"


async def check_stt(
    provider: STTProvider | Opens[STTProvider],
    *,
    speech: bytes | None = None,
    words: str = _WORDS,
    audio: AudioFormat = MULAW_8K,
    timeout: float = 30.0,
) -> None:
    """Checks a recogniser, with sound at the pace of the clock.

    A final transcript follows the end of speech while the call goes on; the stream ends when the hearing
    does, with what was left; silence has no words; a connection can be left early without a task left; two
    calls at once do not mix.

    Args:
        provider: settings of the recogniser.
        speech: a recording in the format ``audio``; by default word sound, for scripted recognisers.
        words: words that must be among those understood, whatever their case and punctuation.
        audio: the format of the sound.
        timeout: seconds for each part.

    Raises:
        AssertionError: it does not conform.
    """
    sound = speech if speech is not None else speak_words(words)
    if speech is None and audio.encoding == "linear16":
        sound = g711.decode(sound, MULAW_8K)
    silence = audio.silence * round(_SILENCE_SECONDS * audio.sample_rate)
    began = audio.seconds_in(len(silence))
    async with opened(provider) as live:
        expect(
            isinstance(live, STTProvider), "an STTProvider has a name and transcribe(hearing, audio, call)"
        )
        expect_name(live.name)

        async def gives_final() -> None:
            await _hear_final(live, audio, silence, sound, words)

        async def ends_with_the_rest() -> None:
            # A hearing as calls give it: words come behind the detector's edge, and the line may end in them.
            items = [*_blocks(silence, audio, 0.0, speech=False), SpeechStarted(began)]
            items += _blocks(sound, audio, began, speech=True)
            _judge_words(await _transcribe(live, audio, items), words, "when the hearing ends")

        async def hears_nothing_in_silence() -> None:
            _judge_silence(await _transcribe(live, audio, _blocks(silence * 2, audio, 0.0, speech=False)))

        async def may_be_left() -> None:
            async with no_task_left("a recogniser that is left early"):
                outlet, inlet = trio.open_memory_channel[HearingItem](1)
                async with outlet, live.transcribe(inlet, audio, CALL):
                    await outlet.send(_blocks(silence, audio, 0.0, speech=False)[0])

        async def keeps_calls_apart() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(gives_final)
                nursery.start_soon(hears_nothing_in_silence)

        async with no_task_left("the recogniser"):
            await conduct("the final transcript", gives_final, timeout)
            await conduct("the end of the hearing", ends_with_the_rest, timeout)
            await conduct("silence", hears_nothing_in_silence, timeout)
            await conduct("leaving early", may_be_left, timeout)
            await conduct("two calls at once", keeps_calls_apart, timeout)


def _blocks(sound: bytes, audio: AudioFormat, at: float, *, speech: bool) -> list[HearingItem]:
    size = audio.bytes_for(_BLOCK_SECONDS)
    return [
        SpeechAudio(sound[start : start + size], at + audio.seconds_in(start), speech)
        for start in range(0, len(sound), size)
    ]


async def _play(
    outlet: trio.MemorySendChannel[HearingItem], items: Sequence[HearingItem], audio: AudioFormat
) -> None:
    """Sends items, each block of sound taking its time."""
    for item in items:
        await outlet.send(item)
        if isinstance(item, SpeechAudio):
            await trio.sleep(audio.seconds_in(len(item.audio)))


async def _transcribe(
    provider: STTProvider, audio: AudioFormat, items: Sequence[HearingItem]
) -> list[Transcript]:
    """What the recogniser gives for a hearing that ends."""
    outlet, inlet = trio.open_memory_channel[HearingItem](25)
    heard: list[Transcript] = []

    async def speak() -> None:
        async with outlet:
            await _play(outlet, items, audio)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak)
        async with provider.transcribe(inlet, audio, CALL) as transcripts:
            heard.extend([_judged(transcript) async for transcript in transcripts])
    return heard


async def _hear_final(
    provider: STTProvider, audio: AudioFormat, silence: bytes, sound: bytes, words: str
) -> None:
    """Waits for the final after the end of speech, in a silence that goes on, then for the stream to end."""
    outlet, inlet = trio.open_memory_channel[HearingItem](25)
    began, ended = audio.seconds_in(len(silence)), audio.seconds_in(len(silence) + len(sound))
    items: list[HearingItem] = [
        *_blocks(silence, audio, 0.0, speech=False),
        SpeechStarted(began),
        *_blocks(sound, audio, began, speech=True),
        SpeechEnded(ended),
    ]
    understood = trio.Event()

    async def speak() -> None:
        async with outlet:
            await _play(outlet, items, audio)
            at = ended
            while not understood.is_set():
                await _play(outlet, _blocks(silence, audio, at, speech=False), audio)
                at += _SILENCE_SECONDS

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak)
        async with provider.transcribe(inlet, audio, CALL) as transcripts:
            heard: list[Transcript] = []
            async for transcript in transcripts:
                heard.append(_judged(transcript))
                if _missing(heard, words) == set():
                    understood.set()
    _judge_words(heard, words, "after the end of speech")


def _judged(transcript: Transcript) -> Transcript:
    expect(isinstance(transcript, Transcript), f"transcripts are Transcript, not {type(transcript).__name__}")
    for word in transcript.words:
        expect(word.start <= word.end, f"the word {word.text!r} ends before it starts")
    return transcript


def _missing(heard: Sequence[Transcript], words: str) -> set[str]:
    finals = " ".join(transcript.text for transcript in heard if transcript.is_final)
    return _words(words) - _words(finals)


def _words(text: str) -> set[str]:
    return {word.strip(".,;:!?\"'").lower() for word in text.split()}


def _judge_words(heard: Sequence[Transcript], words: str, when: str) -> None:
    missing = _missing(heard, words)
    expect(not missing, f"{when} these words are in no final transcript: {', '.join(sorted(missing))}")


def _judge_silence(heard: Sequence[Transcript]) -> None:
    said = [transcript.text for transcript in heard if transcript.text]
    expect(not said, f"words are heard in silence: {said[:3]}")
