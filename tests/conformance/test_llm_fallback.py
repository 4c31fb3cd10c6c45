"""Models in order of preference: who is asked, who is left out, and how one comes back. In virtual time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from patter_trio.errors import (
    AllProvidersFailedError,
    AuthenticationError,
    ErrorCode,
    LanguageModelError,
    ModelTimeoutError,
    PartialStreamError,
    PatterConfigError,
    RateLimitError,
)
from patter_trio.events import LLMChunk, Message
from patter_trio.llm import CerebrasLLM, FallbackLLMProvider, OpenAICompatibleLLM
from patter_trio.testing.checks import check_llm

from .answers import only, text
from .chat_endpoint import open_endpoint, refuses, says, streams
from .chat_providers import ASKED, hear

Clock = trio.testing.MockClock


@attrs.define
class Model:
    """Says its name, or fails in the ways it was told, one after another."""

    name: str
    failures: list[Exception] = attrs.field(factory=list[Exception])
    words_before: str = ""
    model: str = "m"
    asked: list[tuple[float, str, str | None]] = attrs.field(factory=list[tuple[float, str, str | None]])
    opened: int = 0
    ends: bool = True

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Model]:
        self.opened += 1
        try:
            yield self
        finally:
            self.opened -= 1

    def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        call_id: str | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterable[LLMChunk]]:
        self.asked.append((trio.current_time(), messages[-1]["content"], call_id))
        return self._stream()

    @trio.as_safe_channel
    async def _stream(self) -> AsyncGenerator[LLMChunk, None]:
        await trio.lowlevel.checkpoint()
        if self.failures:
            if self.words_before:
                yield LLMChunk("text", content=self.words_before)
            raise self.failures.pop(0)
        yield LLMChunk("text", content=self.name)
        if self.ends:
            yield LLMChunk("done")

    @property
    def probes(self) -> list[float]:
        return [at for at, what, _ in self.asked if what == "ping"]


def broken(times: int = 1) -> list[Exception]:
    return [LanguageModelError("broke off", temporary=True) for _ in range(times)]


async def said(live: Any) -> str:
    return text(await hear(live))


async def test_the_preferred_model_answers_while_it_is_well() -> None:
    one, two = Model("one"), Model("two")
    async with FallbackLLMProvider([one, two]).open() as live:
        assert (live.name, live.model) == ("fallback", "m")
        assert await said(live) == "one"
        assert (one.opened, two.opened) == (1, 1)
    assert two.asked == []
    assert (one.opened, two.opened) == (0, 0)


@pytest.mark.parametrize(
    "failure",
    [
        LanguageModelError("no"),
        ModelTimeoutError("slow"),
        AuthenticationError("key"),
        RateLimitError("busy"),
        OSError("cable"),
        KeyError("a bug of the user's class"),
        ExceptionGroup("several", [ValueError("x")]),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_the_next_one_answers_for_one_that_fails(failure: Exception) -> None:
    one, two = Model("one", [failure]), Model("two", model="m2")
    async with FallbackLLMProvider([one, two]).open() as live:
        assert await said(live) == "two"
        assert live.model == "m2"
        assert await said(live) == "two"
    assert len(one.asked) == 1


async def test_one_that_ends_without_done_has_failed() -> None:
    silent = Model("", ends=False)
    async with FallbackLLMProvider([silent, Model("two")]).open() as live:
        assert await said(live) == "two"


async def test_an_answer_that_began_is_not_handed_over() -> None:
    one, two = Model("one", broken(), words_before="We are "), Model("two")
    heard: list[LLMChunk] = []
    async with FallbackLLMProvider([one, two], max_retry_per_provider=3).open() as live:
        with pytest.raises((PartialStreamError, BaseExceptionGroup)) as raised:
            await hear(live, heard)
        assert text(heard) == "We are "
        assert await said(live) == "two"  # the next turn goes elsewhere
    error = only(raised.value)
    assert type(error) is PartialStreamError
    assert error.code is ErrorCode.LLM_PARTIAL
    assert len(one.asked) == 1


async def test_when_all_fail_each_failure_is_told() -> None:
    one, two = Model("one", broken(9)), Model("two", [RateLimitError("busy")])
    async with FallbackLLMProvider([one, two]).open() as live:
        with pytest.raises((AllProvidersFailedError, BaseExceptionGroup)) as raised:
            await said(live)
        error = only(raised.value)
        assert isinstance(error, AllProvidersFailedError)
        assert error.code is ErrorCode.LLM_ALL_FAILED
        assert [name for name, _ in error.failures] == ["one (m)", "two (m)"]
        assert type(error.failures[1][1]) is RateLimitError
        assert "one (m): broke off; two (m): busy" in str(error)
        # Nobody is well, so those that are not are asked after all.
        assert await said(live) == "two"


@pytest.mark.parametrize(
    ("failure", "asked"),
    [
        (LanguageModelError("x"), 3),
        (RateLimitError("x"), 1),
        (AuthenticationError("x"), 1),
        (ModelTimeoutError("x"), 1),
    ],
)
async def test_a_model_is_asked_as_often_as_set_where_that_can_help(failure: Exception, asked: int) -> None:
    one = Model("one", [failure] * 9)
    async with FallbackLLMProvider([one, Model("two")], max_retry_per_provider=3).open() as live:
        assert await said(live) == "two"
    assert len(one.asked) == asked


async def test_a_model_that_is_left_out_is_asked_until_it_answers(autojump_clock: Clock) -> None:
    one, two = Model("one", broken(3)), Model("two")
    async with FallbackLLMProvider([one, two], recovery_interval_s=10).open() as live:
        began = trio.current_time()
        assert await said(live) == "two"
        await trio.sleep(25)
        assert await said(live) == "two"
        await trio.sleep(10)
        assert await said(live) == "one"
        assert [at - began for at in one.probes] == pytest.approx([10, 20, 30])
        await trio.sleep(100)
        assert len(one.probes) == 3


async def test_a_rate_limit_is_waited_out(autojump_clock: Clock) -> None:
    one = Model("one", [RateLimitError("busy", retry_after=77)])
    async with FallbackLLMProvider([one, Model("two")], recovery_interval_s=10).open() as live:
        began = trio.current_time()
        await said(live)
        await trio.sleep(100)
        assert [at - began for at in one.probes] == pytest.approx([77])


async def test_a_turn_that_finds_a_model_well_ends_the_questions(autojump_clock: Clock) -> None:
    one = Model("one", broken(1))
    async with FallbackLLMProvider([one], recovery_interval_s=10).open() as live:
        with pytest.raises((AllProvidersFailedError, BaseExceptionGroup)):
            await said(live)
        assert await said(live) == "one"
        await trio.sleep(50)
        assert one.probes == []
        one.failures = broken(1)
        with pytest.raises((AllProvidersFailedError, BaseExceptionGroup)):
            await said(live)
        await trio.sleep(15)
        assert len(one.probes) == 1


async def test_a_model_that_hangs_when_it_is_asked_is_not_well(autojump_clock: Clock) -> None:
    class Hanging(Model):
        @trio.as_safe_channel
        async def _stream(self) -> AsyncGenerator[LLMChunk, None]:
            if len(self.asked) == 1:
                raise LanguageModelError("broke off")
            await trio.sleep_forever()
            yield LLMChunk("done")

    one = Hanging("one")
    async with FallbackLLMProvider([one, Model("two")], recovery_interval_s=10).open() as live:
        await said(live)
        await trio.sleep(100)
        assert await said(live) == "two"
        assert 4 <= len(one.probes) <= 5
    # Leaving ended the question that was still open.


async def test_a_cancelled_turn_is_no_failure(autojump_clock: Clock) -> None:
    class Slow(Model):
        @trio.as_safe_channel
        async def _stream(self) -> AsyncGenerator[LLMChunk, None]:
            await trio.sleep(5)
            yield LLMChunk("text", content="slow")
            yield LLMChunk("done")

    slow = Slow("slow")
    async with FallbackLLMProvider([slow, Model("two")]).open() as live:
        with trio.move_on_after(1):
            await said(live)
        assert await said(live) == "slow"


async def test_only_those_that_know_calls_are_told_which() -> None:
    class Callless:
        name, model = "callless", "m"

        def __init__(self) -> None:
            self.asked = 0

        def stream(
            self, messages: Sequence[Message], tools: Any = None
        ) -> AbstractAsyncContextManager[AsyncIterable[LLMChunk]]:
            self.asked += 1
            return Model("")._stream() if self.asked > 1 else Model("", broken())._stream()

    callless, two = Callless(), Model("two")
    async with FallbackLLMProvider([callless, two]).open() as live:  # type: ignore[list-item]
        assert text(await hear(live, call_id="CA1")) == "two"
    assert (callless.asked, two.asked[0][2]) == (1, "CA1")


async def test_a_failure_of_the_owner_is_one_exception_and_ends_the_questions(autojump_clock: Clock) -> None:
    one = Model("one", broken(9))

    async def own() -> None:
        async with FallbackLLMProvider([one, Model("two")]).open() as live:
            await said(live)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await own()
    asked = len(one.asked)
    await trio.sleep(1000)
    assert len(one.asked) == asked


async def test_real_providers_stand_in_for_each_other() -> None:
    async with (
        open_endpoint(refuses(401, b"{}")) as first,
        open_endpoint(streams(*says("At eight."))) as second,
        FallbackLLMProvider(
            [
                CerebrasLLM(base_url=first.url, api_key="k"),
                OpenAICompatibleLLM(base_url=second.url, model="small"),
            ]
        ).open() as live,
    ):
        assert text(await hear(live, call_id="CA1")) == "At eight."
        assert live.model == "small"
    assert (len(first.requests), len(second.requests)) == (1, 1)
    assert ASKED[0] in second.requests[0].body["messages"]


@pytest.mark.parametrize(
    "settings",
    [
        {"providers": []},
        {"providers": ["gpt"]},
        {"providers": [Model("x")], "max_retry_per_provider": 0},
        {"providers": [Model("x")], "recovery_interval_s": 0},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        FallbackLLMProvider(**settings)


async def test_it_passes_the_conformance_check(autojump_clock: Clock) -> None:
    await check_llm(FallbackLLMProvider([Model("one", broken(2)), Model("two")]))
