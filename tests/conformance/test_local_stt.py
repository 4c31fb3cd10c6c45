from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from patter_trio._local import threads
from patter_trio.abc import STTProvider, TTSProvider
from patter_trio.errors import PatterConfigError
from patter_trio.events import (
    LINEAR_16K,
    MULAW_8K,
    AudioFormat,
    HearingItem,
    SpeechAudio,
    SpeechEnded,
    SpeechStarted,
    Transcript,
)
from patter_trio.stt import MoonshineSTT
from patter_trio.tts import HibariTTS, NanoTTS
from patter_trio.vad import SileroVAD

from .local_line import (
    CALL,
    DESK,
    feed,
    final_words,
    hearing_of,
    quiet,
    recognised,
    sound_of,
    tone,
    with_noise,
    word_errors,
)

pytestmark = pytest.mark.local


async def on_the_line(tts: TTSProvider, *texts: str, audio: AudioFormat = MULAW_8K) -> list[HearingItem]:
    sound = quiet(0.6, audio) + await sound_of(tts, *texts, audio=audio) + quiet(0.6, audio)
    return hearing_of(SileroVAD(), sound, audio)


def all_speech(sound: bytes, *, ended: bool = True) -> list[HearingItem]:
    """What a detector gives that takes everything for speech."""
    blocks = [SpeechAudio(sound[at : at + 480], at / 8000, speech=True) for at in range(0, len(sound), 480)]
    return [SpeechStarted(0.0), *blocks, *([SpeechEnded(len(sound) / 8000)] if ended else [])]


def asked_for(transcripts: list[Transcript]) -> list[Transcript]:
    return [each for each in transcripts if each.from_finalize]


async def test_moonshine_is_a_provider_before_and_after_it_is_opened() -> None:
    assert isinstance(MoonshineSTT(), STTProvider)
    async with MoonshineSTT().open() as live:
        assert isinstance(live, STTProvider)


@pytest.mark.parametrize(
    ("tts", "bound"),
    [(HibariTTS(), 0.06), (HibariTTS(pitch=0.8), 0.08), (NanoTTS(voice="en-US"), 0.25)],
    ids=["hibari", "hibari as another person", "pico"],
)
async def test_an_appointment_desk_is_understood_over_the_telephone(tts: TTSProvider, bound: float) -> None:
    wrong = said = 0
    for text in DESK:
        transcripts = await recognised(MoonshineSTT(interim_every=0), await on_the_line(tts, text))
        errors, words = word_errors(text, final_words(transcripts))
        wrong, said = wrong + errors, said + words
    assert wrong / said <= bound


async def test_each_end_of_speech_is_answered_once_and_last() -> None:
    items = await on_the_line(HibariTTS(), *DESK[:3])
    transcripts = await recognised(MoonshineSTT(), items)
    asked = sum(isinstance(item, SpeechEnded) for item in items)
    assert len(asked_for(transcripts)) == asked >= 1
    assert all(each.is_final and each.speech_final and each.confidence for each in asked_for(transcripts))
    assert transcripts[-1].is_final


@pytest.mark.parametrize(
    "sound",
    [quiet(2), with_noise(quiet(2), -35), tone(440, 480, seconds=2), quiet(0.05)],
    ids=["silence", "noise", "ringing", "almost nothing"],
)
async def test_speech_without_words_gets_an_empty_final(sound: bytes) -> None:
    transcripts = await recognised(MoonshineSTT(), all_speech(sound))
    assert transcripts == [Transcript("", is_final=True, speech_final=True, from_finalize=True)]


async def test_where_nobody_speaks_nothing_is_recognised() -> None:
    items = hearing_of(SileroVAD(), with_noise(quiet(4), -40) + tone(1000, seconds=3))
    assert await recognised(MoonshineSTT(), items) == []


async def test_words_come_while_the_caller_speaks() -> None:
    items = await on_the_line(HibariTTS(), DESK[0])
    seen: list[Transcript] = []
    heard = trio.Event()

    async def hearing() -> AsyncIterator[HearingItem]:
        for item in items:
            if isinstance(item, SpeechEnded):
                await heard.wait()
            await trio.lowlevel.checkpoint()
            yield item

    async with MoonshineSTT().transcribe(hearing(), MULAW_8K, CALL) as transcripts:
        async for transcript in transcripts:
            seen.append(transcript)
            heard.set()
    assert not seen[0].is_final
    assert seen[0].text
    assert [each.is_final for each in seen].index(True) == len(seen) - 1


