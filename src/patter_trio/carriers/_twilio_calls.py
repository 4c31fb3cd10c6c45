"""Acting on calls that run at Twilio."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from .._wire.rest import RestAnswer
from .._wire.twilio_rest import ALREADY_OVER, ENDED, call_path, read_status, refusal_code, refusal_error
from ..errors import PatterConfigError, ProviderError
from ._rest import RestClient

__all__ = ["RunningCalls"]

# Hanging up may be asked again: a call ends but once.
_HANG_UP_ATTEMPTS = 3


@attrs.frozen
class RunningCalls:
    """The calls of one account."""

    account_sid: str | None
    rest: RestClient

    async def redirect(self, call_id: str, document: str) -> None:
        """Has a call follow another document. Asked once: a repetition would begin that document again."""
        answer = await self._update(call_id, {"Twiml": document}, attempts=1)
        if not answer.is_success:
            raise refusal_error(answer, secrets=self.rest.secrets)
        status = read_status(answer.body, call_id)
        if status in ENDED:
            raise ProviderError(f"Twilio did nothing: call {call_id} is {status}", hint="the call is over")

    async def hang_up(self, call_id: str) -> None:
        """Ends a call, or finds that it is over."""
        answer = await self._update(call_id, {"Status": "completed"}, attempts=_HANG_UP_ATTEMPTS)
        code = refusal_code(answer)
        if answer.is_success:
            read_status(answer.body, call_id)
        elif code in ALREADY_OVER:
            self.rest.log.info("call %s was over before it was hung up (%s)", call_id, code)
        else:
            raise refusal_error(answer, secrets=self.rest.secrets)

    async def _update(self, call_id: str, form: Mapping[str, str], *, attempts: int) -> RestAnswer:
        """Asks for a change, again after failures that may pass; all of it within the time limit."""
        if self.account_sid is None:
            raise PatterConfigError(
                "Twilio cannot act on a call without the account's SID",
                hint="pass account_sid= or set TWILIO_ACCOUNT_SID",
            )
        return await self.rest.ask("POST", call_path(self.account_sid, call_id), form=form, attempts=attempts)
