"""Telnyx's REST API as it is used here: one method for each thing that is asked."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import attrs
import msgspec

from .._wire.rest import RestAnswer
from .._wire.telnyx_rest import (
    CallOverError,
    action_path,
    call_path,
    read_call_state,
    read_data,
    refusal_error,
)
from ..errors import ProviderError, RemoteProtocolError
from ..telephony import CallState
from ._rest import RestClient

__all__ = ["Application", "PhoneNumber", "TelnyxRest"]

# Commands carry an id by which Telnyx ignores those that it has: they may be asked again. A call is placed
# once: what a repetition of that is answered, nobody writes.
_ATTEMPTS = 3
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class _Dialled(msgspec.Struct):
    call_control_id: str


class _Recording(msgspec.Struct):
    recording_id: str | None = None


class PhoneNumber(msgspec.Struct):
    """A number of the account, and the connection that takes its calls."""

    id: str
    phone_number: str
    connection_id: str | None = None


class Application(msgspec.Struct):
    """A Call Control application."""

    application_name: str
    webhook_event_url: str | None = None
    webhook_api_version: str | None = None


@attrs.frozen
class TelnyxRest:
    """Asks, and turns what is refused into errors."""

    rest: RestClient

    async def dial(self, body: Mapping[str, Any]) -> str:
        """Places a call, once; returns its handle."""
        answer = await self._ask("POST", "/v2/calls", json={**body, "command_id": str(uuid4())})
        return read_data(answer, _Dialled, "the call that was placed").call_control_id

    async def command(
        self, call_id: str, action: str, body: Mapping[str, Any] | None = None, *, command_id: str = ""
    ) -> RestAnswer:
        """Has a leg do something.

        Args:
            call_id: the leg.
            action: what, as in the path.
            body: how.
            command_id: by which Telnyx knows a repetition, where it may come from elsewhere than from here.
        """
        given = {**(body or {}), "command_id": command_id or str(uuid4())}
        return await self._ask("POST", action_path(call_id, action), json=given, attempts=_ATTEMPTS)

    async def hang_up(self, call_id: str) -> None:
        """Ends a leg, or finds that it is over."""
        try:
            await self.command(call_id, "hangup")
        except CallOverError:
            self.rest.log.info("call %s was over before it was hung up", call_id)

    async def read_call(self, call_id: str) -> CallState:
        """How a leg stands."""
        return read_call_state(await self._ask("GET", call_path(call_id), attempts=_ATTEMPTS))

    async def start_recording(self, call_id: str) -> str:
        """Records both sides, each on a channel of its own; the recording's id, where one is said."""
        answer = await self.command(call_id, "record_start", {"format": "wav", "channels": "dual"})
        return read_data(answer, _Recording, "a recording").recording_id or ""

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[AsyncIterable[bytes]]:
        """A file from the storage that Telnyx names, which is not shown our key.

        Raises:
            ProviderError: it is not there, or not any more.
            RemoteProtocolError: the address is none to fetch from.
        """
        parts = urlsplit(url)
        is_ours = parts.scheme == "http" and parts.hostname in _THIS_MACHINE
        if not parts.hostname or not (parts.scheme == "https" or is_ours):
            raise RemoteProtocolError("Telnyx gave an address for a recording that is none to fetch from")
        async with self.rest.fetch(url, with_credentials=False) as (status, received):
            if status != 200:
                raise ProviderError(
                    f"the recording cannot be fetched ({status})",
                    hint="its address is valid for 10 minutes" if status in (400, 403, 404, 410) else None,
                )
            yield received

    # --- the account ----------------------------------------------------------------------------------------

    async def read_application(self, connection_id: str) -> Application | None:
        """A Call Control application; ``None`` where the connection is something else."""
        answer = await self.rest.ask("GET", _application_path(connection_id), attempts=_ATTEMPTS)
        if answer.status == 404:
            return None
        return read_data(self._checked(answer), Application, "an application")

    async def change_application(self, connection_id: str, name: str, url: str) -> Application:
        """Has an application report to ``url``, in version 2 of the API."""
        body = {"application_name": name, "webhook_event_url": url, "webhook_api_version": "2"}
        answer = await self._ask("PATCH", _application_path(connection_id), json=body, attempts=_ATTEMPTS)
        return read_data(answer, Application, "an application")

    async def find_number(self, number: str) -> PhoneNumber:
        """A number of the account.

        Raises:
            ProviderError: it has none such.
        """
        query = {"filter[phone_number]": number.lstrip("+"), "page[size]": "50"}
        answer = await self._ask("GET", "/v2/phone_numbers", query=query, attempts=_ATTEMPTS)
        for each in read_data(answer, list[PhoneNumber], "a list of numbers"):
            if each.phone_number == number:
                return each
        raise ProviderError(f"the Telnyx account has no number {number}", hint="see Numbers in the portal")

    async def numbers_of(self, connection_id: str) -> list[str]:
        """Some numbers that a connection takes the calls of: enough to see whether there are others."""
        query = {"filter[connection_id]": connection_id, "page[size]": "50"}
        answer = await self._ask("GET", "/v2/phone_numbers", query=query, attempts=_ATTEMPTS)
        return [each.phone_number for each in read_data(answer, list[PhoneNumber], "a list of numbers")]

    async def give_number(self, number_id: str, connection_id: str) -> PhoneNumber:
        """Gives a number's calls to a connection."""
        body = {"connection_id": connection_id}
        answer = await self._ask("PATCH", f"/v2/phone_numbers/{number_id}", json=body, attempts=_ATTEMPTS)
        return read_data(answer, PhoneNumber, "a number")

    async def _ask(self, method: str, path: str, **asked: Any) -> RestAnswer:
        return self._checked(await self.rest.ask(method, path, **asked))

    def _checked(self, answer: RestAnswer) -> RestAnswer:
        if not answer.is_success:
            raise refusal_error(answer, secrets=self.rest.secrets)
        return answer


def _application_path(connection_id: str) -> str:
    return f"/v2/call_control_applications/{connection_id}"
