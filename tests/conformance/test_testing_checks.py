"""The scripted providers pass the conformance checks; broken ones fail them, each with its own sentence."""

from __future__ import annotations

import itertools
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import attrs
import pytest
import trio
import trio.testing

from patter_trio._audio import g711
from patter_trio.abc import DetectorThresholds, Voice
from patter_trio.events import (
    LINEAR_8K,
    LINEAR_16K,
    MULAW_8K,
    AudioFormat,
    CallInfo,
    HearingItem,
    LLMChunk,
    Message,
    SpeechAudio,
    SpokenAudio,
    Transcript,
)
from patter_trio.testing import (
    Reply,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    ToolUse,
    run_virtual,
    speak_words,
)
from patter_trio.testing.checks import check_llm, check_stt, check_tts, check_vad


def fails(match: str, check: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(AssertionError, match=match):
        run_virtual(check)


async def test_scripted_voices_conform(autojump_clock: trio.testing.MockClock) -> None:
    for audio in (MULAW_8K, LINEAR_8K, LINEAR_16K):
        await check_tts(ScriptedTTS(), audio=audio)
    await check_tts(ScriptedTTS(with_words=False, realtime_factor=2.0))


async def test_scripted_models_conform(autojump_clock: trio.testing.MockClock) -> None:
    await check_llm(ScriptedLLM(["Very well, thank you."]))
    await check_llm(ScriptedLLM([Reply(tools=[ToolUse("hang_up")])], first_token_delay=0.0, token_delay=0.0))


async def test_scripted_recognisers_conform(autojump_clock: trio.testing.MockClock) -> None:
    for audio in (MULAW_8K, LINEAR_8K):
        await check_stt(ScriptedSTT(), audio=audio)
    await check_stt(ScriptedSTT(interim=False, delay=1.5), speech=speak_words("My words."), words="my words")


async def test_scripted_detectors_conform(autojump_clock: trio.testing.MockClock) -> None:
    for rate, window in itertools.product((8000, 16000), (0.02, 0.032)):
        await check_vad(ScriptedVAD(window=window), sample_rate=rate)
    await check_vad(ScriptedVAD(), speech=g711.decode(speak_words("here I am"), MULAW_8K))


async def test_a_provider_is_opened_as_a_session_opens_it(autojump_clock: trio.testing.MockClock) -> None:
    opened: list[str] = []

    class Settings(ScriptedLLM):
        @asynccontextmanager
        async def open(self) -> AsyncIterator[ScriptedLLM]:
            opened.append("in")
            yield ScriptedLLM(["I am the open one."])
            opened.append("out")

    settings = Settings(["I am closed."])
    await check_llm(settings)
    assert opened == ["in", "out"]
    assert settings.requests == []


# --- broken voices ------------------------------------------------------------------------------------------


class Speak(Protocol):
    def __call__(
        self, sentences: AsyncIterable[str]
    ) -> AbstractAsyncContextManager[AsyncIterable[SpokenAudio]]: ...


@attrs.frozen
class BrokenVoice:
    speak: Speak
    audio: AudioFormat = MULAW_8K


@attrs.frozen
class BrokenTTS:
    speak: Speak
    audio: AudioFormat = MULAW_8K
    name: str = "broken"

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[Voice]:
        yield BrokenVoice(self.speak, self.audio)


@trio.as_safe_channel
async def without_text(sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
    async for sentence in sentences:
        yield SpokenAudio(speak_words(sentence))


@trio.as_safe_channel
async def odd_bytes(sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
    async for sentence in sentences:
        yield SpokenAudio(b"\0\0\0", sentence)


@trio.as_safe_channel
async def only_at_the_end(sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
    for sentence in [sentence async for sentence in sentences]:
        yield SpokenAudio(speak_words(sentence), sentence)


@trio.as_safe_channel
async def without_end(sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
    async for sentence in sentences:
        yield SpokenAudio(speak_words(sentence), sentence)
    await trio.sleep_forever()


@asynccontextmanager
async def leaves_a_task(sentences: AsyncIterable[str]) -> AsyncIterator[AsyncIterable[SpokenAudio]]:
    async with without_fault(sentences) as sound:
        trio.lowlevel.spawn_system_task(trio.sleep, 60)
        yield sound


@trio.as_safe_channel
async def without_fault(sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
    async for sentence in sentences:
        yield SpokenAudio(speak_words(sentence), sentence)


def mixing() -> Speak:
    waiting: list[str] = []

    @trio.as_safe_channel
    async def speak(sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
        async for sentence in sentences:
            waiting.append(sentence)
            await trio.sleep(0.1)
            text = waiting[-1]
            yield SpokenAudio(speak_words(text), text)

    return speak


@pytest.mark.parametrize(
    ("tts", "match"),
    [
        (BrokenTTS(without_text), "says which text"),
        (BrokenTTS(odd_bytes, LINEAR_8K), "whole number of linear16 samples"),
        (BrokenTTS(only_at_the_end), "sound while sentences still go in: not done"),
        (BrokenTTS(without_end), "a turn: not done within"),
        (BrokenTTS(leaves_a_task), "leaves 1 task"),
        (BrokenTTS(mixing()), "the texts of the pieces"),
        (BrokenTTS(without_fault, name=""), "name is a short text"),
    ],
)
def test_broken_voices_fail(tts: BrokenTTS, match: str) -> None:
    fails(match, lambda: check_tts(tts))


# --- broken models ------------------------------------------------------------------------------------------


@attrs.frozen
class BrokenLLM:
    chunks: Sequence[LLMChunk]
    then: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    name: str = "broken"
    model: str = "broken"

    @trio.as_safe_channel
    async def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        call_id: str | None = None,
    ) -> AsyncGenerator[LLMChunk, None]:
        try:
            for chunk in self.chunks:
                yield chunk
            await self.then()
        finally:
            if self.then is not trio.lowlevel.checkpoint:
                trio.lowlevel.spawn_system_task(trio.sleep, 60)


HELLO, DONE = LLMChunk("text", content="hello"), LLMChunk("done")


@pytest.mark.parametrize(
    ("llm", "match"),
    [
        (BrokenLLM([HELLO]), "ends with done"),
        (BrokenLLM([]), "ends with done"),
        (BrokenLLM([HELLO, DONE, DONE]), "once"),
        (BrokenLLM([DONE]), "text or a tool call"),
        (BrokenLLM([HELLO, DONE], trio.testing.wait_all_tasks_blocked), "leaves 1 task"),
        (BrokenLLM([HELLO, DONE], trio.sleep_forever), "an answer: not done within 30 s"),
    ],
)
def test_broken_models_fail(llm: BrokenLLM, match: str) -> None:
    fails(match, lambda: check_llm(llm))


def test_a_model_that_changes_the_messages_fails() -> None:
    def change(messages: Sequence[Message]) -> str:
        return "fine"

    class Greedy(ScriptedLLM):
        def stream(
            self,
            messages: Sequence[Message],
            tools: Sequence[Mapping[str, Any]] | None = None,
            *,
            call_id: str | None = None,
        ) -> Any:
            if isinstance(messages, list):
                messages.clear()
            return super().stream(messages, tools, call_id=call_id)

    fails("changes the messages", lambda: check_llm(Greedy(change)))


# --- broken recognisers -------------------------------------------------------------------------------------

Understand = Callable[[AsyncIterable[HearingItem]], AbstractAsyncContextManager[AsyncIterable[Transcript]]]


@attrs.frozen
class BrokenSTT:
    understand: Understand
    name: str = "broken"

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        return self.understand(hearing)


@trio.as_safe_channel
async def only_when_all_is_heard(hearing: AsyncIterable[HearingItem]) -> AsyncGenerator[Transcript, None]:
    loud = [item async for item in hearing if isinstance(item, SpeechAudio) and b"\xff\xff" not in item.audio]
    if loud:
        yield Transcript("good morning everybody", is_final=True)


@trio.as_safe_channel
async def hears_voices(hearing: AsyncIterable[HearingItem]) -> AsyncGenerator[Transcript, None]:
    async for item in hearing:
        if isinstance(item, SpeechAudio):
            yield Transcript("good morning everybody", is_final=True)


@trio.as_safe_channel
async def never_ends(hearing: AsyncIterable[HearingItem]) -> AsyncGenerator[Transcript, None]:
    async for item in hearing:
        if isinstance(item, SpeechAudio) and item.speech:
            yield Transcript("good morning everybody", is_final=True)
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("stt", "match"),
    [
        (ScriptedSTT(deaf=True), "the final transcript: not done"),
        (BrokenSTT(only_when_all_is_heard), "the final transcript: not done"),
        (BrokenSTT(hears_voices), "heard in silence"),
        (BrokenSTT(never_ends), "not done within"),
    ],
)
def test_broken_recognisers_fail(stt: ScriptedSTT | BrokenSTT, match: str) -> None:
    fails(match, lambda: check_stt(stt))


# --- broken detectors ---------------------------------------------------------------------------------------


@attrs.define
class BrokenDetector:
    opened: list[BrokenDetector]
    answer: Callable[[BrokenDetector, bytes], list[float]]
    window: float = 0.02
    fed: int = 0

    def feed(self, pcm: bytes) -> list[float]:
        self.fed += len(pcm)
        return self.answer(self, pcm)


@attrs.frozen
class BrokenVAD:
    answer: Callable[[BrokenDetector, bytes], list[float]]
    thresholds: DetectorThresholds = attrs.field(factory=DetectorThresholds)
    name: str = "broken"
    opened: list[BrokenDetector] = attrs.field(factory=list[BrokenDetector])

    def open_detector(self, sample_rate: int) -> BrokenDetector:
        detector = BrokenDetector(self.opened, self.answer)
        self.opened.append(detector)
        return detector


def whole_windows(detector: BrokenDetector, pcm: bytes) -> int:
    return detector.fed // 320 - (detector.fed - len(pcm)) // 320


def forgets_rests(detector: BrokenDetector, pcm: bytes) -> list[float]:
    return [0.0] * (len(pcm) // 320)


def shares_state(detector: BrokenDetector, pcm: bytes) -> list[float]:
    return [sum(other.fed for other in detector.opened[-2:]) % 7 / 7] * whole_windows(detector, pcm)


def always_hears(detector: BrokenDetector, pcm: bytes) -> list[float]:
    return [1.0] * whole_windows(detector, pcm)


def never_hears(detector: BrokenDetector, pcm: bytes) -> list[float]:
    return [0.0] * whole_windows(detector, pcm)


def is_too_sure(detector: BrokenDetector, pcm: bytes) -> list[float]:
    return [1.5] * whole_windows(detector, pcm)


@pytest.mark.parametrize(
    ("vad", "match"),
    [
        (BrokenVAD(forgets_rests), "how the sound is cut"),
        (BrokenVAD(shares_state), "changes the probabilities"),
        (BrokenVAD(always_hears), "silence is taken for speech"),
        (BrokenVAD(never_hears), "not noticed"),
        (BrokenVAD(is_too_sure), "between 0 and 1"),
        (BrokenVAD(never_hears, DetectorThresholds(onset=0.2, release=0.4)), "thresholds"),
    ],
)
def test_broken_detectors_fail(vad: BrokenVAD, match: str) -> None:
    fails(match, lambda: check_vad(vad, speech=g711.decode(speak_words("here I am"), MULAW_8K)))
