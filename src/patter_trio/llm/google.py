"""Gemini, over the Gemini Developer API or Vertex AI.

The wire is spoken over our own HTTP client: Google's SDK waits for asyncio as soon as it is to get a token
for Vertex AI. Both APIs take the same body; address and key are what differs.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import uuid4

import attrs
import httpx2
import trio

from .._net.asking import Patience, open_answer, open_client, read_tail
from .._net.google_token import AccessToken, Authorize, open_credentials, token_from
from .._net.http import read_beginning
from .._net.provider_settings import (
    check_address,
    check_key,
    check_mapping,
    check_name,
    check_range,
    check_seconds,
    check_texts,
)
from .._wire.gemini import ContentStream, refusal_error
from .._wire.gemini_request import Kept, contents_request, least_thinking
from .._wire.keepsakes import Keepsakes
from .._wire.retired import retirement
from ..errors import PatterConfigError
from ..events import LLMChunk, Message

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


def _stripped(value: Any) -> Any:
    # A key that was read from a file has an end of line; as a header it would be refused, and shown.
    return value.strip() if isinstance(value, str) else value


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
    api_key: str | None = attrs.field(default=None, converter=_stripped, repr=False)
    vertexai: bool = False
    project: str | None = None
    location: str | None = None
    access_token: AccessToken | None = attrs.field(default=None, repr=False)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: Sequence[str] = ()
    thinking: Mapping[str, Any] | None = None
    extra_body: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    base_url: str | None = None
    connect_timeout: float = 10.0
    first_token_timeout: float = 30.0
    turn_timeout: float = 120.0
    _place: _Place = attrs.field(init=False, repr=False, eq=False)

    @_place.default
    def _find_place(self) -> _Place:
        return _vertex_place(self) if self.vertexai is True else _developer_place(self)

    def __attrs_post_init__(self) -> None:
        check_name("model", self.model, "like gemini-2.5-flash")
        if not isinstance(self.vertexai, bool):
            raise PatterConfigError(f"vertexai={self.vertexai!r} must be True or False")
        if self.vertexai:
            self._check_vertex()
        else:
            self._check_developer()
        check_address("base_url", self._place.base)
        for name, most in (("temperature", 2), ("top_p", 1)):
            if getattr(self, name) is not None:
                check_range(name, getattr(self, name), 0, most)
        for name in ("top_k", "max_output_tokens"):
            if getattr(self, name) is not None:
                check_range(name, getattr(self, name), 1, whole=True)
        check_texts("stop_sequences", self.stop_sequences)
        if self.thinking is not None:
            check_mapping("thinking", self.thinking)
        check_mapping("extra_body", self.extra_body)
        check_mapping("extra_body['generationConfig']", self.extra_body.get("generationConfig", {}))
        for name in ("connect_timeout", "first_token_timeout", "turn_timeout"):
            check_seconds(name, getattr(self, name))
        _warn_of_retirement(self.model)

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
        check_key("api_key", self._place.key, _NO_KEY)

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
        async with open_client(self.connect_timeout) as client:
            if not self.vertexai:
                yield _Connected(self, client, _key_header(self._place.key))
            elif self.access_token is not None:
                yield _Connected(self, client, token_from(self.access_token))
            else:
                async with open_credentials(client) as authorize:
                    yield _Connected(self, client, authorize)


@attrs.define
class _Connected:
    """The model with its HTTP client."""

    settings: GoogleLLM
    client: httpx2.AsyncClient
    authorize: Authorize = attrs.field(repr=False)
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
        patience = Patience(who, self.settings.first_token_timeout, self.settings.turn_timeout)
        answer = ContentStream(
            new_id=lambda: f"call_{uuid4().hex}", keep=functools.partial(self.kept.keep, call_id)
        )
        ask = functools.partial(self._request, body)
        async with open_answer(ask, patience) as (response, received):
            if response.status_code != 200:
                with patience.waiting():
                    refusal = await read_beginning(received, _ERROR_BYTES)
                raise refusal_error(response.status_code, refusal, self.model)
            pieces = aiter(received)
            while not answer.ended and (data := await patience.next_piece(pieces)) is not None:
                for chunk in answer.feed(data):
                    patience.hear()
                    yield chunk
            # Nothing says that the counts came with the last words.
            for chunk in answer.feed(await read_tail(received)):
                yield chunk
            for chunk in answer.finish():
                yield chunk

    async def _request(self, body: dict[str, Any]) -> httpx2.Response:
        headers = await self.authorize()
        asked = self.client.build_request("POST", self.settings._place.url, json=body, headers=dict(headers))
        return await self.client.send(asked, stream=True)


def _key_header(key: str) -> Authorize:
    async def authorize() -> Mapping[str, str]:
        return {"x-goog-api-key": key}

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


@functools.cache
def _warn_of_retirement(model: str) -> None:
    retired = retirement(model)
    if retired:
        _log.warning("%s", retired)


LLM = GoogleLLM
