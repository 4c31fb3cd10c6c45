"""What every provider that speaks Chat Completions shares: its settings, its request, its opening."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

import attrs

from .._net.http import open_client
from ..errors import PatterConfigError
from ..events import Message
from ._chat import ChatModel, open_chat
from ._checks import check_address, check_header, mapping_or, optional, seconds, stripped, whole
from ._line import HttpLine, Line, encode_json
from ._models import OPENAI, QUICK_EFFORT, Retired, retirement, warn_if_retired
from ._sampling import Sampling

__all__ = ["NO_KEY", "OpenAILLMProvider"]

# What users of local runtimes write for no key.
NO_KEY = "EMPTY"


def _given_or_found(settings: Any) -> str:
    found = settings.api_key
    if found is None:
        found = next(filter(None, map(os.environ.get, settings.key_names)), "")
    found = stripped(found)
    check_header("api_key", found)
    return str(found)


@attrs.frozen(kw_only=True)
class OpenAILLMProvider(Sampling):
    """OpenAI's Chat Completions over plain HTTP: the base of every provider that speaks them.

    A subclass gives other defaults, and is itself decorated with ``attrs.frozen(kw_only=True)``. Sampling
    parameters (``temperature``, ``top_p``, ``max_tokens``, ``max_completion_tokens``, ``seed``, ``stop``,
    ``frequency_penalty``, ``presence_penalty``, ``logit_bias``, ``response_format``, ``tool_choice``,
    ``parallel_tool_calls``, ``reasoning_effort``, ``verbosity``, ``service_tier``, ``prompt_cache_key``,
    ``user``) are sent when they are not None; the two about tools with requests that have tools.

    Args:
        model: the model's name.
        api_key: the key; left out, it comes from the environment, and is ``key`` either way.
        base_url: the endpoint, without ``/chat/completions``.
        timeout: seconds of silence after which a request is given up.
        connect_timeout: seconds to connect, at most ``timeout``.
        first_token_timeout: seconds until the first words or tool call; None for no limit of its own.
        turn_timeout: seconds for a whole answer, not counting the time in which nobody takes it; None for no
            limit.
        max_retries: how often a request that failed before its answer began is made again, if the endpoint
            can be expected to take it within 1.5 s.
        extra_headers: sent with every request.
        extra_body: added to every request body, over what else stands there.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "openai"
    key_names: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)
    key_required: ClassVar[bool] = True
    retired: ClassVar[Mapping[str, Retired]] = OPENAI
    quick_effort: ClassVar[Mapping[str, str]] = QUICK_EFFORT
    stream_options: ClassVar[Mapping[str, Any]] = {"include_usage": True, "include_obfuscation": False}
    warm_path: ClassVar[str] = "/models"
    # The vendors' newer models refuse the older name of the limit; other people's servers may know no other.
    renames_max_tokens: ClassVar[bool] = True

    model: str = attrs.field(default="gpt-6-luna")
    api_key: str | None = attrs.field(default=None, repr=False)
    key: str = attrs.field(default=attrs.Factory(_given_or_found, takes_self=True), init=False, repr=False)
    base_url: str = attrs.field(default="https://api.openai.com/v1")
    timeout: float = attrs.field(default=60.0, validator=seconds)
    connect_timeout: float = attrs.field(default=10.0, validator=seconds)
    first_token_timeout: float | None = attrs.field(default=None, validator=optional(seconds))
    turn_timeout: float | None = attrs.field(default=None, validator=optional(seconds))
    max_retries: int = attrs.field(default=0, validator=whole(0))
    # Keys, at some endpoints.
    extra_headers: Mapping[str, str] = attrs.field(factory=dict[str, str], validator=mapping_or(), repr=False)
    extra_body: Mapping[str, Any] = attrs.field(factory=dict[str, Any], validator=mapping_or())

    def __attrs_post_init__(self) -> None:
        check_address("base_url", self.base_url, "like http://localhost:11434/v1")
        if not self.model:
            raise PatterConfigError("model= is missing")
        if self.key_required and not self.key and not self.has_client:
            names = " or ".join(self.key_names)
            raise PatterConfigError(
                f"{type(self).__name__} has no API key", hint=f"set {names} or pass api_key="
            )
        self.check_sampling()
        warn_if_retired(self.name, self.model, self.retired)

    @property
    def name(self) -> str:
        """The provider's name, for metrics and logs."""
        return self.provider_name

    @property
    def has_client(self) -> bool:
        """Whether a ready client was given, with a key of its own."""
        return False

    @property
    def url(self) -> str:
        """The endpoint without a slash at its end."""
        return self.base_url.rstrip("/")

    @property
    def model_hint(self) -> str:
        """What to do when the endpoint does not have the model."""
        retired = retirement(self.model, self.retired)
        if retired is not None:
            return f"{self.model} was shut on {retired.shutdown}: pass model={retired.successor!r}"
        return f"GET {self.url}/models lists the models that this key may use"

    def open(self) -> AbstractAsyncContextManager[ChatModel]:
        """The model, connected, for all calls of a session; its connections stay warm between turns."""
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[ChatModel]:
        async with self._open_line() as line, open_chat(self, line) as model:
            yield model

    @asynccontextmanager
    async def _open_line(self) -> AsyncIterator[Line]:
        headers = dict(self.extra_headers)
        if self.key and self.key != NO_KEY:
            headers["Authorization"] = f"Bearer {self.key}"
        async with open_client(
            timeout=self.timeout, connect_timeout=self.connect_timeout, headers=headers
        ) as client:
            chat = f"{self.url}/chat/completions"
            yield HttpLine(client, chat, self.url + self.warm_path, f"{self.model} at {chat}", self._encode)

    def _encode(self, body: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
        return encode_json(body)

    def request_body(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None, call_id: str | None
    ) -> dict[str, Any]:
        """The body of a request."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "stream": True,
            "stream_options": self.stream_options,
            **self.sampling_fields(with_tools=bool(tools)),
        }
        if tools:
            body["tools"] = list(tools)
        if self.renames_max_tokens and "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
        if self.model in self.quick_effort:
            body.setdefault("reasoning_effort", self.quick_effort[self.model])
        body.update(self.extra_body)
        return body

    def request_headers(self, call_id: str | None) -> dict[str, str]:
        """The headers of one call's requests, beside those of all."""
        return {}
