"""Recorded people as callers (``speech/README.md`` says whose), and a recogniser that knows their clips."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import attrs
import trio

from _caller import FRAME, SIZE, Caller, Script, Sound
from patter_trio import PatterConfigError
from patter_trio.events import (
    MULAW_8K,
    AudioFormat,
    CallInfo,
    HearingItem,
    SpeechAudio,
    SpeechEnded,
    Transcript,
)

__all__ = ["GOODBYE", "ClipSTT", "people_scripts", "people_stt"]

FOLDER = Path(__file__).parent / "speech"
GOODBYE = "Arrivederci."
SENTENCES = {
    "young_man": "He was not an ill-disposed young man.",
    "amiable": "He might even have been made amiable himself.",
    "forward": "Go forward ten meters.",
    "somewhere": "Go somewhere and do something.",
    "clubs": "Seven of clubs.",
    "risposta": "Spiacente, non ho capito la tua risposta.",
    "numero": "Sono spiacente, quel numero non è valido.",
    "nomer": "Извините, это неверный номер.",
    "proverte": "Пожалуйста, проверьте номер и наберите ещё раз.",
}
# One syllable each, 0.13-0.26 s of it voiced for Silero: shorter than the 0.3 s that take the floor.
BACKCHANNELS = {"o": "O", "e": "È", "a": "A"}


def read_clip(name: str) -> bytes:
    """The µ-law sound of a clip."""
    data = (FOLDER / f"{name}.wav").read_bytes()
    start = data.index(b"data") + 8
    return data[start : start + int.from_bytes(data[start - 4 : start], "little")]


def _sounds(clips: Mapping[str, str]) -> list[Sound]:
    return [Sound.of(text, read_clip(name)) for name, text in clips.items()]


def people_scripts() -> Callable[[int], Script]:
    """A question, a barge-in, a backchannel that must not interrupt, a second barge-in, goodbye: about 18 s.

    Which clips a call has, and how long its caller waits, follows from its number: how soon a detector
    notices a voice depends on where its windows fall.
    """
    sentences, backchannels = _sounds(SENTENCES), _sounds(BACKCHANNELS)
    bye = Sound.of(GOODBYE, read_clip("arrivederci"))

    def numbered(number: int) -> Script:
        question, first, second = (sentences[(number + step) % len(sentences)] for step in (0, 2, 5))
        backchannel, more = backchannels[number % len(backchannels)], number * 7 % 16 * FRAME

        def script(caller: Caller) -> Iterator[None]:
            yield from caller.waits_for_agent(quiet=0.3 + more)
            yield from caller.says(question)
            yield from caller.barges_in(first, after=0.7 + more)
            yield from caller.waits_into_speech(0.6 + more)
            yield from caller.coughs(backchannel)
            yield from caller.barges_in(second, after=1.8 + more)
            yield from caller.waits_into_speech(0.3)
            yield from caller.waits_for_agent()
            yield from caller.says(bye)
            yield from caller.waits_for_agent()

        return script

    return numbered


# --- the recogniser -----------------------------------------------------------------------------------------


@attrs.frozen
class ClipSTT:
    """Knows each clip by one of its frames, and says its text ``delay`` s after the detector's trailing edge.

    No model runs: what a recogniser costs is not part of how fast an agent falls silent. Sound of no clip
    (a backchannel) gives an empty final, as from a recogniser that heard no word.

    Args:
        texts: what is said in a clip, by the clip's last frame of speech.
        delay: seconds from the trailing edge to the final transcript.
    """

    texts: Mapping[bytes, str]
    delay: float = 0.1
    name: str = "clips"

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        """Recognises one call.

        Raises:
            PatterConfigError: the sound is not 8 kHz µ-law, so that no frame would be known.
        """
        if audio != MULAW_8K:
            raise PatterConfigError(f"ClipSTT knows frames of 8 kHz µ-law, not of {audio}")
        return self._read(hearing)

    @trio.as_safe_channel
    async def _read(self, hearing: AsyncIterable[HearingItem]) -> AsyncGenerator[Transcript, None]:
        said: list[str] = []
        async for item in hearing:
            if isinstance(item, SpeechAudio):
                frames = (item.audio[at : at + SIZE] for at in range(0, len(item.audio), SIZE))
                said += [self.texts[frame] for frame in frames if frame in self.texts]
            elif isinstance(item, SpeechEnded):
                await trio.sleep(self.delay)
                text, said = " ".join(said), []
                yield Transcript(text, is_final=True, speech_final=True, from_finalize=True)


def people_stt() -> ClipSTT:
    """The recogniser that knows all that callers say in :func:`people_scripts`."""
    sounds = _sounds({**SENTENCES, "arrivederci": GOODBYE})
    return ClipSTT({sound.frames[sound.last]: sound.text for sound in sounds})
