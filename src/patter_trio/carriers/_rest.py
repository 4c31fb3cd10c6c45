"""A carrier's REST API: one HTTP client for all calls of a session, every request with a deadline."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import attrs
import httpx2
import trio

from .._net.http import open_body, read_beginning
from .._wire.rest import RestAnswer
from ..errors import PatterConnectionError, RemoteProtocolError

__all__ = ["RestClient", "open_rest_client"]

# As with other providers: a warm connection saves its handshakes.
_KEEPALIVE_SECONDS = 120.0
_CONNECT_SECONDS = 5.0

# A call as JSON has about 2 kB, a page of a list of numbers some 100 kB.
_ANSWER_BYTES = 1024 * 1024

_PAUSE_SECONDS = 0.25
_FORM = "application/x-www-form-urlencoded"

Fields = Mapping[str, str] | Sequence[tuple[str, str]]


@attrs.frozen
class RestClient:
    """Asks a carrier. ``secrets`` are what no error may show; ``vendor`` is how errors name the carrier."""

    vendor: str
    base_url: str
    timeout: float
    client: httpx2.AsyncClient = attrs.field(repr=False)
    secrets: tuple[str, ...] = attrs.field(repr=False)
    log: logging.Logger = attrs.field(repr=False)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Fields = (),
        form: Fields | None = None,
        json: Any = None,
        attempts: int = 1,
    ) -> RestAnswer:
        """The answer to a request, all attempts within the time limit.

        More than one attempt is for what may be asked twice: after a broken connection or a server's error
        it is asked again. Whether the answer is a success is for whoever asks to say.

        Raises:
            PatterConnectionError: the carrier was not reached, broke off, or took too long.
        """
        url = self.base_url.rstrip("/") + path
        if query:
            url += "?" + _encode(query)
        headers, content = {}, b""
        if form is not None:
            headers, content = {"Content-Type": _FORM}, _encode(form).encode()
        try:
            with trio.fail_after(self.timeout):
                for attempt in range(1, attempts):
                    try:
                        answer = await self._send(method, url, headers, content, json)
                    except PatterConnectionError as error:
                        self.log.info("%s %s: %s; asking again", method, path, error)
                    else:
                        if answer.status < 500:
                            return answer
                    await trio.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
                return await self._send(method, url, headers, content, json)
        except trio.TooSlowError as error:
            raise PatterConnectionError(
                f"{self.vendor} did not answer within {self.timeout:g} s: what was asked may have been done"
            ) from error

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, json: Any
    ) -> RestAnswer:
        body: dict[str, Any] = {"json": json} if json is not None else {"content": content}
        try:
            async with (
                self.client.stream(method, url, headers=dict(headers), **body) as response,
                open_body(response) as received,
            ):
                text = await read_beginning(received, _ANSWER_BYTES)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise PatterConnectionError(
                f"{self.vendor} cannot be reached: {str(error) or type(error).__name__}",
                hint="check base_url=",
            ) from error
        except httpx2.HTTPError as error:
            raise PatterConnectionError(
                f"{self.vendor} broke off ({str(error) or type(error).__name__}): "
                "what was asked may have been done"
            ) from error
        asked = response.headers.get("retry-after", "").strip()
        seconds = int(asked) if asked.isascii() and asked.isdigit() else None
        return RestAnswer(response.status_code, text, seconds)

    @asynccontextmanager
    async def fetch(
        self, url: str, *, with_credentials: bool = True
    ) -> AsyncIterator[tuple[int, AsyncIterable[bytes]]]:
        """A file, piece by piece, and the status of its answer; silences are bounded, its length is not.

        Args:
            url: absolute, where the carrier said it is.
            with_credentials: whether the address is the carrier's own; a storage host must not see them.

        Raises:
            PatterConnectionError: it was not reached, or broke off.
            RemoteProtocolError: the address is none.
        """
        auth = httpx2.USE_CLIENT_DEFAULT if with_credentials else None
        try:
            request = self.client.build_request("GET", url)
        except httpx2.InvalidURL as error:
            raise RemoteProtocolError(f"{self.vendor} gave an address that is none") from error
        try:
            if not with_credentials:
                request.headers.pop("Authorization", None)
            response = await self.client.send(request, auth=auth, stream=True)
            try:
                async with open_body(response) as received:
                    yield response.status_code, received
            finally:
                await response.aclose()
        except httpx2.HTTPError as error:
            raise PatterConnectionError(
                f"{self.vendor}'s file broke off: {str(error) or type(error).__name__}"
            ) from error


@asynccontextmanager
async def open_rest_client(
    vendor: str,
    base_url: str,
    *,
    timeout: float,
    basic: tuple[str, str] | None = None,
    bearer: str = "",
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[RestClient]:
    """A client for the length of the block, whose connections stay warm.

    Args:
        vendor: the carrier's name.
        base_url: where its REST API is.
        timeout: seconds that a request may take, with all its attempts.
        basic: user and password.
        bearer: or a key.
        transport: how requests travel, in place of the network.
    """
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    secrets: tuple[str, ...] = (bearer,) if bearer else ()
    if basic is not None:
        secrets = (basic[1], b64encode(":".join(basic).encode()).decode())
    elif bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    async with httpx2.AsyncClient(
        auth=basic,
        headers=headers,
        timeout=httpx2.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
        limits=httpx2.Limits(max_connections=None, keepalive_expiry=_KEEPALIVE_SECONDS),
        follow_redirects=False,
        http2=False,
        transport=transport,
    ) as client:
        log = logging.getLogger(f"patter_trio.carriers.{vendor.lower()}")
        yield RestClient(vendor, base_url, timeout, client, secrets, log)


def _encode(fields: Fields) -> str:
    return urlencode(list(fields.items()) if isinstance(fields, Mapping) else list(fields))
