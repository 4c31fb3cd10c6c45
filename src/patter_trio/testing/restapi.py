"""A simulated REST API without a socket: pure answers, faults on demand, and a way in for HTTP clients."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol
from urllib.parse import parse_qsl

import attrs
import httpx2
import trio

from ..errors import PatterConfigError

__all__ = ["AnswersRest", "RestApi", "RestFault", "RestReply", "RestRequest", "RestTransport"]


@attrs.frozen
class RestRequest:
    """A request that came to the REST API; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = b""

    @property
    def form(self) -> dict[str, str]:
        """The parameters."""
        return dict(self.fields)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The parameters in order, repeated ones included."""
        return parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


@attrs.frozen
class RestReply:
    """What the REST API answers; ``conduct`` is ``"hangs"`` or ``"cuts"`` where it does not."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    conduct: Literal["answers", "hangs", "cuts"] = "answers"


@attrs.frozen
class RestFault:
    """What goes wrong with one request.

    Args:
        reply: what is answered instead, or how it is not.
        is_carried_out: whether the request takes effect all the same: the answer is what is lost.
    """

    reply: RestReply
    is_carried_out: bool = False

    @classmethod
    def named(
        cls, name: str, *, is_carried_out: bool = False, refusals: Mapping[str, RestReply] | None = None
    ) -> RestFault:
        """A fault that is often wanted.

        Args:
            name: ``server_error``, ``garbage`` (a page with status 200), ``hangs`` (no answer ever), ``cuts``
                (the connection ends instead), or one of ``refusals``.
            is_carried_out: as above.
            refusals: what this vendor calls its own, such as ``unauthorized`` or ``too_many``.

        Raises:
            PatterConfigError: none has this name.
        """
        replies = {**_FAULTS, **(refusals or {})}
        if name not in replies:
            raise PatterConfigError(f"no fault is called {name!r}", hint=", ".join(replies))
        return cls(replies[name], is_carried_out)


_HTML = {"Content-Type": "text/html"}
_FAULTS = {
    "server_error": RestReply(503, b"<html>upstream</html>", _HTML),
    "garbage": RestReply(200, b"<html>sign in</html>", _HTML),
    "hangs": RestReply(conduct="hangs"),
    "cuts": RestReply(conduct="cuts"),
}


class AnswersRest(Protocol):
    """Whatever answers requests: an account, or the skin of an exchange."""

    def answer(self, request: RestRequest) -> RestReply:
        """Carries a request out, or not, and answers it."""
        ...


class RestApi:
    """Keeps what was asked, and fails on demand; a vendor's API says in :meth:`carry_out` what it does.

    ``refusals`` are the vendor's own answers to requests that it does not like, for :meth:`fail`.
    """

    refusals: ClassVar[Mapping[str, RestReply]] = {}

    def __init__(self) -> None:
        self.requests: list[RestRequest] = []
        self._faults: deque[RestFault] = deque()

    def fail(self, *faults: RestFault | str) -> None:
        """What goes wrong with the next requests, one each; see :meth:`RestFault.named`."""
        self._faults.extend(
            RestFault.named(each, refusals=self.refusals) if isinstance(each, str) else each
            for each in faults
        )

    def answer(self, request: RestRequest) -> RestReply:
        """Carries a request out, or not, and answers it."""
        self.requests.append(request)
        if not self._faults:
            return self.carry_out(request)
        fault = self._faults.popleft()
        if fault.is_carried_out:
            self.carry_out(request)
        return fault.reply

    def carry_out(self, request: RestRequest) -> RestReply:
        """Does what is asked; never waits."""
        raise NotImplementedError


class RestTransport(httpx2.AsyncBaseTransport):
    """Hands the requests of an HTTP client to a simulated API in this process, so in virtual time too.

    An API that does not answer lets the client wait for as long as its read timeout.

    Args:
        api: answers the requests, whatever host they are for.
    """

    def __init__(self, api: AnswersRest) -> None:
        self._api = api

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answers one request.

        Raises:
            httpx2.ReadTimeout: the API hangs.
            httpx2.RemoteProtocolError: the API cuts the connection.
        """
        await trio.lowlevel.checkpoint()
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = request.url.raw_path.decode("ascii")
        reply = self._api.answer(RestRequest(request.method, target, headers, await request.aread()))
        if reply.conduct == "hangs":
            seconds = request.extensions.get("timeout", {}).get("read")
            await trio.sleep(float("inf") if seconds is None else seconds)
            raise httpx2.ReadTimeout("the simulated API does not answer", request=request)
        if reply.conduct == "cuts":
            raise httpx2.RemoteProtocolError("the simulated API cut the connection", request=request)
        return httpx2.Response(reply.status, headers=dict(reply.headers), content=reply.body, request=request)
