"""One account's requests to Plivo: each with its path, how often it may be asked, and its answer checked."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import attrs

from .._net.http import read_beginning
from .._wire.plivo_answers import (
    Application,
    read_account,
    read_application,
    read_applications,
    read_new_application,
    read_new_recording,
    read_number_application,
    read_our_number,
    read_request_id,
    read_state,
)
from .._wire.plivo_rest import (
    account_path,
    application_path,
    call_path,
    number_path,
    refusal_error,
    request_path,
)
from .._wire.rest import RestAnswer
from ..errors import ProviderError, RemoteProtocolError
from ..telephony import CallState
from ._rest import RestClient

__all__ = ["PlivoRest"]

# What may be asked again: reading, and what ends but once.
_ATTEMPTS = 3
_ERROR_BYTES = 4096
_OWN_HOSTS = ".plivo.com"
_GONE = 404
# The carrier's own limit of a page, and ours for how many applications are looked through.
_PAGE = 20
_PAGES = 50

Order = Mapping[str, Any]


@attrs.frozen
class PlivoRest:
    """The REST API, for one account."""

    auth_id: str
    rest: RestClient

    async def create_call(self, order: Order) -> str:
        """Places a call; returns the request's id. Asked once: a repetition would ring again."""
        return read_request_id(await self._change(account_path(self.auth_id, "Call/"), order))

    async def read_live(self, call_id: str, status: str = "live") -> bytes | None:
        """A call that is up (or ``queued``); ``None`` when there is none."""
        return await self._look(call_path(self.auth_id, call_id), {"status": status})

    async def read_call(self, call_id: str) -> CallState | None:
        """How a call stands; ``None`` if Plivo knows of none."""
        live = await self.read_live(call_id)
        body = live if live is not None else await self._look(call_path(self.auth_id, call_id))
        return None if body is None else read_state(body)

    async def is_queued(self, request_id: str) -> bool:
        """Whether a call waits for its turn to be placed."""
        return await self.read_live(request_id, "queued") is not None

    async def our_number(self, call_id: str) -> str:
        """Our side's number of a call that is up."""
        body = await self.read_live(call_id)
        if body is None:
            raise ProviderError(f"Plivo knows no call {call_id} that is up", hint="the call is over")
        return read_our_number(body)

    async def redirect(self, call_id: str, order: Order) -> None:
        """Has a call follow another document. Asked once: a repetition would begin that document again."""
        await self._change(call_path(self.auth_id, call_id), order)

    async def end_call(self, call_id: str) -> bool:
        """Ends a call; ``False`` when Plivo knows of none, because it is over."""
        return await self._end(call_path(self.auth_id, call_id))

    async def cancel_request(self, request_id: str) -> bool:
        """Ends a call that was not answered; ``False`` when there is no such request any more."""
        return await self._end(request_path(self.auth_id, request_id))

    async def start_recording(self, call_id: str, order: Order) -> str:
        """Begins a recording; returns its id. Asked once: a repetition would begin another."""
        return read_new_recording(await self._change(call_path(self.auth_id, call_id, "Record/"), order))

    async def stop_recording(self, call_id: str) -> None:
        """Ends the recordings of a call, or finds that there are none."""
        await self._end(call_path(self.auth_id, call_id, "Record/"))

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[AsyncIterable[bytes]]:
        """A file of the carrier's."""
        async with self.rest.fetch(url, with_credentials=self._is_own(url)) as (status, received):
            if not 200 <= status < 300:
                body = await read_beginning(received, _ERROR_BYTES)
                raise refusal_error(RestAnswer(status, body), secrets=self.rest.secrets)
            yield received

    # --- the account ----------------------------------------------------------------------------------------

    async def read_account(self) -> str:
        """The account's name."""
        return read_account(await self._read(account_path(self.auth_id)), self.auth_id)

    async def application_of(self, number: str) -> Application | None:
        """What a number points to.

        Raises:
            ProviderError: the account has no such number.
        """
        body = await self._look(number_path(self.auth_id, number))
        if body is None:
            raise ProviderError(
                f"the account has no number {number}", hint="rent it in the console, or check auth_id="
            )
        app_id = read_number_application(body, number)
        if not app_id:
            return None
        return read_application(await self._read(application_path(self.auth_id, app_id)))

    async def find_application(self, name: str) -> str:
        """The id of the application with a name, empty if there is none."""
        for page in range(_PAGES):
            query = {"limit": str(_PAGE), "offset": str(page * _PAGE)}
            found = read_applications(await self._read(account_path(self.auth_id, "Application/"), query))
            for application in found:
                if application.name == name:
                    return application.app_id
            if len(found) < _PAGE:
                break
        return ""

    async def create_application(self, order: Order) -> str:
        """Makes an application; returns its id. Asked once: a repetition would make another."""
        return read_new_application(await self._change(account_path(self.auth_id, "Application/"), order))

    async def change_application(self, app_id: str, order: Order) -> None:
        """Changes an application. The same order again changes nothing more."""
        await self._change(application_path(self.auth_id, app_id), order, attempts=_ATTEMPTS)

    async def point_number(self, number: str, app_id: str) -> None:
        """Has a number point to an application. The same order again changes nothing more."""
        await self._change(number_path(self.auth_id, number), {"app_id": app_id}, attempts=_ATTEMPTS)

    # --- inside ---------------------------------------------------------------------------------------------

    async def _look(self, path: str, query: Mapping[str, str] | None = None) -> bytes | None:
        answer = await self.rest.ask("GET", path, query=query or (), attempts=_ATTEMPTS)
        return None if answer.status == _GONE else self._body(answer)

    async def _read(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        return self._body(await self.rest.ask("GET", path, query=query or (), attempts=_ATTEMPTS))

    async def _change(self, path: str, order: Order, *, attempts: int = 1) -> bytes:
        return self._body(await self.rest.ask("POST", path, json=dict(order), attempts=attempts))

    async def _end(self, path: str) -> bool:
        answer = await self.rest.ask("DELETE", path, attempts=_ATTEMPTS)
        if answer.status == _GONE:
            self.rest.log.info("%s was over before it was ended", path.rstrip("/").rpartition("/")[2])
            return False
        self._body(answer)
        return True

    def _body(self, answer: RestAnswer) -> bytes:
        if not answer.is_success:
            raise refusal_error(answer, secrets=self.rest.secrets)
        return answer.body

    def _is_own(self, url: str) -> bool:
        """Whether an address is the carrier's own: nobody else may see the credentials.

        Raises:
            RemoteProtocolError: it is none that a file is fetched from.
        """
        try:
            parts, base = urlsplit(url), urlsplit(self.rest.base_url)
            same = (parts.scheme, parts.hostname, parts.port) == (base.scheme, base.hostname, base.port)
        except ValueError as error:
            raise RemoteProtocolError("a recording at an address that is none") from error
        if not parts.hostname or "@" in parts.netloc or (parts.scheme != "https" and not same):
            raise RemoteProtocolError("a recording at an address that is not https://")
        return same or (parts.hostname.endswith(_OWN_HOSTS) and parts.port in (None, 443))
