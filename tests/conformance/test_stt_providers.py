"""What every recogniser behind a WebSocket must do, against a far end that speaks its wire."""

from __future__ import annotations

import logging
import traceback
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
    RecognizerError,
)
from patter_trio.events import LINEAR_16K, MULAW_8K, HearingItem, SpeechEnded, SpeechStarted
from patter_trio.testing.checks import check_stt

from .answers import only
from .stt_endpoint import open_far_end
from .stt_hearing import CALL, conversation, hear, hear_call, silence
from .stt_vendors import KEY, VENDORS, Vendor


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return VENDORS[request.param]


async def fail(provider: Any, items: Any = None) -> PatterError:
    with trio.fail_after(60):
        try:
            heard = await hear(provider, conversation("good morning") if items is None else items)
        except (PatterError, BaseExceptionGroup) as raised:
            return only(raised)
    raise AssertionError(f"no failure, but {heard}")


async def test_it_conforms(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk) as far:
        await check_stt(vendor.make(far))
        await far.wait_quiet()
        assert len(far.talks) == 6  # the check's connections


async def test_each_end_of_speech_is_answered_by_one_final(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk) as far:
        heard = await hear(vendor.make(far), conversation("good morning", "two rolls please"))
    assert heard.answers == ["good morning", "two rolls please"]
    assert heard.finals == heard.answers


