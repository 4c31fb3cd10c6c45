"""Gemini, over the Gemini Developer API or Vertex AI.

The wire is spoken over our own HTTP client: Google's SDK waits for asyncio as soon as it is to get a token
for Vertex AI. Both APIs take the same body; address and key are what differs.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import attrs
import httpx2
import trio

from .._net.google_token import AccessToken, Authorize, open_credentials, token_from
from .._net.http import open_client, read_beginning
from .._wire.gemini import ContentStream, refusal_error
from .._wire.gemini_request import Kept, contents_request, least_thinking
from .._wire.keepsakes import Keepsakes
from ..errors import PatterConfigError
from ..events import LLMChunk, Message
from ._asking import open_answer, read_tail
from ._checks import (
    check_address,
    check_header,
    check_mapping,
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
from ._models import GOOGLE, warn_if_retired
from ._patience import Patience
from ._spares import Spares, knock, open_spares

__all__ = ["LLM", "GoogleLLM"]

_log = logging.getLogger("patter_trio.llm")

_DEVELOPER_API = "https://generativelanguage.googleapis.com"
_NO_KEY = "set GEMINI_API_KEY or GOOGLE_API_KEY, or give api_key="

# More than any error object has; longer bodies are hung up on.
_ERROR_BYTES = 64 * 1024


@attrs.frozen
class _Place:
    """Where a model is asked: an address without version, the path below it, and who asks."""

    base: str
    path: str
    key: str = attrs.field(default="", repr=False)
    project: str = ""
    location: str = ""

    @property
    def url(self) -> str:
        """The address of a streamed answer."""
        return f"{self.base.rstrip('/')}/{self.path}:streamGenerateContent?alt=sse"

    @property
    def models(self) -> str:
        """The address of the list of models."""
        path = "v1beta1/publishers/google/models" if self.project else "v1beta/models"
        return f"{self.base.rstrip('/')}/{path}?pageSize=1"


def _developer_place(settings: GoogleLLM) -> _Place:
    key = settings.api_key
    if key is None:
        key = (os.environ.get("GEMINI_API_KEY", "") or os.environ.get("GOOGLE_API_KEY", "")).strip()
    base = _DEVELOPER_API if settings.base_url is None else settings.base_url
    return _Place(base, f"v1beta/models/{_bare(settings.model)}", key)


def _vertex_place(settings: GoogleLLM) -> _Place:
    project = os.environ.get("GOOGLE_CLOUD_PROJECT", "") if settings.project is None else settings.project
    location = settings.location
    if location is None:
        location = os.environ.get("GOOGLE_CLOUD_LOCATION", "") or "global"
    path = f"v1/projects/{project}/locations/{location}/publishers/google/models/{_bare(settings.model)}"
    return _Place(
        _vertex_base(location) if settings.base_url is None else settings.base_url,
        path,
        project=project,
        location=location,
    )


def _bare(model: str) -> str:
    return str(model).removeprefix("models/")


def _vertex_base(location: str) -> str:
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _find_place(settings: Any) -> _Place:
    return _vertex_place(settings) if settings.vertexai is True else _developer_place(settings)


@attrs.frozen(kw_only=True)
class GoogleLLM:
    """A Gemini model.

    Args:
        model: the model's name.
        api_key: the key of the Gemini Developer API, from ``GEMINI_API_KEY`` or else ``GOOGLE_API_KEY`` when
            left out.
        vertexai: whether to use Vertex AI, with a project and an access token in place of the key.
        project: the Google Cloud project, from ``GOOGLE_CLOUD_PROJECT`` when left out; Vertex AI only.
        location: the region, from ``GOOGLE_CLOUD_LOCATION`` when left out, else ``global``; Vertex AI only.
        access_token: a function, sync or async, that gives a valid access token; it is asked before every
            request. Left out, ``google-auth`` gets one for this machine's Application Default Credentials.
            Vertex AI only.
        temperature: 0 to 2; Google advises to leave it out from Gemini 3 on.
        top_p: 0 to 1.
        top_k: how many tokens are drawn from.
        max_output_tokens: the most an answer may have.
        stop_sequences: texts that end an answer.
        thinking: the ``thinkingConfig`` as on the wire; left out, the least thinking the model is known to
            take, since a caller waits. ``{}`` leaves it to the model.
        extra_body: added to every request body; what it has in ``generationConfig`` is added there.
        base_url: the API's address, without its version.
        connect_timeout: seconds to reach the API.
        first_token_timeout: seconds until the first words, and from any of them to the next.
        turn_timeout: seconds of waiting for a whole answer.

    Raises:
        PatterConfigError: there is no key or no project, settings contradict each other, or a value cannot
            be right.
    """

    model: str = "gemini-2.5-flash"
    api_key: str | None = attrs.field(default=None, converter=stripped, repr=False)
    vertexai: bool = attrs.field(default=False, validator=flag)
    project: str | None = None
    location: str | None = None
    access_token: AccessToken | None = attrs.field(default=None, repr=False)
    temperature: float | None = attrs.field(default=None, validator=optional(number(0, 2)))
    top_p: float | None = attrs.field(default=None, validator=optional(number(0, 1)))
    top_k: int | None = attrs.field(default=None, validator=optional(whole(1)))
    max_output_tokens: int | None = attrs.field(default=None, validator=optional(whole(1)))
    stop_sequences: Sequence[str] = attrs.field(default=(), validator=listed_texts)
    thinking: Mapping[str, Any] | None = attrs.field(default=None, validator=optional(mapping_or()))
    extra_body: Mapping[str, Any] = attrs.field(factory=dict[str, Any], validator=mapping_or())
    base_url: str | None = None
    connect_timeout: float = attrs.field(default=10.0, validator=seconds)
    first_token_timeout: float = attrs.field(default=30.0, validator=seconds)
    turn_timeout: float = attrs.field(default=120.0, validator=seconds)
    _place: _Place = attrs.field(
        default=attrs.Factory(_find_place, takes_self=True), init=False, repr=False, eq=False
    )

    def __attrs_post_init__(self) -> None:
        check_name("model", self.model, "like gemini-2.5-flash")
        if self.vertexai:
            self._check_vertex()
        else:
            self._check_developer()
        check_address("base_url", self._place.base, f"like {_DEVELOPER_API}")
        check_mapping("extra_body['generationConfig']", self.extra_body.get("generationConfig", {}))
        warn_if_retired(self.name, _bare(self.model), GOOGLE)

    def _check_vertex(self) -> None:
        if self.api_key is not None:
            raise PatterConfigError(
                "api_key= is the Gemini Developer API's, not Vertex AI's",
                hint="leave it or vertexai=True out",
            )
        check_name("project", self._place.project, "set GOOGLE_CLOUD_PROJECT, or give project=")
        check_name("location", self._place.location, "like us-central1, or global")
        if self.access_token is not None and not callable(self.access_token):
            raise PatterConfigError(
                "access_token= is not a function", hint="tokens end after an hour: give what gets a new one"
            )

    def _check_developer(self) -> None:
        for name in ("project", "location", "access_token"):
            if getattr(self, name) is not None:
                raise PatterConfigError(f"{name}= is for Vertex AI", hint="add vertexai=True")
        check_header("api_key", self._place.key)
        if not self._place.key:
            raise PatterConfigError("api_key= is missing", hint=_NO_KEY)

    @property
    def name(self) -> str:
        """``google``."""
        return "google"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[_Connected]:
        """One HTTP client for all calls of a session, its connections kept warm between turns.

        Raises:
            MissingExtraError: Vertex AI is to be used without ``access_token=``, and ``google-auth`` is not
                installed.
            AuthenticationError: there are no credentials for Vertex AI, or Google refuses them.
        """
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                open_client(timeout=None, connect_timeout=self.connect_timeout)
            )
            knocks = functools.partial(knock, client, self._place.models)
            if not self.vertexai:
                headers = {"x-goog-api-key": self._place.key}
                authorize = _always(headers)
                knocks = functools.partial(knocks, headers)
            elif self.access_token is not None:
                authorize = token_from(self.access_token)
            else:
                authorize = await stack.enter_async_context(open_credentials(client))
            # Vertex AI is knocked at without a token: that it refuses opens the connection as well.
            spares = await stack.enter_async_context(open_spares(knocks))
            yield _Connected(self, client, authorize, spares)


@attrs.define
class _Connected:
    """The model with its HTTP client."""

    settings: GoogleLLM
    client: httpx2.AsyncClient
    authorize: Authorize = attrs.field(repr=False)
    spares: Spares = attrs.field(repr=False)
    kept: Keepsakes[Kept] = attrs.field(factory=Keepsakes, repr=False)

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
            AuthenticationError: the key or the token was refused.
            RateLimitError: too many requests or tokens.
            LanguageModelError: prompt or answer was blocked, a deadline passed, or anything else went wrong.
        """
        request = contents_request(
            messages,
            tools,
            model=self.model,
            kept_with=functools.partial(self.kept.find, call_id),
        )
        generation = _generation_config(self.settings)
        body = {**request, **self.settings.extra_body}
        if generation:
            body["generationConfig"] = generation
        return self._stream(body, call_id)

    @trio.as_safe_channel
    async def _stream(self, body: dict[str, Any], call_id: str | None) -> AsyncGenerator[LLMChunk, None]:
        who = f"{self.model} at {self.settings._place.base}"
        settings = self.settings
        patience = Patience(
            who,
            first=settings.first_token_timeout,
            between=settings.first_token_timeout,
            whole=settings.turn_timeout,
        )
        answer = ContentStream(
            new_id=lambda: f"call_{uuid4().hex}", keep=functools.partial(self.kept.keep, call_id)
        )
        ask = functools.partial(self._request, body)
        with patience.waiting(), self.spares.lent() as connection:
            async with open_answer(ask, who) as (response, received):
                if response.status_code != 200:
                    refusal = await read_beginning(received, _ERROR_BYTES)
                    raise refusal_error(response.status_code, refusal, self.model)
                async for data in received:
                    for chunk in answer.feed(data):
                        with patience.handing_over(chunk):
                            yield chunk
                    if answer.ended:
                        break
                # Nothing says that the counts came with the last words.
                for chunk in answer.feed(await read_tail(received, connection)):
                    with patience.handing_over(chunk):
                        yield chunk
                for chunk in answer.finish():
                    with patience.handing_over(chunk):
                        yield chunk

    async def _request(self, body: dict[str, Any]) -> httpx2.Response:
        headers = await self.authorize()
        asked = self.client.build_request("POST", self.settings._place.url, json=body, headers=dict(headers))
        return await self.client.send(asked, stream=True)


def _always(headers: Mapping[str, str]) -> Authorize:
    async def authorize() -> Mapping[str, str]:
        return headers

    return authorize


def _generation_config(settings: GoogleLLM) -> dict[str, Any]:
    thinking = least_thinking(settings.model) if settings.thinking is None else dict(settings.thinking)
    wanted = {
        "temperature": settings.temperature,
        "topP": settings.top_p,
        "topK": settings.top_k,
        "maxOutputTokens": settings.max_output_tokens,
        "stopSequences": list(settings.stop_sequences) or None,
        "thinkingConfig": thinking or None,
    }
    config = {name: value for name, value in wanted.items() if value is not None}
    return {**config, **settings.extra_body.get("generationConfig", {})}


LLM = GoogleLLM
