"""Several models in order: where one fails before it has said anything, the next one answers."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs
import trio

from .._foreign import foreign, takes_call_id
from .._several import all_of, opened
from ..abc import LLMProvider, Opens
from ..errors import (
    AllProvidersFailedError,
    AuthenticationError,
    LanguageModelError,
    ModelTimeoutError,
    PartialStreamError,
    PatterError,
    RateLimitError,
)
from ..events import LLMChunk, Message
from ._background import Background, open_background
from ._checks import seconds, whole

__all__ = ["LLM", "FallbackLLMProvider"]

_log = logging.getLogger("patter_trio.llm")

_PROBE: tuple[Message, ...] = ({"role": "user", "content": "ping"},)

# A model that needs longer for its first word is not one to give a caller to.
_PROBE_SECONDS = 10.0

# The same request would fail in the same way, or take as long again.
_HOPELESS = (AuthenticationError, ModelTimeoutError, RateLimitError)


_Provider = LLMProvider | Opens[LLMProvider]


# Of this type, not generic: mypy's attrs plugin takes the type of the setting from its converter.
def _listed(providers: Iterable[_Provider]) -> tuple[_Provider, ...]:
    return tuple(providers)


@attrs.frozen
class FallbackLLMProvider:
    """Asks the first of its models that is well.

    A model that fails is left out from then on, and asked for a word (``ping``) in the background until it
    gives one. When none is well, those that are not are asked after all. Once words of an answer were given
    nobody else can go on with it: a failure after that is a :class:`PartialStreamError`.

    Args:
        providers: the models, the preferred one first: settings, or anything that is a language model.
        max_retry_per_provider: how often a model is asked before it is left out; a refused key, a rate limit
            or a deadline is not tried twice.
        recovery_interval_s: seconds between two questions to a model that is left out; longer where its rate
            limit said so.

    Raises:
        PatterConfigError: a setting cannot be right.
    """

    providers: tuple[_Provider, ...] = attrs.field(
        converter=_listed, validator=all_of(LLMProvider, "language model")
    )
    max_retry_per_provider: int = attrs.field(default=1, validator=whole(1), kw_only=True)
    recovery_interval_s: float = attrs.field(default=30.0, validator=seconds, kw_only=True)

    @property
    def name(self) -> str:
        """``fallback``."""
        return "fallback"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Chain]:
        """Opens all models, and keeps an eye on those that fail."""
        async with opened(self.providers) as lives, open_background() as background:
            yield Chain(self, tuple(_Member(live, takes_call_id(live)) for live in lives), background)


@attrs.define
class _Member:
    """One model and its health."""

    live: LLMProvider
    takes_call_id: bool
    well: bool = True
    watched: bool = False

    def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        call_id: str | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterable[LLMChunk]]:
        if self.takes_call_id:
            return self.live.stream(messages, tools, call_id=call_id)
        return self.live.stream(messages, tools)


@attrs.define
class Chain:
    """The models, opened, in order."""

    settings: FallbackLLMProvider
    _members: tuple[_Member, ...]
    _background: Background

    @property
    def name(self) -> str:
        """``fallback``."""
        return self.settings.name

    @property
    def model(self) -> str:
        """The model that would be asked now."""
        return self._in_order()[0].live.model

    def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        call_id: str | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterable[LLMChunk]]:
        """Streams the answer of the first model that gives one.

        Raises:
            PartialStreamError: a model failed after words, or a tool call, of its answer were given.
            AllProvidersFailedError: each model failed before that.
        """
        return self._stream(messages, tools, call_id)

    @trio.as_safe_channel
    async def _stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None,
        call_id: str | None,
    ) -> AsyncGenerator[LLMChunk, None]:
        failures: list[tuple[str, Exception]] = []
        for member in self._in_order():
            failure: PatterError = LanguageModelError(f"{member.live.name} was not asked")
            for _attempt in range(self.settings.max_retry_per_provider):
                given = ended = False
                try:
                    with foreign(LanguageModelError, member.live.name):
                        async with member.stream(messages, tools, call_id) as chunks:
                            async for chunk in chunks:
                                given = given or chunk.type == "tool_call" or bool(chunk.content)
                                ended = ended or chunk.type == "done"
                                yield chunk
                        if not ended:
                            raise LanguageModelError(f"{member.live.name} ended without done")
                except LanguageModelError as error:
                    failure = _original(error)
                    if ended:
                        return  # what breaks behind the answer does not matter to it
                else:
                    member.well = True
                    return
                if given:
                    self._leave_out(member, failure)
                    raise PartialStreamError(
                        f"{member.live.name} broke off in the middle of its answer: {failure}"
                    ) from failure
                if isinstance(failure, _HOPELESS):
                    break
            self._leave_out(member, failure)
            failures.append((f"{member.live.name} ({member.live.model})", failure))
        raise AllProvidersFailedError(failures)

    def _in_order(self) -> list[_Member]:
        return sorted(self._members, key=lambda member: not member.well)

    def _leave_out(self, member: _Member, failure: Exception) -> None:
        member.well = False
        _log.warning("%s (%s) is left out: %s", member.live.name, member.live.model, failure)
        asked = failure.retry_after if isinstance(failure, RateLimitError) else None
        wait = max(self.settings.recovery_interval_s, asked or 0.0)
        if not member.watched:
            member.watched = self._background.start(self._watch, member, wait)

    async def _watch(self, member: _Member, wait: float) -> None:
        """Asks a model that is left out until it answers, or a turn found that it does."""
        while not member.well:
            await trio.sleep(wait)
            if not member.well:
                member.well = await _answers(member)
            wait = self.settings.recovery_interval_s
        member.watched = False
        _log.info("%s (%s) answers again", member.live.name, member.live.model)


async def _answers(member: _Member) -> bool:
    try:
        with trio.move_on_after(_PROBE_SECONDS), foreign(LanguageModelError, member.live.name):
            async with member.stream(_PROBE) as chunks:
                async for _chunk in chunks:
                    return True
    except LanguageModelError:
        return False
    return False


def _original(error: LanguageModelError) -> PatterError:
    """The typed error that the border turned into one of a language model."""
    return error.__cause__ if isinstance(error.__cause__, _HOPELESS) else error


LLM = FallbackLLMProvider
