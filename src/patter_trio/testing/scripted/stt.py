"""A recogniser that reads word sound, at the pace and with the failures of a real one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import AbstractAsyncContextManager

import attrs
import trio

from ...errors import PatterConfigError, RecognizerError
from ...events import AudioFormat, CallInfo, HearingItem, SpeechAudio, SpeechEnded, Transcript, Word
from ..wordsound import WordReader

__all__ = ["STTRecord", "ScriptedSTT"]


@attrs.define
class STTRecord:
    """What was asked of a recogniser: connections made, still open and failed, and seconds of sound heard."""

    connections: int = 0
    open_connections: int = 0
    failures: int = 0
    seconds_heard: float = 0.0
    finals: list[str] = attrs.field(factory=list)


@attrs.frozen
class ScriptedSTT:
    """Understands word sound: an interim after each word, a final ``delay`` s after :class:`SpeechEnded`.

    A word of which the end is missing is not understood. A final may be empty (the detector heard a cough).

    Args:
        delay: seconds from the detector's trailing edge to the final transcript.
        interim: whether interim transcripts are given.
        fail_after: seconds of sound after which a connection breaks with :class:`RecognizerError`.
        failures: how many connections break that way; the ones after them hold.
        deaf: never understands anything, and says nothing.
        record: what happened to this provider over all its calls.
    """

    delay: float = 0.1
    interim: bool = True
    fail_after: float | None = None
    failures: int = 1
    deaf: bool = False
    name: str = "scripted"
    record: STTRecord = attrs.field(factory=STTRecord, eq=False, repr=False)

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        """Recognises one call whose sound comes as µ-law or linear16 at 8 kHz.

        Raises:
            PatterConfigError: another format, in which word sound does not survive.
            RecognizerError: where ``fail_after`` says so.
        """
        if audio.sample_rate != 8000 or audio.encoding == "alaw":
            raise PatterConfigError(f"ScriptedSTT reads 8 kHz mulaw or linear16, not {audio}")
        return self._connect(hearing, audio)

    @trio.as_safe_channel
    async def _connect(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat
    ) -> AsyncGenerator[Transcript, None]:
        self.record.connections += 1
        self.record.open_connections += 1
        # 64 results: more than a caller can say while a final is on its way.
        results, due_results = trio.open_memory_channel[tuple[float, Transcript | RecognizerError]](64)
        broken: RecognizerError | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._understand, hearing, audio, results)
                async for due, result in due_results:
                    await trio.sleep_until(due)
                    if isinstance(result, RecognizerError):
                        broken = result
                        break
                    if result.is_final:
                        self.record.finals.append(result.text)
                    yield result
            if broken is not None:  # raised here, outside of the nursery, it is no group
                raise broken
        finally:
            self.record.open_connections -= 1

    async def _understand(
        self,
        hearing: AsyncIterable[HearingItem],
        audio: AudioFormat,
        results: trio.MemorySendChannel[tuple[float, Transcript | RecognizerError]],
    ) -> None:
        listener = _Listener(audio)
        async with results:
            async for item in hearing:
                now = trio.current_time()
                if isinstance(item, SpeechAudio):
                    new_words = listener.hear(item)
                    self.record.seconds_heard += audio.seconds_in(len(item.audio))
                    if self._breaks_after(listener.seconds):
                        await results.send((now, RecognizerError("the script breaks this connection")))
                        return
                    if new_words and self.interim and not self.deaf:
                        await results.send((now, listener.transcript()))
                elif isinstance(item, SpeechEnded) and not self.deaf:
                    await results.send((now + self.delay, listener.conclude(asked=True)))
            if listener.words and not self.deaf:
                await results.send((trio.current_time() + self.delay, listener.conclude(asked=False)))

    def _breaks_after(self, seconds: float) -> bool:
        if self.fail_after is None or seconds < self.fail_after or self.record.failures >= self.failures:
            return False
        self.record.failures += 1
        return True


class _Listener:
    """The words understood since the last final."""

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._reader = WordReader(audio)
        self.seconds = 0.0
        self.words: list[Word] = []

    def hear(self, item: SpeechAudio) -> bool:
        """Reads a block; whether a word became complete in it."""
        began = item.at - self.seconds
        self.seconds += self._audio.seconds_in(len(item.audio))
        complete = [word for word in self._reader.feed(item.audio) if word.complete]
        for word in complete:
            start, end = began + word.start, began + word.end
            if word.joins and self.words:
                before = self.words.pop()
                self.words.append(Word(before.text + word.text, before.start, end))
            else:
                self.words.append(Word(word.text, start, end))
        return bool(complete)

    def transcript(self, *, is_final: bool = False, asked: bool = False) -> Transcript:
        text = " ".join(word.text for word in self.words)
        return Transcript(
            text,
            is_final=is_final,
            confidence=1.0 if self.words else None,
            speech_final=asked,
            from_finalize=asked,
            words=tuple(self.words),
        )

    def conclude(self, *, asked: bool) -> Transcript:
        final = self.transcript(is_final=True, asked=asked)
        self.words = []
        return final
