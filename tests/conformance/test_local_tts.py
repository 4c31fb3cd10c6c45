from __future__ import annotations

import numpy as np
import pytest
import trio

from patter_trio._audio import g711
from patter_trio.abc import TTSProvider
from patter_trio.errors import PatterConfigError
from patter_trio.events import LINEAR_8K, LINEAR_16K, MULAW_8K, AudioFormat, SpokenAudio
from patter_trio.stt import MoonshineSTT
from patter_trio.tts import HibariTTS, NanoTTS
from patter_trio.vad import SileroVAD

from .local_line import CALL, DESK, final_words, hearing_of, quiet, recognised, sentences, sound_of, spoken

pytestmark = pytest.mark.local

VOICES = [HibariTTS(), NanoTTS(voice="en-US"), NanoTTS(voice="en-GB")]
voices = pytest.mark.parametrize("tts", VOICES, ids=["hibari", "pico-us", "pico-gb"])


def decibels(sound: bytes) -> float:
    samples = np.frombuffer(g711.mulaw_to_linear(sound), "<i2").astype(np.float64)
    return float(10 * np.log10(max(1e-9, np.square(samples / 32768).mean())))


@voices
async def test_it_is_a_provider_that_speaks_the_carriers_format(tts: HibariTTS | NanoTTS) -> None:
    assert isinstance(tts, TTSProvider)
    async with tts.open() as live:
        for audio in (MULAW_8K, LINEAR_8K, LINEAR_16K, AudioFormat("alaw", 8000)):
            async with live.open_voice(audio, CALL) as voice:
                assert voice.audio == audio
            seconds = audio.seconds_in(len(await sound_of(live, DESK[0], audio=audio)))
            assert 2.0 < seconds < 5.0


@voices
async def test_sound_comes_in_small_pieces_and_the_first_of_each_sentence_says_its_text(
    tts: HibariTTS | NanoTTS,
) -> None:
    pieces = await spoken(tts, *DESK[:3])
    assert [piece.text for piece in pieces if piece.text is not None] == list(DESK[:3])
    assert pieces[0].text == DESK[0]
    assert all(piece.audio and MULAW_8K.seconds_in(len(piece.audio)) <= 0.25 for piece in pieces)


@voices
async def test_it_begins_at_once_ends_with_the_voice_and_is_as_loud_as_people(
    tts: HibariTTS | NanoTTS,
) -> None:
    for text in DESK[:4]:
        sound = await sound_of(tts, text)
        assert decibels(sound[: round(0.3 * 8000)]) > -45
        assert decibels(sound[-round(0.4 * 8000) :]) > -50
        assert -25 < decibels(sound) < -17
        assert np.abs(np.frombuffer(g711.mulaw_to_linear(sound), "<i2")).max() < 30500


@voices
async def test_sentences_of_a_turn_are_apart_and_the_turn_does_not_end_in_a_pause(
    tts: HibariTTS | NanoTTS,
) -> None:
    one, two = [await sound_of(tts, text) for text in DESK[:2]]
    both = await sound_of(tts, *DESK[:2])
    # Pico is not the same to the sample when it speaks again.
    assert abs(len(both) - len(one + quiet(0.25) + two)) < 400
    assert quiet(0.25) in both
    assert both[-2000:] != quiet(0.25)


@voices
async def test_what_cannot_be_said_aloud_gives_no_sound(tts: HibariTTS | NanoTTS) -> None:
    assert await spoken(tts, "👍", "  ", "…") == []
    assert [piece.text for piece in await spoken(tts, "👍", "Yes.") if piece.text] == ["Yes."]


async def test_the_first_sentence_is_spoken_before_the_second_is_written() -> None:
    into, texts = trio.open_memory_channel[str](1)
    async with (
        HibariTTS().open_voice(MULAW_8K, CALL) as voice,
        voice.speak(texts) as pieces,
        into,
    ):
        into.send_nowait(DESK[0])
        first = await anext(aiter(pieces))
        assert isinstance(first, SpokenAudio)
        assert first.text == DESK[0]


async def test_leaving_a_turn_in_the_middle_returns_at_once_and_the_voice_speaks_the_next_one() -> None:
    async with HibariTTS().open_voice(MULAW_8K, CALL) as voice:
        async with voice.speak(sentences(DESK)) as pieces:
            await anext(aiter(pieces))
            left = trio.current_time()
        assert trio.current_time() - left < 0.1
        async with voice.speak(sentences(DESK[:1])) as pieces:
            assert b"".join([piece.audio async for piece in pieces]) == await sound_of(HibariTTS(), DESK[0])


async def test_two_calls_speak_at_once_without_hearing_each_other() -> None:
    alone = [await sound_of(HibariTTS(), text) for text in DESK[:4]]
    together: dict[int, bytes] = {}

    async def call(number: int) -> None:
        together[number] = await sound_of(HibariTTS(), DESK[number])

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(call, number)
    assert [together[number] for number in range(4)] == alone


async def test_pitch_makes_another_person_of_it_at_the_same_pace() -> None:
    usual, lower = [await sound_of(HibariTTS(pitch=pitch), DESK[0]) for pitch in (1.0, 0.8)]
    assert usual != lower
    assert 0.85 < len(lower) / len(usual) < 1.2
    quick = await sound_of(HibariTTS(speed=1.5), DESK[0])
    assert len(quick) < 0.8 * len(usual)


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("A cleaning costs $90.", ("$90", "ninety dollars")),
        ("We can see you at 9:30.", ("9:30", "nine thirty", "nine-thirty")),
        ("It is between $90-$120 in all.", ("$90 to $120", "ninety dollars to one hundred twenty dollars")),
        ("We are open Mon-Fri.", ("monday to friday",)),
        ("That is on March 3rd.", ("march 3rd", "march third", "march 3")),
    ],
)
async def test_what_a_desk_writes_is_read_right(written: str, heard: tuple[str, ...]) -> None:
    sound = quiet(0.5) + await sound_of(HibariTTS(), written) + quiet(0.5)
    words = final_words(
        await recognised(MoonshineSTT(interim_every=0), hearing_of(SileroVAD(), sound))
    ).lower()
    assert any(each in words for each in heard), words


@pytest.mark.parametrize(
    "make", [lambda: HibariTTS(speed=3), lambda: HibariTTS(pitch=0.2), lambda: NanoTTS(speed=9)]
)
def test_a_setting_out_of_range_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(PatterConfigError):
        make()


def test_an_unknown_voice_is_refused_by_name() -> None:
    with pytest.raises(PatterConfigError, match="nl-NL"):
        NanoTTS(voice="nl-NL")  # type: ignore[arg-type]  # a wrong value is the point
