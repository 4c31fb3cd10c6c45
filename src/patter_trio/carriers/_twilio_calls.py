"""One account's requests to Twilio: each with its path, how often it may be asked, and its answer checked."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import attrs

from .._net.http import read_beginning
from .._wire.rest import RestAnswer
from .._wire.twilio_answers import (
    read_account,
    read_new_call,
    read_new_recording,
    read_number,
    read_our_number,
    read_route,
    read_state,
)
from .._wire.twilio_rest import (
    ALREADY_OVER,
    ENDED,
    account_path,
    call_path,
    read_status,
    recording_path,
    refusal_code,
    refusal_error,
)
from ..errors import PatterConfigError, ProviderError, RemoteProtocolError
from ..telephony import CallState, NumberRoute
from ._rest import RestClient

__all__ = ["TwilioRest"]

# What may be asked again: reading, and what ends but once.
_ATTEMPTS = 3
_ERROR_BYTES = 4096
_OWN_HOSTS = ".twilio.com"

Form = Sequence[tuple[str, str]]


@attrs.frozen
class TwilioRest:
    """The REST API, for one account."""

    account_sid: str | None
    rest: RestClient

    async def create_call(self, form: Form) -> str:
        """Places a call; returns its id. Asked once: a repetition would ring again."""
        return read_new_call(await self._change(f"{account_path(self._account())}/Calls.json", form))

    async def read_call(self, call_id: str) -> CallState:
        """How a call stands."""
        return read_state(await self._read(call_path(self._account(), call_id)), call_id)

    async def our_number(self, call_id: str) -> str:
        """Our side's number of a call."""
        return read_our_number(await self._read(call_path(self._account(), call_id)), call_id)

    async def redirect(self, call_id: str, document: str) -> None:
        """Has a call follow another document. Asked once: a repetition would begin that document again."""
        body = await self._change(call_path(self._account(), call_id), [("Twiml", document)])
        status = read_status(body, call_id)
        if status in ENDED:
            raise ProviderError(f"Twilio did nothing: call {call_id} is {status}", hint="the call is over")

    async def end_call(self, call_id: str) -> None:
        """Ends a call whether it rings or runs, or finds that it is over."""
        path = call_path(self._account(), call_id)
        answer = await self.rest.ask("POST", path, form=[("Status", "completed")], attempts=_ATTEMPTS)
        if self._is_over(answer, f"call {call_id}"):
            return
        read_status(self._body(answer), call_id)

    async def start_recording(self, call_id: str, form: Form) -> str:
        """Begins a recording; returns its id. Asked once: a repetition would begin another."""
        return read_new_recording(await self._change(recording_path(self._account(), call_id), form))

    async def stop_recording(self, call_id: str, recording_id: str) -> None:
        """Ends a recording, or finds that it has ended."""
        path = recording_path(self._account(), call_id, recording_id)
        answer = await self.rest.ask("POST", path, form=[("Status", "stopped")], attempts=_ATTEMPTS)
        if not self._is_over(answer, f"recording {recording_id}"):
            self._body(answer)

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[AsyncIterable[bytes]]:
        """A file of the carrier's."""
        async with self.rest.fetch(url, with_credentials=self._is_own(url)) as (status, received):
            if not 200 <= status < 300:
                body = await read_beginning(received, _ERROR_BYTES)
                raise refusal_error(RestAnswer(status, body), secrets=self.rest.secrets)
            yield received

    async def read_account(self) -> str:
        """The account's name."""
        account_sid = self._account()
        return read_account(await self._read(f"{account_path(account_sid)}.json"), account_sid)

    async def find_number(self, number: str) -> tuple[str, NumberRoute]:
        """The id of a number, and where its calls go."""
        path = f"{account_path(self._account())}/IncomingPhoneNumbers.json"
        return read_number(await self._read(path, [("PhoneNumber", number), ("PageSize", "50")]), number)

    async def change_number(self, number_sid: str, form: Form) -> NumberRoute:
        """Changes a number; the answer is how it is then. The same form again changes nothing more."""
        path = f"{account_path(self._account())}/IncomingPhoneNumbers/{number_sid}.json"
        answer = await self.rest.ask("POST", path, form=form, attempts=_ATTEMPTS)
        return read_route(self._body(answer), number_sid)

    def _account(self) -> str:
        if self.account_sid is None:
            raise PatterConfigError(
                "Twilio cannot act on a call without the account's SID",
                hint="pass account_sid= or set TWILIO_ACCOUNT_SID",
            )
        return self.account_sid

    async def _read(self, path: str, query: Form = ()) -> bytes:
        return self._body(await self.rest.ask("GET", path, query=query, attempts=_ATTEMPTS))

    async def _change(self, path: str, form: Form) -> bytes:
        return self._body(await self.rest.ask("POST", path, form=form))

    def _body(self, answer: RestAnswer) -> bytes:
        if not answer.is_success:
            raise refusal_error(answer, secrets=self.rest.secrets)
        return answer.body

    def _is_over(self, answer: RestAnswer, what: str) -> bool:
        code = None if answer.is_success else refusal_code(answer)
        if code in ALREADY_OVER:
            self.rest.log.info("%s was over before it was ended (%s)", what, code)
        return code in ALREADY_OVER

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
