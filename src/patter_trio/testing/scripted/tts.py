"""A voice that speaks word sound."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import attrs
import trio

from ..._audio import g711
from ...errors import PatterConfigError, VoiceError
from ...events import MULAW_8K, AudioFormat, CallInfo, SpokenAudio
from ..wordsound import speak_words, word_times

__all__ = ["ScriptedTTS", "ScriptedVoice", "TTSRecord"]

_PIECE_SECONDS = 0.1


@attrs.define
class TTSRecord:
    """What was asked of a voice: the sentences it was given, voices and turns opened, open and left early."""

    sentences: list[str] = attrs.field(factory=list)
    voices: int = 0
    open_voices: int = 0
    turns: int = 0
    open_turns: int = 0
    cancelled_turns: int = 0
    failures: int = 0


@attrs.frozen
class ScriptedTTS:
    """Speaks word sound, in the carrier's format where that is µ-law or linear16 at 8 kHz, else in µ-law.

    Every turn has a serial of its own in its sound, by which the simulated carrier tells turns apart.

    Args:
        delay: seconds from a turn's first sentence to its first sound.
        realtime_factor: seconds of sound made in a second; what real voices do is 2 to 100.
        words_per_second: the pace of speech.
        with_words: whether the pieces carry the times of their words.
        audio: always give this format (µ-law or linear16 at 8 kHz).
        fails_at: the number of the sentence in a turn (from 0) in whose place :class:`VoiceError` is raised.
        failures: how many turns break that way.
        record: what happened to this provider over all its calls.

    Raises:
        PatterConfigError: a format in which word sound does not survive.
    """

    delay: float = 0.15
    realtime_factor: float = 10.0
    words_per_second: float = 3.0
    with_words: bool = True
    audio: AudioFormat | None = None
    fails_at: int | None = None
    failures: int = 1
    name: str = "scripted"
    record: TTSRecord = attrs.field(factory=TTSRecord, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.audio is not None and not _carries_words(self.audio):
            raise PatterConfigError(f"ScriptedTTS speaks 8 kHz mulaw or linear16, not {self.audio}")

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[ScriptedVoice]:
        """A voice for one call."""
        asked = audio if _carries_words(audio) else MULAW_8K
        self.record.voices += 1
        self.record.open_voices += 1
        try:
            yield ScriptedVoice(self, self.audio or asked)
        finally:
            self.record.open_voices -= 1


def _carries_words(audio: AudioFormat) -> bool:
    return audio.sample_rate == 8000 and audio.encoding in ("mulaw", "linear16")


class ScriptedVoice:
    """One call's voice; several turns may be spoken at once, their sound does not mix."""

    def __init__(self, settings: ScriptedTTS, audio: AudioFormat) -> None:
        self._settings = settings
        self._audio = audio

    @property
    def audio(self) -> AudioFormat:
        """The format of the sound it gives."""
        return self._audio

    @trio.as_safe_channel
    async def speak(self, sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
        """Speaks one turn.

        Raises:
            VoiceError: where ``fails_at`` says so.
        """
        record = self._settings.record
        record.turns += 1
        record.open_turns += 1
        # Voices of different names never share a serial, so a fallback voice is told from the first one.
        serial = crc_hqx(self._settings.name.encode(), 0) << 16 | record.turns & 0xFFFF
        complete = False
        try:
            async with aclosing(self._speak(sentences, serial)) as pieces:
                async for piece in pieces:
                    yield piece
            complete = True
        except (GeneratorExit, trio.Cancelled):
            record.cancelled_turns += 1
            complete = True
            raise
        finally:
            record.failures += not complete
            record.open_turns -= 1

    async def _speak(self, sentences: AsyncIterable[str], serial: int) -> AsyncGenerator[SpokenAudio, None]:
        settings, words_before, number = self._settings, 0, 0
        async for sentence in sentences:
            if number == settings.fails_at and settings.record.failures < settings.failures:
                raise VoiceError("the script breaks this turn")
            settings.record.sentences.append(sentence)
            if number == 0:
                await trio.sleep(settings.delay)
            async with aclosing(self._speak_sentence(sentence, serial, words_before)) as pieces:
                async for piece in pieces:
                    yield piece
            words_before += len(sentence.split())
            number += 1

    async def _speak_sentence(
        self, sentence: str, serial: int, words_before: int
    ) -> AsyncGenerator[SpokenAudio, None]:
        settings = self._settings
        sound = speak_words(
            sentence, serial=serial, words_per_second=settings.words_per_second, first_word=words_before
        )
        times = (
            word_times(sentence, words_per_second=settings.words_per_second) if settings.with_words else ()
        )
        if self._audio.encoding == "linear16":
            sound = g711.decode(sound, MULAW_8K)
        step = self._audio.bytes_for(_PIECE_SECONDS)
        for start in range(0, max(len(sound), 1), step):
            piece = sound[start : start + step]
            await trio.sleep(self._audio.seconds_in(len(piece)) / settings.realtime_factor)
            yield SpokenAudio(piece, text=None if start else sentence, words=() if start else times)
