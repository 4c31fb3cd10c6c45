"""Several recognisers in order: the call is heard as long as one of them is well."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from patter_trio.abc import STTProvider
from patter_trio.errors import PatterConfigError, RateLimitError, RecognizerError
from patter_trio.events import Transcript
from patter_trio.stt.deepgram import DeepgramSTT
from patter_trio.stt.fallback import STT, FallbackSTTProvider
from patter_trio.stt.whisper import WhisperSTT
from patter_trio.testing import ScriptedSTT
from patter_trio.testing.checks import check_stt

from .answers import only
from .stt_endpoint import open_far_end
from .stt_hearing import conversation, hear, hear_call
from .stt_vendors import KEY, DeepgramTalk
from .test_stt_batch import Route

TALK = conversation("one two", "three four", "five six", after=1.0)
WORDS = ["one", "two", "three", "four", "five", "six"]


class Broken:
    """Fails when it is connected to, with an error of any kind."""

    name = "broken"

    def __init__(self, error: Exception | None, after: float = 0.0) -> None:
        self.error = error
        self.after = after
        self.asked: list[float] = []

    def transcribe(self, hearing: Any, audio: Any, call: Any) -> Any:
        return self._transcribe()

    @trio.as_safe_channel
    async def _transcribe(self) -> AsyncGenerator[Transcript, None]:
        self.asked.append(trio.current_time())
        await trio.sleep(self.after)
        if self.error is not None:
            raise self.error
        yield Transcript("")


class Hanging:
    """Never opens."""

    name = "hanging"

    def transcribe(self, hearing: Any, audio: Any, call: Any) -> Any:
        return self

    async def __aenter__(self) -> None:
        await trio.sleep_forever()

    async def __aexit__(self, *_: object) -> None:
        raise AssertionError("it was never entered")


async def test_it_conforms(autojump_clock: MockClock) -> None:
    await check_stt(FallbackSTTProvider([ScriptedSTT(), ScriptedSTT()]))
    assert STT is FallbackSTTProvider


async def test_the_first_is_asked_while_it_is_well(autojump_clock: MockClock) -> None:
    first, second = ScriptedSTT(), ScriptedSTT()
    async with FallbackSTTProvider([first, second]).open() as live:
        assert isinstance(live, STTProvider)
        assert live.name == "fallback: scripted"
        assert " ".join((await hear(live, TALK)).finals).split() == WORDS
    assert (first.record.connections, second.record.connections) == (1, 0)


async def test_the_next_hears_what_the_first_missed(autojump_clock: MockClock) -> None:
    first, second = ScriptedSTT(fail_after=2.5, failures=9), ScriptedSTT()
    async with FallbackSTTProvider([first, second]).open() as live:
        heard = await hear_call(live, TALK)
    assert " ".join(heard.finals).split() == WORDS
    assert (first.record.connections, second.record.connections) == (1, 1)
    assert first.record.open_connections == second.record.open_connections == 0


@pytest.mark.parametrize("error", [KeyError("oh"), RecognizerError("no"), PatterConfigError("never")])
async def test_whatever_the_first_dies_of_the_call_goes_on(
    error: Exception, autojump_clock: MockClock
) -> None:
    broken = Broken(error, after=0.7)
    async with FallbackSTTProvider([broken, ScriptedSTT()]).open() as live:
        heard = await hear_call(live, TALK)
    assert " ".join(heard.finals).split() == WORDS
    assert len(broken.asked) == 1


async def test_one_that_failed_is_asked_again_after_a_while(autojump_clock: MockClock) -> None:
    first = Broken(RecognizerError("no"))
    async with FallbackSTTProvider([first, ScriptedSTT()], recovery_interval_s=30.0).open() as live:
        for _ in range(3):
            await hear_call(live, TALK)
            await trio.sleep(10)
        assert len(first.asked) == 2
        assert 30 <= first.asked[1] - first.asked[0] < 60


async def test_a_rate_limit_is_kept(autojump_clock: MockClock) -> None:
    first = Broken(RateLimitError("slow down", retry_after=100.0))
    async with FallbackSTTProvider([first, ScriptedSTT()], recovery_interval_s=1.0).open() as live:
        for _ in range(12):
            await hear_call(live, TALK)
        assert len(first.asked) == 1 + int((trio.current_time() - first.asked[0]) > 100)


async def test_one_that_does_not_open_is_not_waited_for(autojump_clock: MockClock) -> None:
    async with FallbackSTTProvider([Hanging(), ScriptedSTT()], open_timeout=1.5).open() as live:
        began = trio.current_time()
        heard = await hear(live, conversation("one"))
        assert heard.finals == ["one"]
        assert trio.current_time() - began < 1.5 + 2.5


async def test_when_none_is_well_it_says_why_each_is_not(autojump_clock: MockClock) -> None:
    members = [Hanging(), Hanging()]
    async with FallbackSTTProvider(members, open_timeout=0.5).open() as live:
        with pytest.raises(BaseExceptionGroup) as raised:
            await hear(live, TALK)
    error = only(raised.value)
    assert isinstance(error, RecognizerError)
    assert str(error).count("hanging did not open in 0.5 s") == 2


async def test_a_refused_key_of_the_first_does_not_end_the_call(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = ScriptedSTT()
    async with open_far_end(monkeypatch, DeepgramTalk, refusals=[(401, b"no")]) as far:
        first = DeepgramSTT(api_key=KEY, base_url=far.url)
        async with FallbackSTTProvider([first, second]).open() as live:
            heard = await hear_call(live, TALK)
    assert " ".join(heard.finals).split() == WORDS
    assert second.record.connections == 1


async def test_one_that_leaves_the_call_is_replaced(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, DeepgramTalk, cut_after=[1.0]) as far:
        first, second = DeepgramSTT(api_key=KEY, base_url=far.url), ScriptedSTT()
        async with FallbackSTTProvider([first, second]).open() as live:
            heard = await hear_call(live, TALK)
    assert " ".join(heard.finals).split() == WORDS
    assert second.record.connections == 1


async def test_those_that_have_to_be_opened_are(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route(refusals=[(500, {}, b"no")])
    async with route.open(WhisperSTT(api_key=KEY, base_url="http://x.test/v1"), monkeypatch):
        settings = WhisperSTT(api_key=KEY, base_url="http://x.test/v1")
        async with FallbackSTTProvider([settings, ScriptedSTT()]).open() as live:
            heard = await hear_call(live, TALK)
    assert " ".join(heard.finals).split() == WORDS
    assert len(route.forms) == 1


@pytest.mark.parametrize("providers", [[], [object()], ["deepgram"]])
def test_what_is_no_recogniser_is_refused(providers: list[Any]) -> None:
    with pytest.raises(PatterConfigError, match="providers="):
        FallbackSTTProvider(providers)


@pytest.mark.parametrize("name", ["open_timeout", "recovery_interval_s"])
def test_times_are_above_0(name: str) -> None:
    with pytest.raises(PatterConfigError, match=name):
        FallbackSTTProvider([ScriptedSTT()], **{name: 0})
