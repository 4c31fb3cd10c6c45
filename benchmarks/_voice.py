"""The caller's voice: NanoTTS as 8 kHz µ-law, made before the call."""

from __future__ import annotations

import trio

from patter_trio.events import MULAW_8K, CallInfo
from patter_trio.tts import NanoTTS

__all__ = ["spoken_mulaw"]


async def _render(text: str) -> bytes:
    async def one() -> trio.MemoryReceiveChannel[str]:
        send, receive = trio.open_memory_channel[str](1)
        await send.send(text)
        send.close()
        return receive

    sound = b""
    async with (
        NanoTTS().open() as tts,
        tts.open_voice(MULAW_8K, CallInfo("render")) as voice,
        voice.speak(await one()) as pieces,
    ):
        async for piece in pieces:
            sound += piece.audio
    return sound


def spoken_mulaw(text: str) -> bytes:
    """The sound of a sentence."""
    return trio.run(_render, text)
