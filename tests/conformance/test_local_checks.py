"""The embedded providers pass the checks that users run on theirs."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from patter_trio.abc import TTSProvider, VADProvider
from patter_trio.events import LINEAR_16K, MULAW_8K, AudioFormat
from patter_trio.stt import MoonshineSTT
from patter_trio.testing.checks import check_stt, check_tts, check_vad
from patter_trio.tts import HibariTTS, NanoTTS
from patter_trio.vad import EnergyVAD, SileroVAD

from .local_line import sound_of

pytestmark = pytest.mark.local

SAID = "The next opening is on Tuesday."


@pytest.mark.parametrize("audio", [MULAW_8K, LINEAR_16K], ids=["telephone", "wideband"])
@pytest.mark.parametrize("tts", [HibariTTS(), NanoTTS()], ids=["hibari", "nano"])
async def test_the_local_voices_conform(tts: TTSProvider, audio: AudioFormat) -> None:
    await check_tts(tts, audio=audio)


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("vad", [SileroVAD(), EnergyVAD()], ids=["silero", "energy"])
async def test_the_local_detectors_conform(vad: VADProvider, rate: int) -> None:
    audio = AudioFormat("linear16", rate)
    await check_vad(vad, sample_rate=rate, speech=await sound_of(HibariTTS(), SAID, audio=audio))


def test_the_local_recogniser_conforms() -> None:
    async def check() -> None:
        speech = await sound_of(HibariTTS(), SAID)
        await check_stt(MoonshineSTT(), speech=speech, words=SAID, timeout=90)

    # Models work in real time whatever the clock says; six times faster leaves them time on a busy machine.
    trio.run(check, clock=trio.testing.MockClock(rate=6))
