"""Acting on calls that run at Twilio: one HTTP client for all of them."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs
import httpx2
import trio

from .._net.http import open_body, read_beginning
from .._wire.twilio_rest import ALREADY_OVER, ENDED, RestAnswer, call_path, read_status, refusal_error
from ..errors import PatterConfigError, PatterConnectionError, ProviderError

__all__ = ["RunningCalls", "open_running_calls"]

# As with other providers: a warm connection saves its handshakes.
_KEEPALIVE_SECONDS = 120.0
_CONNECT_SECONDS = 5.0

# A call as JSON has about 2 kB.
_ANSWER_BYTES = 64 * 1024

# Hanging up may be asked again: a call ends but once.
_HANG_UP_ATTEMPTS = 3
_PAUSE_SECONDS = 0.25

_log = logging.getLogger("patter_trio.carriers.twilio")


@attrs.frozen
class RunningCalls:
    """The calls of one account; ``secrets`` are what no error may show."""

    base_url: str
    account_sid: str | None
    timeout: float
    client: httpx2.AsyncClient = attrs.field(repr=False)
    secrets: tuple[str, ...] = attrs.field(repr=False)

    async def redirect(self, call_id: str, document: str) -> None:
        """Has a call follow another document. Asked once: a repetition would begin that document again."""
        answer = await self._update(call_id, {"Twiml": document}, attempts=1)
        if not answer.is_success:
            raise refusal_error(answer, secrets=self.secrets)
        status = read_status(answer.body, call_id)
        if status in ENDED:
            raise ProviderError(f"Twilio did nothing: call {call_id} is {status}", hint="the call is over")

    async def hang_up(self, call_id: str) -> None:
        """Ends a call, or finds that it is over."""
        answer = await self._update(call_id, {"Status": "completed"}, attempts=_HANG_UP_ATTEMPTS)
        if answer.is_success:
            read_status(answer.body, call_id)
        elif answer.code in ALREADY_OVER:
            _log.info("call %s was over before it was hung up (%s)", call_id, answer.code)
        else:
            raise refusal_error(answer, secrets=self.secrets)

    async def _update(self, call_id: str, form: Mapping[str, str], *, attempts: int) -> RestAnswer:
        """Asks for a change, again after failures that may pass; all of it within the time limit."""
        if self.account_sid is None:
            raise PatterConfigError(
                "Twilio cannot act on a call without the account's SID",
                hint="pass account_sid= or set TWILIO_ACCOUNT_SID",
            )
        url = self.base_url.rstrip("/") + call_path(self.account_sid, call_id)
        try:
            with trio.fail_after(self.timeout):
                for attempt in range(1, attempts):
                    try:
                        answer = await self._post(url, form)
                    except PatterConnectionError as error:
                        _log.info("call %s: %s; asking again", call_id, error)
                    else:
                        if answer.status < 500:
                            return answer
                    await trio.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
                return await self._post(url, form)
        except trio.TooSlowError as error:
            raise PatterConnectionError(
                f"Twilio did not answer within {self.timeout:g} s: what was asked may have been done"
            ) from error

    async def _post(self, url: str, form: Mapping[str, str]) -> RestAnswer:
        try:
            async with (
                self.client.stream("POST", url, data=dict(form)) as response,
                open_body(response) as received,
            ):
                body = await read_beginning(received, _ANSWER_BYTES)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise PatterConnectionError(
                f"Twilio cannot be reached: {str(error) or type(error).__name__}", hint="check base_url="
            ) from error
        except httpx2.HTTPError as error:
            raise PatterConnectionError(
                f"Twilio broke off ({str(error) or type(error).__name__}): what was asked may have been done"
            ) from error
        asked = response.headers.get("retry-after", "").strip()
        seconds = int(asked) if asked.isascii() and asked.isdigit() else None
        return RestAnswer(response.status_code, body, seconds)


@asynccontextmanager
async def open_running_calls(
    base_url: str, account_sid: str | None, credentials: tuple[str | None, str], *, timeout: float
) -> AsyncIterator[RunningCalls]:
    """The calls of an account, with a client whose connections stay warm.

    Args:
        base_url: where the REST API is.
        account_sid: the account; without it every action is refused before anything is sent.
        credentials: user and password; the user is the account or a key of it.
        timeout: seconds that an action may take, with all its attempts.
    """
    user, secret = credentials[0] or "", credentials[1]
    travelling = b64encode(f"{user}:{secret}".encode()).decode()
    async with httpx2.AsyncClient(
        auth=(user, secret),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
        limits=httpx2.Limits(max_connections=None, keepalive_expiry=_KEEPALIVE_SECONDS),
        follow_redirects=False,
        http2=False,
    ) as client:
        yield RunningCalls(base_url, account_sid, timeout, client, (secret, travelling))