async def test_what_was_said_before_the_line_went_is_not_lost() -> None:
    items = await on_the_line(HibariTTS(), DESK[4])
    until = next(n for n, item in enumerate(items) if isinstance(item, SpeechEnded))
    transcripts = await recognised(MoonshineSTT(interim_every=0), items[:until])
    assert [each.from_finalize for each in transcripts] == [False]
    assert "last name" in transcripts[0].text


async def test_speech_without_end_is_cut_between_words() -> None:
    sound = await sound_of(HibariTTS(), *DESK)
    transcripts = await recognised(MoonshineSTT(interim_every=0, longest=8.0), all_speech(sound))
    assert [each.from_finalize for each in transcripts] == [False] * (len(transcripts) - 1) + [True]
    assert len(transcripts) >= 4
    errors, words = word_errors(" ".join(DESK), final_words(transcripts))
    assert errors / words <= 0.1


async def test_the_sound_before_the_edge_belongs_to_the_speech() -> None:
    sound = quiet(0.5) + await sound_of(HibariTTS(), "Thursday would be better for me.") + quiet(0.4)
    blocks = [SpeechAudio(sound[at : at + 480], at / 8000) for at in range(0, len(sound), 480)]
    late: list[HearingItem] = [
        *blocks[:14],
        SpeechStarted(0.75),
        *blocks[14:],
        SpeechEnded(len(sound) / 8000),
    ]
    assert "Thursday" in final_words(await recognised(MoonshineSTT(interim_every=0), late))


async def test_other_formats_are_heard_as_well() -> None:
    items = await on_the_line(HibariTTS(), DESK[8], audio=LINEAR_16K)
    transcripts = await recognised(MoonshineSTT(interim_every=0), items, LINEAR_16K)
    assert word_errors(DESK[8], final_words(transcripts))[0] <= 1


async def test_two_calls_share_a_model_and_one_that_ends_does_not_touch_the_other() -> None:
    items = await on_the_line(HibariTTS(), DESK[4])
    alone = final_words(await recognised(MoonshineSTT(interim_every=0), items))
    async with MoonshineSTT(interim_every=0).open() as stt:
        go_on = trio.Event()

        async def slow() -> AsyncIterator[HearingItem]:
            for item in items:
                if isinstance(item, SpeechEnded):
                    await go_on.wait()
                await trio.lowlevel.checkpoint()
                yield item

        async with stt.transcribe(slow(), MULAW_8K, CALL) as staying:
            async with stt.transcribe(feed(items), MULAW_8K, CALL):
                pass
            go_on.set()
            assert " ".join([each.text async for each in staying]) == alone


async def test_a_call_that_ends_stops_its_recognition_at_once() -> None:
    sound = await sound_of(HibariTTS(), *DESK[:8])
    stt = MoonshineSTT(interim_every=0, longest=60)
    async with stt.open():
        at_work = trio.Event()

        async def hearing() -> AsyncIterator[HearingItem]:
            for item in all_speech(sound):
                yield item
            while not threads._threads().borrowed_tokens:
                await trio.lowlevel.checkpoint()
            at_work.set()
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:

            async def call() -> None:
                async with stt.transcribe(hearing(), MULAW_8K, CALL) as transcripts:
                    assert [each async for each in transcripts] == []

            nursery.start_soon(call)
            await at_work.wait()
            nursery.cancel_scope.cancel()
            left = trio.current_time()
        assert trio.current_time() - left < 0.1
        # The whole of it would take more than half a second.
        with trio.fail_after(0.4):
            while threads._threads().borrowed_tokens:
                await trio.lowlevel.checkpoint()


def test_weights_that_are_not_there_are_missed_when_the_settings_are_written(tmp_path: Path) -> None:
    with pytest.raises(PatterConfigError, match="encoder_model"):
        MoonshineSTT(weights=tmp_path)


@pytest.mark.parametrize("setting", [{"interim_every": -1.0}, {"pre_roll": 2.0}, {"longest": 1.0}])
def test_a_setting_out_of_range_is_refused(setting: dict[str, float]) -> None:
    with pytest.raises(PatterConfigError):
        MoonshineSTT(**setting)  # type: ignore[arg-type]  # a wrong value is the point
