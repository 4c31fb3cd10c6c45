"""What a voice must do."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from ...abc import Opens, TTSProvider, Voice
from ...events import MULAW_8K, AudioFormat, SpokenAudio
from ._conduct import CALL, conduct, expect, expect_name, feed, no_task_left, opened

__all__ = ["check_tts"]

SENTENCES = ("Good morning, this is the bakery.", "How can I help you today?")
OTHERS = ("One moment, please.", "Your order is on its way.")


async def check_tts(
    provider: TTSProvider | Opens[TTSProvider],
    *,
    audio: AudioFormat = MULAW_8K,
    sentences: Sequence[str] = SENTENCES,
    timeout: float = 20.0,
) -> None:
    """Checks text to speech.

    The sound has the format that the voice declares; every text stands on the first piece of its sound; sound
    comes while sentences still go in; a turn ends when its sentences do; leaving early leaves no task and the
    voice usable; two turns at once do not mix.

    Args:
        provider: settings of the voice.
        audio: what the carrier takes.
        sentences: at least two, spoken in every part of the check.
        timeout: seconds for each part.

    Raises:
        AssertionError: it does not conform.
    """
    async with opened(provider) as live:
        expect(isinstance(live, TTSProvider), "a TTSProvider has a name and open_voice(audio, call)")
        expect_name(live.name)

        async def speaks() -> None:
            async with live.open_voice(audio, CALL) as voice:
                _judge(await _speak(voice, sentences), sentences, voice.audio)

        async def is_silent_without_text() -> None:
            async with live.open_voice(audio, CALL) as voice:
                pieces = await _speak(voice, ())
                expect(not any(piece.audio for piece in pieces), "a turn without sentences has sound")

        async def begins_early() -> None:
            async with live.open_voice(audio, CALL) as voice:
                await _hear_first_sound(voice, sentences[0])

        async def may_be_left() -> None:
            async with live.open_voice(audio, CALL) as voice:
                async with no_task_left("a turn that is left early"):
                    await _hear_first_sound(voice, sentences[0])
                _judge(await _speak(voice, sentences[1:]), sentences[1:], voice.audio)

        async def keeps_turns_apart() -> None:
            async with (
                live.open_voice(audio, CALL) as one,
                live.open_voice(audio, CALL) as other,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(_speak_and_judge, one, sentences)
                nursery.start_soon(_speak_and_judge, other, OTHERS)

        async with no_task_left("the voice"):
            await conduct("speaking a turn", speaks, timeout)
            await conduct("a turn without sentences", is_silent_without_text, timeout)
            await conduct("sound while sentences still go in", begins_early, timeout)
            await conduct("leaving a turn early", may_be_left, timeout)
            await conduct("two turns at once", keeps_turns_apart, timeout)


async def _speak(voice: Voice, sentences: Sequence[str]) -> list[SpokenAudio]:
    outlet, inlet = trio.open_memory_channel[str](0)
    pieces: list[SpokenAudio] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed, outlet, sentences)
        async with voice.speak(inlet) as sound:
            async for piece in sound:
                pieces.append(piece)
    return pieces


async def _speak_and_judge(voice: Voice, sentences: Sequence[str]) -> None:
    _judge(await _speak(voice, sentences), sentences, voice.audio)


async def _hear_first_sound(voice: Voice, sentence: str) -> None:
    """Waits for sound while the sentences have not ended, then leaves."""
    # One place: the sentence waits there for the voice, which may not ask for it at once.
    outlet, inlet = trio.open_memory_channel[str](1)
    async with outlet, voice.speak(inlet) as sound:
        await outlet.send(sentence)
        async for piece in sound:
            if piece.audio:
                return
    raise AssertionError("the turn ended without sound while its sentences had not ended")


def _judge(pieces: Sequence[SpokenAudio], sentences: Sequence[str], audio: AudioFormat) -> None:
    for piece in pieces:
        expect(isinstance(piece, SpokenAudio), f"speak() gives SpokenAudio, not {type(piece).__name__}")
        expect(
            len(piece.audio) % audio.bytes_per_sample == 0,
            f"a piece of {len(piece.audio)} bytes is not a whole number of {audio.encoding} samples",
        )
        for word in piece.words:
            expect(0 <= word.start <= word.end, f"the word {word.text!r} ends before it starts")
    expect(any(piece.audio for piece in pieces), "the turn has no sound")
    expect(pieces[0].text is not None, "the first piece of a turn says which text it speaks")
    spoken = " ".join(" ".join(piece.text for piece in pieces if piece.text is not None).split())
    wanted = " ".join(" ".join(sentences).split())
    expect(spoken == wanted, f"the texts of the pieces are {spoken!r}, not {wanted!r}")
