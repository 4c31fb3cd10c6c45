"""Tools behind a web address: a signed POST, a JSON answer, and no way into our own network.

The request: ``POST`` with ``{"tool", "arguments", "call_id", "caller", "callee", "attempt"}``. With a secret,
``X-Patter-Signature`` is the HMAC-SHA256 of the body, in hexadecimal. ``Idempotency-Key`` is the same for
all attempts of one call: the far side must do the work once for a key and answer the repetition alike.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx2
import msgspec
import trio

from .._net.guard import check_headers, check_url, open_guarded_client
from .._net.http import open_body, read_beginning
from ..errors import PatterConfigError, ToolError

__all__ = ["ToolWebhooks"]

# A model reads the answer; this is far more than it should.
_ANSWER_BYTES = 1024 * 1024

# The tool's own time limit ends a call; this is only against connections that nobody waits for.
_SILENCE_SECONDS = 300.0

_FIRST_PAUSE, _LONGEST_PAUSE, _JITTER = 0.5, 5.0, 0.06
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@attrs.frozen(kw_only=True)
class ToolWebhooks:
    """How tools with a ``webhook_url`` are called.

    Args:
        secret: signs each request.
        allow_private: webhooks may be on this machine and in the private network around it.
        attempts: how often a call is tried that failed in a way that may pass, if it has an idempotency key;
            1 never repeats one, for endpoints that do not know such keys.
        headers: sent with every request.

    Raises:
        PatterConfigError: a value cannot be right.
    """

    secret: str = attrs.field(default="", repr=False)
    allow_private: bool = False
    attempts: int = 3
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)

    def __attrs_post_init__(self) -> None:
        values: dict[str, Any] = attrs.asdict(self, recurse=False)
        if not isinstance(values["secret"], str):
            raise PatterConfigError("secret must be text")
        if not isinstance(values["allow_private"], bool):
            raise PatterConfigError("allow_private must be True or False")
        tries = values["attempts"]
        if isinstance(tries, bool) or not isinstance(tries, int) or not 1 <= tries <= 10:
            raise PatterConfigError(f"attempts must be 1 to 10, not {tries!r}")
        check_headers(values["headers"])

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Webhooks]:
        """One HTTP client for all calls of a session, its connections kept warm."""
        async with open_guarded_client(
            allow_private=self.allow_private, timeout=_SILENCE_SECONDS, headers=self.headers
        ) as client:
            yield Webhooks(self, client)


@attrs.frozen
class Webhooks:
    """The webhooks with their HTTP client: a :class:`WebhookTransport`."""

    settings: ToolWebhooks
    client: httpx2.AsyncClient

    def check(self, url: str) -> None:
        """Looks at an address before any call.

        Raises:
            PatterConfigError: it may not be called.
        """
        check_url(url, allow_private=self.settings.allow_private, what="a webhook_url")

    async def send(self, url: str, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Any:
        """Posts a call and returns the decoded answer, after several attempts where it has a key.

        Raises:
            ToolError: there is no usable answer.
        """
        attempts = self.settings.attempts if idempotency_key else 1
        for attempt in range(1, attempts + 1):
            try:
                return await self._attempt(url, {**body, "attempt": attempt}, idempotency_key)
            except _PassingError as error:
                if attempt == attempts:
                    raise
                backoff = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1))
                await trio.sleep(max(backoff, error.retry_after) + random.uniform(0, _JITTER))
        raise AssertionError("there is at least one attempt")

    async def _attempt(self, url: str, body: dict[str, Any], key: str | None) -> Any:
        content = msgspec.json.encode(body)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        if key:
            headers["Idempotency-Key"] = key
        if self.settings.secret:
            secret = self.settings.secret.encode()
            headers["X-Patter-Signature"] = hmac.new(secret, content, hashlib.sha256).hexdigest()
        try:
            async with (
                self.client.stream("POST", url, content=content, headers=headers) as response,
                open_body(response) as received,
            ):
                if not response.is_success:
                    raise _refusal(response)
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise ToolError("the webhook's answer is packed, which was not asked for")
                answer = await read_beginning(received, _ANSWER_BYTES + 1)
        except httpx2.TransportError as error:
            raise _PassingError(
                f"the webhook cannot be reached: {str(error) or type(error).__name__}"
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ToolError("the webhook cannot be called") from error
        if len(answer) > _ANSWER_BYTES:
            raise ToolError(f"the webhook's answer is larger than {_ANSWER_BYTES} bytes")
        try:
            return msgspec.json.decode(answer) if answer.strip() else None
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ToolError("the webhook's answer is not JSON") from error


class _PassingError(ToolError):
    """A failure that may be over the next time."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def _refusal(response: httpx2.Response) -> ToolError:
    if response.is_redirect:
        return ToolError("the webhook answers with a redirect, which is not followed")
    said = f"the webhook answers with status {response.status_code}"
    if response.status_code not in _TRY_AGAIN:
        return ToolError(said)
    asked = response.headers.get("retry-after", "").strip()
    seconds = float(asked) if asked.isascii() and asked.isdigit() else 0.0
    return _PassingError(said, min(seconds, _LONGEST_PAUSE))
