"""Claude, over Anthropic's Messages API.

The SDK brings the request, the key and the errors; its stream is decoded here, which costs a third of what
its models per event do. What it would retry it does not: a turn that waits seconds for a hidden second try is
lost, and what follows a failed turn is decided above.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import attrs
import httpx2
import trio

from .._net.http import open_client
from .._wire.anthropic import MessageStream, refusal_error, unwelcome
from .._wire.anthropic_request import messages_request
from .._wire.keepsakes import Keepsakes
from ..errors import LanguageModelError, PatterConfigError
from ..events import LLMChunk, Message
from ._asking import open_answer, read_tail
from ._checks import (
    check_address,
    check_header,
    check_name,
    flag,
    listed_texts,
    mapping_or,
    number,
    optional,
    seconds,
    stripped,
    whole,
)
from ._line import load_sdk
from ._models import ANTHROPIC, warn_if_retired
from ._patience import Patience
from ._spares import Spares, open_spares

if TYPE_CHECKING:
    import anthropic

__all__ = ["LLM", "AnthropicLLM"]

_log = logging.getLogger("patter_trio.llm")

_ADDRESS = "https://api.anthropic.com"
# Since API version 2026-10-21, which the SDK asks for from 2.0 on, every model refuses sampling parameters;
# in the version before it those up to Claude 4.6 take them. Nothing else that we send or read differs.
_SAMPLING_VERSION = {"anthropic-version": "2023-06-01"}

_NO_KEY = "set ANTHROPIC_API_KEY, or give api_key=, or a ready client="


def _given_or_found(settings: Any) -> str:
    found = os.environ.get("ANTHROPIC_API_KEY", "").strip() if settings.api_key is None else settings.api_key
    if settings.client is None:  # which brings its own
        check_header("api_key", found)
    return str(found)


@attrs.frozen(kw_only=True)
class AnthropicLLM:
    """A Claude model.

    Args:
        model: the model's name.
        api_key: the key, from ``ANTHROPIC_API_KEY`` when left out.
        max_tokens: the most an answer may have; Anthropic wants a limit with every request.
        prompt_caching: whether system prompt and tools are cached between turns, which makes the first words
            come sooner and costs a tenth for what is read again.
        temperature: 0 to 1. Models after Claude 4.6 take no sampling parameters any more: one that a model
            refuses is left out from then on, with one warning. With any of them the API is asked in its
            version 2023-06-01, the last one that has them.
        top_p: 0 to 1, see ``temperature``.
        top_k: see ``temperature``.
        stop_sequences: texts that end an answer.
        thinking: how the model thinks, as on the wire, for example ``{"type": "disabled"}``; left out, the
            model's own default.
        extra_body: added to every request body.
        base_url: the API's address, without ``/v1``.
        client: an ``anthropic.AsyncAnthropic`` (or one for Vertex AI) to use in place of our own; it brings
            its own key and address, and stays open.
        connect_timeout: seconds to reach the API.
        first_token_timeout: seconds until the first words, and from any of them to the next.
        turn_timeout: seconds of waiting for a whole answer.

    Raises:
        PatterConfigError: there is no key, or a value cannot be right.
    """

    model: str = "claude-haiku-4-5-20251001"
    api_key: str | None = attrs.field(default=None, converter=stripped, repr=False)
    max_tokens: int = attrs.field(default=1024, validator=whole(1))
    prompt_caching: bool = attrs.field(default=True, validator=flag)
    temperature: float | None = attrs.field(default=None, validator=optional(number(0, 1)))
    top_p: float | None = attrs.field(default=None, validator=optional(number(0, 1)))
    top_k: int | None = attrs.field(default=None, validator=optional(whole(1)))
    stop_sequences: Sequence[str] = attrs.field(default=(), validator=listed_texts)
    thinking: Mapping[str, Any] | None = attrs.field(default=None, validator=optional(mapping_or()))
    extra_body: Mapping[str, Any] = attrs.field(factory=dict[str, Any], validator=mapping_or())
    base_url: str | None = None
    client: anthropic.AsyncAnthropic | None = attrs.field(default=None, repr=False)
    connect_timeout: float = attrs.field(default=10.0, validator=seconds)
    first_token_timeout: float = attrs.field(default=30.0, validator=seconds)
    turn_timeout: float = attrs.field(default=120.0, validator=seconds)
    _key: str = attrs.field(
        default=attrs.Factory(_given_or_found, takes_self=True), init=False, repr=False, eq=False
    )

    def __attrs_post_init__(self) -> None:
        check_name("model", self.model, "like claude-haiku-4-5-20251001")
        if self.client is None:
            check_address("base_url", self._address, "like https://api.anthropic.com")
            if not self._key:
                raise PatterConfigError("api_key= is missing", hint=_NO_KEY)
        else:
            _check_client(self.client)
            if self.api_key is not None or self.base_url is not None:
                raise PatterConfigError(
                    "client= brings its own key and address", hint="leave api_key= and base_url= out"
                )
        warn_if_retired(self.name, self.model, ANTHROPIC)

    @property
    def name(self) -> str:
        """``anthropic``."""
        return "anthropic"

    @property
    def _address(self) -> str:
        return _ADDRESS if self.base_url is None else self.base_url

    @asynccontextmanager
    async def open(self) -> AsyncIterator[_Connected]:
        """One client for all calls of a session, its connections kept warm between turns.

        Raises:
            MissingExtraError: the ``anthropic`` package is not installed.
        """
        sdk = await load_sdk("anthropic")
        async with open_client(timeout=None, connect_timeout=self.connect_timeout) as http_client:
            if self.client is not None:
                client = self.client.with_options(max_retries=0, timeout=http_client.timeout)
            else:
                client = sdk.AsyncAnthropic(
                    api_key=self._key,
                    base_url=self._address,
                    http_client=http_client,
                    max_retries=0,
                    timeout=http_client.timeout,
                )
            # A cloud's own client has no list of models.
            knocks = functools.partial(_knock, client) if isinstance(client, sdk.AsyncAnthropic) else None
            async with open_spares(knocks) as spares:
                yield _Connected(self, client, spares)


async def _knock(client: anthropic.AsyncAnthropic) -> None:
    """Asks for the list of models, so that a connection is open afterwards; never fails."""
    import anthropic

    with suppress(anthropic.AnthropicError):
        await client.get("/v1/models?limit=1", cast_to=httpx2.Response)


@attrs.define
class _Connected:
    """The model with its client."""

    settings: AnthropicLLM
    client: anthropic.AsyncAnthropic
    spares: Spares = attrs.field(repr=False)
    thoughts: Keepsakes[Sequence[dict[str, Any]]] = attrs.field(factory=Keepsakes, repr=False)
    refused: set[str] = attrs.field(factory=set[str])

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.settings.name

    @property
    def model(self) -> str:
        """The model's name."""
        return self.settings.model

    def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        call_id: str | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterable[LLMChunk]]:
        """Streams the answer; leaving closes the request at once.

        Raises:
            AuthenticationError: the key was refused, or the account has no credit.
            RateLimitError: too many requests or tokens.
            LanguageModelError: the model refused, a deadline passed, or anything else went wrong.
        """
        request = messages_request(
            messages,
            tools,
            prompt_caching=self.settings.prompt_caching,
            thinking_before=functools.partial(self.thoughts.find, call_id),
        )
        return self._stream(request, call_id)

    @trio.as_safe_channel
    async def _stream(self, request: dict[str, Any], call_id: str | None) -> AsyncGenerator[LLMChunk, None]:
        who = f"{self.model} at {str(self.client.base_url).rstrip('/')}"
        settings = self.settings
        patience = Patience(
            who,
            first=settings.first_token_timeout,
            between=settings.first_token_timeout,
            whole=settings.turn_timeout,
        )
        answer = MessageStream(keep=functools.partial(self.thoughts.keep, call_id))
        ask = functools.partial(self._request, request, who)
        with patience.waiting(), self.spares.lent() as connection:
            async with open_answer(ask, who) as (_, received):
                async for data in received:
                    for chunk in answer.feed(data):
                        with patience.handing_over(chunk):
                            yield chunk
                    if answer.ended:
                        break
                for chunk in answer.finish():
                    with patience.handing_over(chunk):
                        yield chunk
                await read_tail(received, connection)

    async def _request(self, request: dict[str, Any], who: str) -> httpx2.Response:
        """The response whose body is the stream; asked again without the parameters that are not taken."""
        import anthropic

        try:
            sampling = self._sampling()
            try:
                return await self._post(request, sampling)
            except anthropic.BadRequestError as error:
                named = unwelcome(error.body, list(sampling))
                if not named:
                    raise
                self.refused |= named
                _log.warning(
                    "%s does not take %s: left out from now on", self.model, " and ".join(sorted(named))
                )
            return await self._post(request, self._sampling())
        except anthropic.APIStatusError as error:
            raise refusal_error(error.status_code, error.body, error.response.headers, self.model) from error
        except anthropic.APIConnectionError as error:
            if isinstance(error.__cause__, httpx2.HTTPError):
                raise error.__cause__ from None
            raise LanguageModelError(f"{who} broke off: {error}", temporary=True) from error
        except anthropic.AnthropicError as error:
            raise LanguageModelError(f"{who} could not be asked: {error}") from error

    def _sampling(self) -> dict[str, Any]:
        wanted = {
            "temperature": self.settings.temperature,
            "top_p": self.settings.top_p,
            "top_k": self.settings.top_k,
        }
        return {
            name: value for name, value in wanted.items() if value is not None and name not in self.refused
        }

    async def _post(self, request: dict[str, Any], sampling: dict[str, Any]) -> httpx2.Response:
        settings = self.settings
        extra: dict[str, Any] = dict(sampling)
        if settings.stop_sequences:
            extra["stop_sequences"] = list(settings.stop_sequences)
        if settings.thinking is not None:
            extra["thinking"] = dict(settings.thinking)
        asked: Any = await self.client.messages.with_raw_response.create(
            model=settings.model,
            max_tokens=settings.max_tokens,
            stream=True,
            extra_body={**extra, **settings.extra_body},
            extra_headers=_SAMPLING_VERSION if sampling else None,
            **request,
        )
        response: httpx2.Response = asked.http_response
        return response


def _check_client(client: object) -> None:
    """A ready client must be one that trio can wait for."""
    if isinstance(client, type) or not inspect.iscoroutinefunction(getattr(client, "post", None)):
        raise PatterConfigError(
            f"client= must be an anthropic.AsyncAnthropic, not {type(client).__name__}",
            hint="the one with Async in its name, made with (…)",
        )
    if "Bedrock" in type(client).__name__:
        raise PatterConfigError(
            "client= for Bedrock streams another wire than Anthropic's",
            hint="give an AsyncAnthropic or an AsyncAnthropicVertex",
        )


LLM = AnthropicLLM
