"""What every voice behind a WebSocket must do, against a far end that speaks its wire."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from patter_trio.errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    RateLimitError,
    VoiceError,
)
from patter_trio.events import LINEAR_8K, MULAW_8K, AudioFormat, SpokenAudio
from patter_trio.testing.checks import check_tts
from patter_trio.testing.wordsound import WordReader, word_times

from .answers import only
from .stt_endpoint import FarEnd, open_far_end
from .stt_hearing import CALL
from .tts_endpoint import asked, feed, sound_of
from .tts_vendors import KEY, VENDORS, Vendor

SENTENCES = ("Good morning, this is the bakery.", "How can I help you today?", "We have fresh rolls.")


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return VENDORS[request.param]


def words_in(pieces: Sequence[SpokenAudio], audio: AudioFormat) -> list[str]:
    reader = WordReader(audio)
    return [word.text for piece in pieces for word in reader.feed(piece.audio) if word.complete]


async def speak(voice: Any, sentences: Sequence[str] = SENTENCES, gap: float = 0.0) -> list[SpokenAudio]:
    outlet, inlet = trio.open_memory_channel[str](0)
    pieces: list[SpokenAudio] = []
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed, outlet, sentences, gap)
            async with voice.speak(inlet) as sound:
                async for piece in sound:
                    pieces.append(piece)
    return pieces


async def fail_to_open(provider: Any) -> PatterError:
    with trio.fail_after(60):
        try:
            async with provider.open_voice(MULAW_8K, CALL):
                raise AssertionError("it opened")
        except (PatterError, BaseExceptionGroup) as raised:
            return only(raised)


async def fail(voice: Any, sentences: Sequence[str] = SENTENCES) -> PatterError:
    with trio.fail_after(60):
        try:
            pieces = await speak(voice, sentences)
        except (PatterError, BaseExceptionGroup) as raised:
            return only(raised)
    raise AssertionError(f"no failure, but {pieces}")


async def hear(voice: Any, sentences: Any) -> None:
    async with voice.speak(sentences) as sound:
        async for _ in sound:
            pass


async def leave_early(voice: Any) -> list[SpokenAudio]:
    """Leaves a turn at its first sound."""
    outlet, inlet = trio.open_memory_channel[str](5)
    async with outlet, voice.speak(inlet) as sound:
        for sentence in SENTENCES:
            await outlet.send(sentence)
        async for piece in sound:
            if piece.audio:
                return [piece]
    raise AssertionError("no sound")


async def test_it_conforms(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk) as far:
        await check_tts(vendor.make(far))
        await far.wait_quiet()
        assert len(far.talks) == 6  # the check's voices, each on one connection


@pytest.mark.parametrize("gap", [0.0, 2.0])
async def test_each_sentence_stands_where_its_sound_begins(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, gap: float
) -> None:
    async with (
        open_far_end(monkeypatch, vendor.talk) as far,
        vendor.make(far).open_voice(MULAW_8K, CALL) as voice,
    ):
        pieces = await speak(voice, gap=gap)
    spoken: dict[str, int] = {}
    words: dict[str, list[Any]] = {}
    current = ""
    for piece in pieces:
        current = current if piece.text is None else piece.text
        spoken[current] = spoken.get(current, 0) + len(piece.audio)
        words.setdefault(current, []).extend(piece.words)
    if gap:
        assert tuple(spoken) == SENTENCES
    for text, size in spoken.items():
        assert abs(voice.audio.seconds_in(size - len(sound_of(text, voice.audio)))) <= vendor.tolerance
        if vendor.timed:
            assert [word.text for word in words[text]] == text.split()
            for word, expected in zip(words[text], word_times(text), strict=True):
                assert abs(word.start - expected.start) <= vendor.tolerance
                assert expected.start < word.end <= expected.end + vendor.tolerance
    assert words_in(pieces, voice.audio) == " ".join(SENTENCES).split()


async def test_the_carriers_own_format_is_asked_for(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk) as far:
        provider = vendor.make(far)
        async with provider.open_voice(MULAW_8K, CALL) as voice:
            assert voice.audio == (MULAW_8K if vendor.mulaw else LINEAR_8K)
        async with provider.open_voice(LINEAR_8K, CALL) as voice:
            assert voice.audio == LINEAR_8K
            pieces = await speak(voice)
    assert words_in(pieces, LINEAR_8K) == " ".join(SENTENCES).split()


async def test_a_turn_that_is_left_is_stopped_and_never_heard_again(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk) as far:
        async with vendor.make(far).open_voice(MULAW_8K, CALL) as voice:
            await leave_early(voice)
            pieces = await speak(voice, ["Sure, go ahead."])
            assert words_in(pieces, voice.audio) == ["Sure,", "go", "ahead."]
            assert [piece.text for piece in pieces if piece.text] == ["Sure, go ahead."]
        (talk,) = far.talks
        assert len(asked(talk, **vendor.stops)) >= 1


async def test_many_interruptions_in_a_row_are_no_trouble(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        open_far_end(monkeypatch, vendor.talk) as far,
        vendor.make(far).open_voice(MULAW_8K, CALL) as voice,
    ):
        for _ in range(12):
            await leave_early(voice)
        assert words_in(await speak(voice), voice.audio) == " ".join(SENTENCES).split()


async def test_a_connection_lost_in_a_turn_fails_it_and_the_next_one_reconnects(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk, cut_after=[2.5]) as far:
        async with vendor.make(far).open_voice(MULAW_8K, CALL) as voice:
            error = await fail(voice)
            assert type(error) is VoiceError
            assert "s of sound" in str(error)
            assert "bakery" in str(error)
            assert words_in(await speak(voice), voice.audio) == " ".join(SENTENCES).split()
        assert len(far.talks) == 2
        await far.wait_quiet()


async def test_a_connection_lost_between_turns_is_not_noticed(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        open_far_end(monkeypatch, vendor.talk) as far,
        vendor.make(far).open_voice(MULAW_8K, CALL) as voice,
    ):
        await speak(voice, SENTENCES[:1])
        await trio.sleep(30)
        idle: Any = far.talks[0]
        idle.nursery.cancel_scope.cancel()
        await trio.sleep(1)
        assert len(far.talks) == 2, "there is a new one before it is needed"
        assert words_in(await speak(voice), voice.audio) == " ".join(SENTENCES).split()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (403, AuthenticationError),
        (429, RateLimitError),
        (503, PatterConnectionError),
    ],
)
async def test_a_refusal_is_told_as_what_it_is_without_the_key(
    autojump_clock: MockClock,
    vendor: Vendor,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    kind: type[PatterError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    refusals = [(status, f"not with {KEY}".encode())] * 5
    async with open_far_end(monkeypatch, vendor.talk, refusals=refusals) as far:
        provider = vendor.make(far)
        error = await fail_to_open(provider)
        assert type(error) is kind
        assert len(refusals) == 4, "it is asked once"
        shown = "".join(traceback.format_exception(error, chain=False))
        assert KEY not in shown + repr(provider) + caplog.text


async def test_a_refusal_tells_how_long_to_wait(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: FarEnd, stream: trio.abc.Stream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(
            b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n"
        )

    monkeypatch.setattr(FarEnd, "serve", refuse)
    async with open_far_end(monkeypatch, vendor.talk) as far:
        error = await fail_to_open(vendor.make(far))
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 7.0


async def test_a_voice_that_cannot_connect_again_tries_with_the_next_turn(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        open_far_end(monkeypatch, vendor.talk, cut_after=[2.5]) as far,
        vendor.make(far).open_voice(MULAW_8K, CALL) as voice,
    ):
        await fail(voice)
        far.refusals.append((503, b""))
        assert type(await fail(voice)) is PatterConnectionError
        assert words_in(await speak(voice), voice.audio) == " ".join(SENTENCES).split()


async def test_who_does_not_answer_is_not_waited_for(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk, answers=False) as far:
        began = trio.current_time()
        error = await fail_to_open(vendor.make(far, connect_timeout=2.0))
        assert isinstance(error, PatterConnectionError)
        assert trio.current_time() - began == pytest.approx(2.0, abs=0.1)


async def test_who_says_nothing_is_not_waited_for(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = type("Mute", (vendor.talk,), {"mute": True})
    async with open_far_end(monkeypatch, mute) as far:
        provider = vendor.make(far, first_audio_timeout=3.0, frame_timeout=3.0)
        async with provider.open_voice(MULAW_8K, CALL) as voice:
            began = trio.current_time()
            error = await fail(voice)
            assert type(error) is VoiceError
            assert "silent for 3 s before it spoke" in str(error) or "ended" in str(error)
            assert trio.current_time() - began <= 3.5


async def test_who_stops_in_the_middle_is_not_waited_for(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalling = type("Stalling", (vendor.talk,), {"stalls_at": 1.0})
    async with open_far_end(monkeypatch, stalling) as far:
        provider = vendor.make(far, first_audio_timeout=2.0, frame_timeout=4.0)
        async with provider.open_voice(MULAW_8K, CALL) as voice:
            error = await fail(voice)
    assert type(error) is VoiceError
    assert "was silent for 4 s after 1.1 s of sound" in str(error)


async def test_two_calls_with_one_settings_object_do_not_disturb_each_other(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A voice that calls share would fall silent for one when the other hangs up or is interrupted.
    async with open_far_end(monkeypatch, vendor.talk) as far:
        provider = vendor.make(far)
        heard: list[str] = []

        async def first() -> None:
            async with provider.open_voice(MULAW_8K, CALL) as voice:
                heard.extend(words_in(await speak(voice, gap=0.3), voice.audio))

        async def second() -> None:
            async with provider.open_voice(MULAW_8K, CALL) as voice:
                await leave_early(voice)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(first)
            nursery.start_soon(second)
        assert heard == " ".join(SENTENCES).split()
        async with provider.open_voice(MULAW_8K, CALL) as voice:
            assert words_in(await speak(voice), voice.audio) == " ".join(SENTENCES).split()


async def test_sentences_that_fail_end_the_turn_with_their_failure(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing() -> Any:
        yield SENTENCES[0]
        await trio.sleep(0.5)
        raise LookupError("no more words")

    async with (
        open_far_end(monkeypatch, vendor.talk) as far,
        vendor.make(far).open_voice(MULAW_8K, CALL) as voice,
    ):
        with pytest.raises(LookupError):
            await hear(voice, failing())
        await trio.sleep(0.1)
        assert len(asked(far.talks[0], **vendor.stops)) >= 1


def test_a_missing_key_is_told_when_it_is_built(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in vendor.kind.key_names:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PatterConfigError, match=vendor.kind.key_names[0]):
        vendor.kind()
    monkeypatch.setenv(vendor.kind.key_names[0], f"{KEY}\n")
    assert vendor.kind().key == KEY
    assert KEY not in repr(vendor.kind())


def test_an_address_that_is_none_is_refused(vendor: Vendor) -> None:
    with pytest.raises(PatterConfigError, match="base_url"):
        vendor.make(FarEnd(vendor.talk, url="voices.example"))


def test_a_format_that_no_line_takes_is_refused(vendor: Vendor) -> None:
    with pytest.raises(PatterConfigError, match="mp3"):
        vendor.kind(api_key=KEY, output_format="mp3_44100_128")
