"""Several voices in order: where one fails, the next one says the rest, from where it broke off."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import trio

from .._audio.convert import Converter
from .._foreign import foreign, unwrapped
from .._several import Member, all_of, leave_out, opened, well_first
from ..abc import Opens, TTSProvider, Voice
from ..errors import VoiceError
from ..events import AudioFormat, CallInfo, SpokenAudio, Word
from ..llm._checks import seconds

__all__ = ["TTS", "FallbackTTSProvider"]

_log = logging.getLogger("patter_trio.tts")

# Speech runs at about so many characters a second; used where a voice does not tell the times of its words.
_CHARACTERS_PER_SECOND = 14.0

_Provider = TTSProvider | Opens[TTSProvider]


# Of this type, not generic: mypy's attrs plugin takes the type of the setting from its converter.
def _listed(providers: Iterable[_Provider]) -> tuple[_Provider, ...]:
    return tuple(providers)


@attrs.frozen
class FallbackTTSProvider:
    """Speaks with the first of its voices that is well.

    A voice that fails is left out for some time. The caller hears the rest of its sentence, and of the turn,
    from the next one. When none is well, those that are not are asked after all.

    Args:
        providers: the voices, the preferred one first: settings, or anything that is text to speech.
        recovery_interval_s: seconds for which a voice that failed is left out; longer where its rate
            limit said so.

    Raises:
        PatterConfigError: a setting cannot be right.
    """

    providers: tuple[_Provider, ...] = attrs.field(converter=_listed, validator=all_of(TTSProvider, "voice"))
    recovery_interval_s: float = attrs.field(default=30.0, validator=seconds, kw_only=True)

    @property
    def name(self) -> str:
        """``fallback``."""
        return "fallback"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Chain]:
        """Opens all voices that have to be opened once."""
        async with opened(self.providers) as lives:
            yield Chain(self, tuple(map(Member, lives)))


@attrs.frozen
class Chain:
    """The providers, opened, in order."""

    settings: FallbackTTSProvider
    _members: tuple[Member[TTSProvider], ...]

    @property
    def name(self) -> str:
        """``fallback``."""
        return self.settings.name

    def in_order(self) -> list[Member[TTSProvider]]:
        """Those that are well first."""
        return well_first(self._members)

    def leave_out(self, member: Member[TTSProvider], error: VoiceError) -> None:
        """A voice failed."""
        leave_out(member, error, self.settings.recovery_interval_s, _log)

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[Voice]:
        """A voice for one call, in the carrier's format whoever speaks; connected, if anybody can be.

        Raises:
            VoiceError: no provider gives a voice.
        """
        try:
            async with trio.open_nursery() as nursery:
                voice = _ChainVoice(self, audio, call, nursery)
                await voice.open_one()
                yield voice
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise unwrapped(group) from None


class _ChainVoice:
    """One call's voices; each is opened when it is first needed, and lives in a task of its own."""

    def __init__(self, chain: Chain, audio: AudioFormat, call: CallInfo, nursery: trio.Nursery) -> None:
        self._chain = chain
        self._audio = audio
        self._call = call
        self._nursery = nursery
        self._voices: dict[int, Voice] = {}

    @property
    def audio(self) -> AudioFormat:
        """The carrier's format."""
        return self._audio

    async def open_one(self) -> None:
        """Opens the first voice that can be."""
        failures: list[VoiceError] = []
        for member in self._chain.in_order():
            try:
                await self._voice_of(member)
            except VoiceError as error:
                self._chain.leave_out(member, error)
                failures.append(error)
            else:
                return
        raise _all_failed(failures)

    async def _voice_of(self, member: Member[TTSProvider]) -> Voice:
        if id(member) not in self._voices:
            with foreign(VoiceError, member.live.name):
                self._voices[id(member)] = await self._nursery.start(self._hold, member)
        return self._voices[id(member)]

    async def _hold(self, member: Member[TTSProvider], *, task_status: trio.TaskStatus[Voice]) -> None:
        is_open = False
        try:
            with foreign(VoiceError, member.live.name):
                async with member.live.open_voice(self._audio, self._call) as voice:
                    is_open = True
                    task_status.started(voice)
                    await trio.sleep_forever()
        except VoiceError as error:
            if not is_open:
                raise
            self._chain.leave_out(member, error)
        finally:
            self._voices.pop(id(member), None)

    def speak(self, sentences: AsyncIterable[str]) -> AbstractAsyncContextManager[AsyncIterable[SpokenAudio]]:
        """Speaks one turn, with as many voices as it takes.

        Raises:
            VoiceError: each voice failed.
        """
        return self._speak(sentences)

    @trio.as_safe_channel
    async def _speak(self, sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
        outlet, inlet = trio.open_memory_channel[str](0)
        script, failures = _Script(inlet, self._audio), list[VoiceError]()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_give, sentences, outlet)
            for member in self._chain.in_order():
                try:
                    with foreign(VoiceError, member.live.name):
                        voice = await self._voice_of(member)
                        converter = Converter(voice.audio, self._audio)
                        async with voice.speak(script) as pieces:
                            async for piece in pieces:
                                yield script.note(piece, converter.feed(piece.audio))
                        yield SpokenAudio(converter.flush())
                        break
                except VoiceError as error:
                    self._chain.leave_out(member, error)
                    failures.append(error)
                    script.break_off()
            else:
                raise _all_failed(failures)
            nursery.cancel_scope.cancel()


