"""How a chat request leaves: over our own HTTP client, or through a vendor's SDK.

A line opens one answer at a time for many turns at once, and says in this package's words what goes wrong on
the way. It neither retries nor reads what an answer means.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol

import attrs
import httpx2
import msgspec
import trio

from .._net.http import open_body
from ..errors import LanguageModelError, MissingExtraError
from ._asking import told_in_our_words
from ._spares import knock

__all__ = ["HttpLine", "Line", "Reply", "SdkLine", "encode_json", "load_sdk"]


@attrs.frozen
class Reply:
    """An answer whose body is still coming."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterable[bytes]


class Line(Protocol):
    """A way to one endpoint."""

    def post(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> AbstractAsyncContextManager[Reply]:
        """Sends a request; leaving in the middle of its answer hangs up.

        Raises:
            ModelTimeoutError: connecting took too long, or the far end was silent for too long.
            LanguageModelError: it cannot be reached, or the connection broke.
        """
        ...

    async def warm(self) -> None:
        """Makes a request that costs nothing, so that a connection is open afterwards; never fails."""
        ...


@attrs.frozen
class HttpLine:
    """Our own client. ``encode`` gives the headers that name the kind of a body, and its bytes."""

    client: httpx2.AsyncClient
    url: str
    warm_url: str
    where: str
    encode: Callable[[Mapping[str, Any]], tuple[dict[str, str], bytes]]

    @asynccontextmanager
    async def post(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> AsyncIterator[Reply]:
        """See :class:`Line`."""
        kind, content = self.encode(body)
        with told_in_our_words(self.where):
            async with (
                self.client.stream("POST", self.url, content=content, headers={**kind, **headers}) as answer,
                open_body(answer) as received,
            ):
                yield Reply(answer.status_code, answer.headers, received)

    async def warm(self) -> None:
        """See :class:`Line`."""
        await knock(self.client, self.warm_url)


@attrs.frozen
class SdkLine:
    """A client object of a vendor's SDK: it makes and authorises the request and takes the refusals apart.

    The answer's body is read as bytes: the SDKs' own objects for each piece cost twice what reading it does.

    Args:
        sdk: the SDK's module.
        client: its asynchronous client.
        path: where chat is, after the client's base URL.
        warm_path: where its list of models is.
        where: the model and its place, for messages.
    """

    sdk: Any
    client: Any = attrs.field(repr=False)
    path: str
    warm_path: str
    where: str

    @asynccontextmanager
    async def post(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> AsyncIterator[Reply]:
        """See :class:`Line`."""
        http = self._library()
        with told_in_our_words(self.where, http):
            try:
                answer = await self.client.post(
                    self.path,
                    cast_to=http.Response,
                    body=dict(body),
                    options={"headers": dict(headers)},
                    stream=True,
                    stream_cls=self.sdk.AsyncStream[Any],
                )
            except self.sdk.APIStatusError as error:
                answer = error.response  # read and closed by the SDK
            except self.sdk.APIConnectionError as error:
                if isinstance(error.__cause__, http.HTTPError):
                    raise error.__cause__ from None
                raise LanguageModelError(f"{self.where} cannot be reached", temporary=True) from error
            if answer.is_stream_consumed:
                yield Reply(answer.status_code, answer.headers, _pieces(answer.content))
                return
            async with open_body(answer, http) as received:
                yield Reply(answer.status_code, answer.headers, received)

    async def warm(self) -> None:
        """See :class:`Line`."""
        with suppress(self.sdk.APIError):
            await self.client.get(self.warm_path, cast_to=self._library().Response)

    def _library(self) -> Any:
        """The HTTP library below the client: a user's own may stand on another than ours."""
        for kind in type(self.client._client).__mro__:
            library = kind.__module__.partition(".")[0]
            if library in ("httpx", "httpx2"):
                return sys.modules[library]
        raise LanguageModelError(f"{self.where}: the client stands on no HTTP library that runs on trio")


def encode_json(body: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """A body as JSON."""
    return {"Content-Type": "application/json"}, msgspec.json.encode(body)


async def load_sdk(name: str) -> Any:
    """The module of a vendor's SDK.

    Raises:
        MissingExtraError: it is not installed.
    """
    if sys.modules.get(name) is not None:
        return sys.modules[name]
    try:
        # Half a second of imports: other calls go on meanwhile.
        return await trio.to_thread.run_sync(importlib.import_module, name)
    except ImportError as error:
        raise MissingExtraError(
            f"the {name} package is not installed", hint=f"pip install 'patter-trio[{name}]'"
        ) from error


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content