async def test_a_cough_is_answered_in_time_though_the_far_end_says_nothing(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [*silence(0.2, 0), SpeechStarted(0.2), *silence(0.4, 0.2), SpeechEnded(0.6), *silence(2.0, 0.6)]
    async with open_far_end(monkeypatch, vendor.talk) as far:
        provider = vendor.make(far)
        began = trio.current_time()
        heard = await hear(provider, items)
    assert heard.answers == [""]
    assert heard.at[0] - began <= 0.6 + provider.finalize_timeout + 0.1


async def test_words_come_while_they_are_spoken(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk) as far:
        heard = await hear(vendor.make(far), conversation("two rolls please"))
    assert ("two" in heard.interims) is vendor.interim


async def test_words_have_the_times_of_the_call(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk) as far:
        heard = await hear(vendor.make(far), conversation("two rolls", at=100.0))
    words = heard.transcripts[-1].words
    if not vendor.word_times:
        assert words == ()
        return
    assert [word.text for word in words] == ["two", "rolls"]
    assert words[0].start == pytest.approx(100.2, abs=0.05)
    assert words[1].end == pytest.approx(100.2 + 0.68, abs=0.05)


async def test_the_carriers_sound_arrives_as_it_is(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = conversation("good morning")
    async with open_far_end(monkeypatch, vendor.talk) as far:
        await hear(vendor.make(far), items)
    (talk,) = far.talks
    sent = sum(len(item.audio) for item in items if hasattr(item, "audio"))
    # Whatever was added to a piece that was too small is silence of less than a tenth of a second.
    assert 0 <= talk.seconds - MULAW_8K.seconds_in(sent) < 0.1
    assert all(talk.sizes), "an empty message may end the stream"


async def test_a_call_in_another_format_is_converted(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk) as far:
        provider = vendor.settings.for_twilio(KEY, base_url=far.url, **vendor.given)
        await hear(provider, silence(1.0, 0, LINEAR_16K), LINEAR_16K)
    assert far.talks[0].seconds == pytest.approx(1.0, abs=0.1)


async def test_what_is_left_comes_when_the_hearing_ends_and_the_goodbye_is_said(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [item for item in conversation("good morning") if not isinstance(item, SpeechEnded)]
    async with open_far_end(monkeypatch, vendor.talk) as far:
        began = trio.current_time()
        heard = await hear(vendor.make(far), items)
        assert trio.current_time() - began < 3.5
        await far.wait_quiet()
    assert heard.finals == ["good morning"]
    if vendor.goodbye is not None:
        assert vendor.goodbye in str(far.talks[0].received)


async def test_who_leaves_early_says_goodbye_too(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk) as far:
        outlet, inlet = trio.open_memory_channel[HearingItem](10)
        async with outlet, vendor.make(far).transcribe(inlet, MULAW_8K, CALL):
            for item in silence(0.2, 0):
                await outlet.send(item)
            await trio.sleep(0.5)
        await far.wait_quiet()
        if vendor.goodbye is not None:
            assert vendor.goodbye in str(far.talks[0].received)


async def test_a_cancelled_call_leaves_no_socket(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk) as far:
        with trio.move_on_after(0.7) as scope:
            await hear(vendor.make(far), conversation("good morning everybody"))
        assert scope.cancelled_caught
        await far.wait_quiet()


async def test_a_broken_connection_costs_no_words(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk, cut_after=[0.9, 2.0]) as far:
        provider = vendor.make(far)
        heard = await hear_call(provider, conversation("one two three four", "five six seven", after=1.0))
        assert len(far.talks) == 3
        await far.wait_quiet()
    assert " ".join(heard.finals).split() == ["one", "two", "three", "four", "five", "six", "seven"]


async def test_a_refused_key_ends_it_at_once(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for status in (401, 403):
        body = f"no such key: {KEY}".encode()
        async with open_far_end(monkeypatch, vendor.talk, refusals=[(status, body)]) as far:
            with pytest.raises(BaseExceptionGroup) as raised:
                await hear_call(vendor.make(far), conversation("good morning"))
            error = only(raised.value)
            assert isinstance(error, RecognizerError)
            assert isinstance(error.__cause__, AuthenticationError)
            assert not far.talks, "it was not asked again"
            shown = "".join(traceback.format_exception(error))
            assert KEY not in shown
            assert "no such key: …" in shown


async def test_refusals_have_their_types(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {429: RateLimitError, 400: PatterConfigError, 503: PatterConnectionError}
    for status, kind in kinds.items():
        async with open_far_end(monkeypatch, vendor.talk, refusals=[(status, b"because")]) as far:
            error = await fail(vendor.make(far))
        assert type(error) is kind
        assert "because" in str(error)


async def test_a_recogniser_that_stays_away_ends_as_a_failure(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk, refusals=[(503, b"down")] * 99) as far:
        with pytest.raises(BaseExceptionGroup) as raised:
            await hear_call(vendor.make(far), conversation(*["good morning"] * 9))
        assert isinstance(only(raised.value), RecognizerError)
        assert len(far.refusals) == 99 - 5


async def test_a_far_end_that_never_says_anything_is_given_up(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mute(vendor.talk):  # type: ignore[name-defined, misc]
        async def on_sound(self, audio: bytes) -> None:
            return

        async def on_text(self, message: str) -> None:
            if not self.received[1:] and self.greeting:
                await super().on_text(message)

        greeting = vendor.settings.__name__ == "SpeechmaticsSTT"

    async with open_far_end(monkeypatch, Mute) as far:
        error = await fail(vendor.make(far), conversation(*["good morning"] * 20))
    assert isinstance(error, RecognizerError)
    assert "has not said anything" in str(error)


async def test_a_far_end_that_does_not_answer_the_upgrade_is_not_waited_for(
    autojump_clock: MockClock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, vendor.talk, answers=False) as far:
        began = trio.current_time()
        error = await fail(vendor.make(far, connect_timeout=1.5))
    assert isinstance(error, PatterConnectionError)
    assert trio.current_time() - began == pytest.approx(1.5, abs=0.1)


async def test_the_key_is_not_shown(
    autojump_clock: MockClock,
    vendor: Vendor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with open_far_end(monkeypatch, vendor.talk) as far:
            provider = vendor.make(far)
            await hear(provider, conversation("good morning"))
    (talk,) = far.talks
    assert KEY in "".join(talk.headers.values())
    assert KEY not in repr(provider) + caplog.text + talk.path


def test_the_key_comes_from_the_environment_or_there_is_none(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in vendor.settings.key_names:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PatterConfigError, match=vendor.settings.key_names[0]):
        vendor.settings()
    for name in vendor.settings.key_names:
        monkeypatch.setenv(name, f"{KEY}\n")
        assert vendor.settings().key == KEY
        monkeypatch.delenv(name)


def test_an_address_that_is_none_is_refused(vendor: Vendor) -> None:
    for wrong in ("", "api.example.test", "https://api.example.test", None):
        with pytest.raises(PatterConfigError, match="base_url"):
            vendor.settings(api_key=KEY, base_url=wrong)  # type: ignore[arg-type]


def test_an_unknown_format_is_refused_with_the_known_ones(vendor: Vendor) -> None:
    with pytest.raises(PatterConfigError, match=next(iter(vendor.settings.encodings))):
        vendor.settings(api_key=KEY, encoding="mp3")