async def _give(sentences: AsyncIterable[str], outlet: trio.MemorySendChannel[str]) -> None:
    async with outlet:
        async for sentence in sentences:
            await outlet.send(sentence)


def _all_failed(failures: Sequence[VoiceError]) -> VoiceError:
    return VoiceError(f"every voice failed: {'; '.join(map(str, failures))}")


class _Script:
    """A turn's sentences, and how far they have been spoken by whoever spoke.

    It is an iterator of what is left; one voice after the other reads from it.
    """

    def __init__(self, inlet: trio.MemoryReceiveChannel[str], audio: AudioFormat) -> None:
        self._inlet = inlet
        self._audio = audio
        # Read and not begun; and what is to be read again before anything new.
        self._coming: deque[str] = deque()
        self._again: deque[str] = deque()
        # The running text as its voice was given it, its words, and the seconds of its sound.
        self._current = ""
        self._words: list[Word] = []
        self._seconds = 0.0
        # Seconds of the same text by voices before; whether the next text goes on with it.
        self._before = 0.0
        self._goes_on = False

    def __aiter__(self) -> _Script:
        return self

    async def __anext__(self) -> str:
        """The next of what is left to be spoken, as it comes."""
        if self._again:
            line = self._again.popleft()
        else:
            try:
                line = await self._inlet.receive()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
        self._coming.append(line)
        return line

    def note(self, piece: SpokenAudio, audio: bytes) -> SpokenAudio:
        """Takes note of a piece, and gives it as it is passed on: a rest is no text of its own."""
        text = piece.text
        if text is not None:
            self._begin(text)
            if self._goes_on:
                self._goes_on, text = False, None
            else:
                self._before = 0.0
        self._seconds += self._audio.seconds_in(len(audio))
        self._words += piece.words
        words = tuple(
            attrs.evolve(word, start=word.start + self._before, end=word.end + self._before)
            for word in piece.words
        )
        return SpokenAudio(audio, text, words)

    def _begin(self, text: str) -> None:
        self._current, self._words, self._seconds = text, [], 0.0
        length = len("".join(text.split()))
        while length > 0 and self._coming:
            length -= len("".join(self._coming.popleft().split()))

    def break_off(self) -> None:
        """A voice failed: what is left of its text comes first now."""
        rest = _rest_of(self._current, self._words, self._seconds)
        self._again.extendleft(reversed([rest, *self._coming] if rest else list(self._coming)))
        self._coming.clear()
        self._before += self._seconds
        self._goes_on = bool(rest)
        self._current, self._words, self._seconds = "", [], 0.0


def _rest_of(text: str, words: Sequence[Word], seconds: float) -> str:
    """What of a text is not in its first ``seconds`` of sound; a word that has begun counts as spoken."""
    spoken = text.split()
    if words:
        begun = sum(word.start < seconds for word in words)
        return " ".join(spoken[begun:])
    left = seconds * _CHARACTERS_PER_SECOND
    while spoken and left > 0:
        left -= len(spoken.pop(0)) + 1
    return " ".join(spoken)


TTS = FallbackTTSProvider
