"""A web address as the model: it is told what the caller said, and answers with what to say.

Over ``http(s)://``: one POST with a JSON object (``text, call_id, caller, callee, history``), answered with
plain text or ``{"text": …}``. Over ``ws(s)://``: the same object as one message, answered with
``{"text": …}`` messages until ``{"done": true}``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import attrs
import httpx2
import trio

from .._net.guard import check_url, open_guarded_client
from .._net.guarded_websocket import open_guarded_websocket
from .._net.http import is_web_address, open_body, read_beginning
from .._wire.chat_completions import refusal_error
from ..errors import (
    LanguageModelError,
    ModelTimeoutError,
    PatterConfigError,
    PatterConnectionError,
    RemoteProtocolError,
)
from ..events import LLMChunk, Message
from ._checks import mapping_or, seconds

__all__ = ["LLM", "CustomLLM", "CustomModel"]

_ANSWER_LIMIT = 64 * 1024
"""Bytes of one answer; an hour of speech has fewer."""


@attrs.frozen
class CustomLLM:
    """A web address in place of a model.

    Args:
        url: ``http(s)://`` or ``ws(s)://``.
        timeout: seconds for a whole answer over HTTP, and for each message over a WebSocket.
        extra_headers: sent with every request, such as an authorization.
        allow_private: the address may be on this machine or in the private network around it.

    Raises:
        PatterConfigError: a setting cannot be right.
    """

    url: str
    timeout: float = attrs.field(default=30.0, validator=seconds, kw_only=True)
    extra_headers: Mapping[str, str] = attrs.field(
        factory=dict[str, str], validator=mapping_or(), repr=False, kw_only=True
    )

    allow_private: bool = attrs.field(default=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        schemes = ("http", "https", "ws", "wss")
        if not is_web_address(self.url, schemes):
            raise PatterConfigError(
                f"url={self.url!r} is not an address that can answer", hint="https://… or wss://…"
            )
        check_url(self.url, allow_private=self.allow_private, what="url", schemes=schemes)

    @property
    def name(self) -> str:
        """``custom``."""
        return "custom"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[CustomModel]:
        """The address, ready to be asked; over HTTP its connections stay warm between turns."""
        async with open_guarded_client(
            allow_private=self.allow_private, timeout=self.timeout, headers=self.extra_headers
        ) as client:
            yield CustomModel(self, client)


@attrs.frozen
class CustomModel:
    """A web address that answers: a model by :meth:`stream`, an ``on_message`` function by :meth:`answer`."""

    settings: CustomLLM
    _client: httpx2.AsyncClient = attrs.field(repr=False)

    @property
    def name(self) -> str:
        """``custom``."""
        return self.settings.name

    @property
    def model(self) -> str:
        """The address's host."""
        return urlsplit(self.settings.url).hostname or ""

    def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        call_id: str | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterable[LLMChunk]]:
        """Streams the answer to the last thing the user said; tools are the address's own affair.

        Raises:
            AuthenticationError: it answered 401 or 403.
            RateLimitError: it answered 429.
            ModelTimeoutError: it took too long.
            LanguageModelError: anything else went wrong.
        """
        said = [message for message in messages if message.get("role") in ("user", "assistant")]
        last = next((at for at in reversed(range(len(said))) if said[at]["role"] == "user"), len(said))
        return self._stream(
            {
                "text": _text_of(said[last]) if last < len(said) else "",
                "call_id": call_id or "",
                "caller": "",
                "callee": "",
                "history": [{"role": turn["role"], "text": _text_of(turn)} for turn in said[:last]],
            }
        )

    @trio.as_safe_channel
    async def _stream(self, event: Mapping[str, Any]) -> AsyncGenerator[LLMChunk, None]:
        async with aclosing(self.answer(event)) as pieces:
            async for piece in pieces:
                yield LLMChunk("text", content=piece)
        yield LLMChunk("done")

    async def answer(self, event: Mapping[str, Any]) -> AsyncGenerator[str, None]:
        """What the address says to an ``on_message`` event, piece by piece."""
        try:
            if self.settings.url.startswith(("ws://", "wss://")):
                async with aclosing(self._converse(event)) as pieces:
                    async for piece in pieces:
                        yield piece
            else:
                yield await self._post(event)
        except (trio.TooSlowError, httpx2.TimeoutException) as error:
            raise ModelTimeoutError(
                f"{self.model} did not answer within {self.settings.timeout:g} s"
            ) from error
        except (httpx2.HTTPError, PatterConnectionError) as error:
            raise LanguageModelError(f"{self.model} failed: {error}", temporary=True) from error
        except RemoteProtocolError as error:
            raise LanguageModelError(str(error)) from error

    async def _post(self, event: Mapping[str, Any]) -> str:
        with trio.fail_after(self.settings.timeout):
            async with (
                self._client.stream("POST", self.settings.url, json=dict(event)) as response,
                open_body(response) as received,
            ):
                body = await read_beginning(received, _ANSWER_LIMIT + 1)
        if response.status_code != 200:
            raise refusal_error(response.status_code, body, response.headers)
        if len(body) > _ANSWER_LIMIT:
            raise LanguageModelError(f"{self.model} answered with more than {_ANSWER_LIMIT} bytes")
        text = body.decode(errors="replace")
        try:
            parsed = json.loads(text)
        except ValueError:
            return text
        if isinstance(parsed, str):
            return parsed
        if isinstance(parsed, Mapping):
            return self._words(parsed)
        return text  # a number, say

    async def _converse(self, event: Mapping[str, Any]) -> AsyncGenerator[str, None]:
        taken = 0
        async with open_guarded_websocket(
            self.settings.url,
            allow_private=self.settings.allow_private,
            headers=self.settings.extra_headers,
            connect_timeout=min(self.settings.timeout, 10.0),
            max_size=_ANSWER_LIMIT,
        ) as socket:
            await socket.send(json.dumps(dict(event)))
            while True:
                try:
                    with trio.fail_after(self.settings.timeout):
                        message = await socket.receive()
                except trio.EndOfChannel:
                    raise LanguageModelError(
                        f"{self.model} stopped in the middle of its answer", temporary=True
                    ) from None
                taken += len(message)
                if taken > _ANSWER_LIMIT:
                    raise LanguageModelError(f"{self.model} answered with more than {_ANSWER_LIMIT} bytes")
                try:
                    parsed = json.loads(message)
                except ValueError:
                    parsed = None
                if not isinstance(parsed, Mapping):
                    raise LanguageModelError(f"{self.model} sent a message that is no JSON object")
                if "text" in parsed:
                    yield self._words(parsed)
                if parsed.get("done"):
                    return

    def _words(self, parsed: Mapping[str, Any]) -> str:
        words = parsed.get("text")
        if not isinstance(words, str):
            raise LanguageModelError(
                f"{self.model} answered without words", hint='answer with text, or with {"text": "…"}'
            )
        return words


def _text_of(message: Message) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""


LLM = CustomLLM
