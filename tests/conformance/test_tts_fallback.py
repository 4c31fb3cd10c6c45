"""A voice that fails is followed by the next one, in the middle of a sentence too."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from patter_trio.errors import PatterConfigError, RateLimitError, VoiceError
from patter_trio.events import LINEAR_8K, MULAW_8K, AudioFormat, CallInfo, SpokenAudio
from patter_trio.testing import Caller, ScriptedTTS
from patter_trio.testing.checks import check_tts
from patter_trio.testing.wordsound import word_times
from patter_trio.tts.elevenlabs import ElevenLabsTTS
from patter_trio.tts.fallback import FallbackTTSProvider

from ..calls.ring import agent, ring_async
from .stt_endpoint import open_far_end
from .stt_hearing import CALL
from .test_tts_providers import SENTENCES, fail, hear, leave_early, speak, words_in
from .tts_endpoint import ElevenLabsTalk, sound_of
from .tts_vendors import KEY


@attrs.define
class Breaking:
    """A voice that breaks in the middle of a sentence, after so many seconds of it."""

    after: float
    with_words: bool = True
    at: int = 0
    opens: bool = True
    asked: list[str] = attrs.field(factory=list)
    name: str = "breaking"

    @property
    def audio(self) -> AudioFormat:
        return MULAW_8K

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[Breaking]:
        if not self.opens:
            raise LookupError("no such voice")
        yield self

    @trio.as_safe_channel
    async def speak(self, sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
        number = 0
        async for sentence in sentences:
            self.asked.append(sentence)
            sound = sound_of(sentence, MULAW_8K)
            if number == self.at:
                sound = sound[: MULAW_8K.bytes_for(self.after)]
            yield SpokenAudio(sound, sentence, word_times(sentence) if self.with_words else ())
            if number == self.at:
                raise VoiceError("it broke")
            number += 1


def texts(pieces: Sequence[SpokenAudio]) -> list[str]:
    return [piece.text for piece in pieces if piece.text is not None]


async def chain(*providers: Any, sentences: Sequence[str] = SENTENCES, **settings: Any) -> list[SpokenAudio]:
    async with (
        FallbackTTSProvider(providers, **settings).open() as live,
        live.open_voice(MULAW_8K, CALL) as voice,
    ):
        assert voice.audio == MULAW_8K
        return await speak(voice, sentences)


async def test_it_conforms(autojump_clock: MockClock) -> None:
    await check_tts(FallbackTTSProvider([ScriptedTTS()]))
    await check_tts(FallbackTTSProvider([ScriptedTTS(fails_at=0, failures=1), ScriptedTTS(name="other")]))
    await check_tts(FallbackTTSProvider([ScriptedTTS(audio=LINEAR_8K)]))


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_the_rest_of_a_sentence_comes_from_the_next_voice(autojump_clock: MockClock, at: int) -> None:
    second = ScriptedTTS()
    pieces = await chain(Breaking(0.68, at=at), second)
    # Two words of the broken sentence were spoken.
    assert second.record.sentences == [" ".join(SENTENCES[at].split()[2:]), *SENTENCES[at + 1 :]]
    # The rest is no sentence of its own: what was heard is known by the sentences that were written.
    assert texts(pieces) == list(SENTENCES)
    assert words_in(pieces, MULAW_8K) == " ".join(SENTENCES).split()


async def test_words_of_a_rest_have_their_times_in_the_whole_sentence(autojump_clock: MockClock) -> None:
    pieces = await chain(Breaking(0.68, with_words=True), ScriptedTTS(), sentences=SENTENCES[:1])
    words = [word for piece in pieces[1:] for word in piece.words]
    expected = word_times(SENTENCES[0])[2:]
    assert [word.text for word in words] == [word.text for word in expected]
    for word, should in zip(words, expected, strict=True):
        assert word.start == pytest.approx(should.start)


async def test_without_times_of_words_the_rest_is_guessed(autojump_clock: MockClock) -> None:
    second = ScriptedTTS()
    await chain(Breaking(1.0, with_words=False), second, sentences=SENTENCES[:1])
    assert second.record.sentences == ["this is the bakery."]


async def test_a_voice_that_does_not_open_is_passed_over(autojump_clock: MockClock) -> None:
    assert (
        words_in(await chain(Breaking(0, opens=False), ScriptedTTS()), MULAW_8K)
        == " ".join(SENTENCES).split()
    )


async def test_when_all_voices_fail_each_failure_is_told(autojump_clock: MockClock) -> None:
    async with (
        FallbackTTSProvider([Breaking(0.4), ScriptedTTS(fails_at=0, failures=9)]).open() as live,
        live.open_voice(MULAW_8K, CALL) as voice,
    ):
        error = await fail(voice)
    assert type(error) is VoiceError
    assert "it broke" in str(error)
    assert "the script breaks this turn" in str(error)


async def test_a_voice_that_failed_is_left_out_for_some_time(autojump_clock: MockClock) -> None:
    first, second = ScriptedTTS(fails_at=0, failures=1), ScriptedTTS(name="other")
    async with (
        FallbackTTSProvider([first, second], recovery_interval_s=10).open() as live,
        live.open_voice(MULAW_8K, CALL) as voice,
    ):
        await speak(voice)
        assert second.record.turns == 1
        await speak(voice)
        assert (first.record.turns, second.record.turns) == (1, 2)
        await trio.sleep(10)
        await speak(voice)
        assert (first.record.turns, second.record.turns) == (2, 2)
    assert first.record.open_voices == second.record.open_voices == 0


async def test_a_rate_limit_is_kept(autojump_clock: MockClock) -> None:
    asked = list[float]()

    class Limited(Breaking):
        @asynccontextmanager
        async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[Breaking]:
            asked.append(trio.current_time())
            raise RateLimitError("slow down", retry_after=100.0)
            yield self

    async with FallbackTTSProvider([Limited(0), ScriptedTTS()], recovery_interval_s=1.0).open() as live:
        for _ in range(4):
            async with live.open_voice(MULAW_8K, CALL) as voice:
                await speak(voice)
            await trio.sleep(49)
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 100


async def test_a_turn_that_is_left_stops_the_voice_that_speaks(autojump_clock: MockClock) -> None:
    second = ScriptedTTS(name="other")
    async with (
        FallbackTTSProvider([ScriptedTTS(fails_at=0, failures=1), second]).open() as live,
        live.open_voice(MULAW_8K, CALL) as voice,
    ):
        await leave_early(voice)
        assert second.record.cancelled_turns == 1
        assert second.record.open_turns == 0


async def test_a_failure_of_the_sentences_is_not_one_of_the_voices(autojump_clock: MockClock) -> None:
    async def failing() -> AsyncIterator[str]:
        yield SENTENCES[0]
        raise LookupError("no more words")

    second = ScriptedTTS(name="other")
    async with (
        FallbackTTSProvider([ScriptedTTS(), second]).open() as live,
        live.open_voice(MULAW_8K, CALL) as voice,
    ):
        with pytest.raises((LookupError, BaseExceptionGroup)) as raised:
            await hear(voice, failing())
    assert "no more words" in repr(raised.value)
    assert second.record.turns == 0


async def test_a_call_goes_on_when_the_vendor_goes_away(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "Hello, this is the desk. We are open from eight to six on every day."
    async with open_far_end(monkeypatch, ElevenLabsTalk, cut_after=[2.0]) as far:
        voices = FallbackTTSProvider([ElevenLabsTTS(api_key=KEY, base_url=far.url), ScriptedTTS()])
        rung = await ring_async(agent(tts=voices, first_message=said), Caller().waits(12.0).hangs_up())
    assert rung.said("assistant") == [said]
    assert rung.tasks_left == 0


@pytest.mark.parametrize("wrong", [{"providers": []}, {"providers": ["x"]}])
def test_a_wrong_list_is_refused(wrong: Any) -> None:
    with pytest.raises(PatterConfigError):
        FallbackTTSProvider(**wrong)


def test_a_wrong_interval_is_refused() -> None:
    with pytest.raises(PatterConfigError):
        FallbackTTSProvider([ScriptedTTS()], recovery_interval_s=0)
