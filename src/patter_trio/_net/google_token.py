"""Access tokens for Google Cloud.

``google-auth`` knows where credentials lie (a service account's file, a developer's login, the machine that
this runs on) and how each kind gets its tokens, but its HTTP clients do not live on trio. Here it works in a
thread, and what it wants to send is sent on trio. A task renews the token before it ends, so that no turn
waits for one.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx2
import trio

from ..errors import AuthenticationError, MissingExtraError

__all__ = ["AccessToken", "Authorize", "open_credentials", "token_from"]

_log = logging.getLogger("patter_trio.llm")

AccessToken = Callable[[], str | Awaitable[str]]
Authorize = Callable[[], Awaitable[Mapping[str, str]]]

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

# google-auth calls a token stale some minutes before its end.
_LOOK_SECONDS = 60.0

_FETCH_SECONDS = 30.0


def token_from(access_token: AccessToken) -> Authorize:
    """The headers with a token that the user's function gives, asked before every request."""

    async def authorize() -> Mapping[str, str]:
        token: Any = access_token()
        if inspect.isawaitable(token):
            token = await token
        text = token.strip() if isinstance(token, str) else ""
        if not text:
            raise AuthenticationError("access_token= gave no token", hint="it must return the token's text")
        return {"Authorization": f"Bearer {text}"}

    return authorize


@asynccontextmanager
async def open_credentials(client: httpx2.AsyncClient) -> AsyncIterator[Authorize]:
    """The headers with a token of this machine's Application Default Credentials, kept fresh.

    Raises:
        MissingExtraError: ``google-auth`` is not installed.
        AuthenticationError: there are no credentials, or Google refuses them.
    """
    try:
        import google.auth
        from google.auth import exceptions
    except ImportError as error:
        raise MissingExtraError(
            "Vertex AI without access_token= needs the google-auth package",
            hint="pip install 'patter-trio[google]', or give access_token=",
        ) from error
    transport: Any = _Transport(client)
    try:
        with trio.fail_after(_FETCH_SECONDS):
            credentials, _ = await trio.to_thread.run_sync(
                lambda: google.auth.default(scopes=[_SCOPE], request=transport)
            )
            await trio.to_thread.run_sync(credentials.refresh, transport)
    except exceptions.GoogleAuthError as error:
        raise AuthenticationError(
            f"Google gave no access token: {_line(error)}",
            hint="set GOOGLE_APPLICATION_CREDENTIALS to a service account's file, or give access_token=",
        ) from error
    except trio.TooSlowError as error:
        raise AuthenticationError(f"Google gave no access token within {_FETCH_SECONDS:g} s") from error

    async def authorize() -> Mapping[str, str]:
        headers = {"Authorization": f"Bearer {credentials.token}"}
        if credentials.quota_project_id:
            headers["x-goog-user-project"] = credentials.quota_project_id
        return headers

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_keep_fresh, credentials, transport)
        yield authorize
        nursery.cancel_scope.cancel()


async def _keep_fresh(credentials: Any, transport: _Transport) -> None:
    from google.auth import exceptions

    while True:
        await trio.sleep(_LOOK_SECONDS)
        if credentials.token_state.name == "FRESH":
            continue
        try:
            await trio.to_thread.run_sync(credentials.refresh, transport)
        except exceptions.GoogleAuthError as error:
            _log.warning("the access token for Google could not be renewed: %s", _line(error))


@attrs.frozen
class _Response:
    """An answer as google-auth reads it."""

    status: int
    headers: Mapping[str, str]
    data: bytes


@attrs.frozen
class _Transport:
    """What google-auth sends, sent on trio; it is called in a thread of trio's."""

    client: httpx2.AsyncClient

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Response:
        """Sends a request and waits for its answer."""
        from google.auth import exceptions

        try:
            return trio.from_thread.run(self._send, url, method, body, headers, timeout or _FETCH_SECONDS)
        except (httpx2.HTTPError, trio.TooSlowError) as error:
            failed: Any = exceptions.TransportError
            raise failed(error) from error

    async def _send(
        self, url: str, method: str, body: bytes | None, headers: Mapping[str, str] | None, timeout: float
    ) -> _Response:
        with trio.fail_after(timeout):
            response = await self.client.request(method, url, content=body, headers=dict(headers or {}))
        return _Response(response.status_code, response.headers, response.content)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
