"""The simulated Twilio's account: its running calls, and what its REST API does to them."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs
import trio

from .._wire.twiml import Answer, DialAnswer, HangUp, StreamAnswer, parse_answer
from ..errors import RemoteProtocolError
from .restapi import RestApi, RestReply, RestRequest

__all__ = ["REFUSALS", "RestCall", "TwilioAccount", "is_known", "json_reply", "refusal"]

_FORM = "application/x-www-form-urlencoded"
_LONGEST_TWIML = 4000


@attrs.define(eq=False)
class RestCall:
    """A call as the account knows it.

    ``instructions`` are the documents it was redirected to, ``unusable`` says what was wrong with one that
    could not be followed, ``changed`` is set as soon as the REST API has acted on the call.
    """

    sid: str
    caller: str
    callee: str
    status: str = "in-progress"
    instructions: list[Answer] = attrs.field(factory=list[Answer])
    unusable: str = ""
    changed: trio.Event = attrs.field(factory=trio.Event, repr=False)

    @property
    def transferred_to(self) -> str:
        """The number that it was transferred to last, or nothing."""
        last = self.instructions[-1] if self.instructions else None
        return last.number if isinstance(last, DialAnswer) else ""


class TwilioAccount(RestApi):
    """Answers requests to ``/2010-04-01/Accounts/{account_sid}/Calls/{CallSid}.json`` as Twilio does.

    Pure: bytes in, bytes out. :func:`~patter_trio.testing.rest.open_rest` puts it behind a socket.

    Args:
        account_sid: the account.
        auth_token: its token, taken as the password of the account.
        api_keys: further users, key to secret.
    """

    def __init__(self, account_sid: str, auth_token: str, api_keys: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.account_sid = account_sid
        self.calls: dict[str, RestCall] = {}
        self._passwords = {account_sid: auth_token, **(api_keys or {})}

    def begin(self, call_sid: str, caller: str = "+15557654321", callee: str = "+15550001234") -> RestCall:
        """A call is up; it can be acted on until somebody sets its ``status`` to one that is over."""
        call = self.calls[call_sid] = RestCall(call_sid, caller, callee)
        return call

    def carry_out(self, request: RestRequest) -> RestReply:
        """Acts on a call."""
        if not is_known(request, self._passwords):
            return refusal(401, 20003, "Authenticate")
        path = urlsplit(request.target).path
        prefix, suffix = f"/2010-04-01/Accounts/{self.account_sid}/Calls/", ".json"
        call = self.calls.get(path[len(prefix) : -len(suffix)])
        if call is None or not path.startswith(prefix) or not path.endswith(suffix):
            return refusal(404, 20404, f"The requested resource {path} was not found")
        if request.method == "GET":
            return self._described(call)
        if request.method != "POST":
            return refusal(405, 20004, "Method not allowed")
        if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
            return refusal(415, 20001, "Unsupported media type")
        return self._change(call, request.form)

    def _change(self, call: RestCall, form: Mapping[str, str]) -> RestReply:
        if call.status != "in-progress":
            return refusal(400, 21220, "Call is not in-progress. Cannot redirect.")
        document, status = form.get("Twiml"), form.get("Status")
        if (document is None) == (status is None) or "Url" in form:
            return refusal(400, 21200, "A simulated call is changed by either Twiml or Status")
        if document is None:
            if status not in ("completed", "canceled"):
                return refusal(400, 21200, f"Invalid Status: {status}")
            # Twilio ignores a cancellation of a call that was answered.
            return self._end(call, HangUp()) if status == "completed" else self._described(call)
        if len(document) > _LONGEST_TWIML:
            return refusal(400, 21200, "Twiml is too long")
        try:
            answer = parse_answer(document)
        except RemoteProtocolError as error:
            # Twilio takes it; only its debugger says that the caller hears an application error.
            call.unusable = str(error)
            return self._end(call, HangUp())
        if isinstance(answer, StreamAnswer):
            return refusal(400, 21200, "A simulated call does not begin a second stream")
        if not isinstance(answer, DialAnswer):
            return self._end(call, answer)
        call.instructions.append(answer)
        call.changed.set()
        return self._described(call)

    def _end(self, call: RestCall, answer: Answer) -> RestReply:
        call.instructions.append(answer)
        call.status = "completed"
        call.changed.set()
        return self._described(call)

    def _described(self, call: RestCall) -> RestReply:
        return json_reply(
            200,
            {
                "sid": call.sid,
                "account_sid": self.account_sid,
                "status": call.status,
                "direction": "inbound",
                "from": call.caller,
                "to": call.callee,
                "answered_by": None,
                "duration": None,
                "start_time": "Mon, 06 Jan 2025 12:00:00 +0000",
                "end_time": None,
                "price": None,
                "price_unit": "USD",
                "parent_call_sid": None,
                "queue_time": "0",
                "uri": f"/2010-04-01/Accounts/{self.account_sid}/Calls/{call.sid}.json",
                "subresource_uris": {},
            },
        )


def is_known(request: RestRequest, passwords: Mapping[str, str]) -> bool:
    """Whether the request names one of the users, with its password."""
    scheme, _, coded = request.headers.get("authorization", "").partition(" ")
    try:
        user, _, password = b64decode(coded, validate=True).decode().partition(":")
    except ValueError:
        return False
    return scheme.lower() == "basic" and passwords.get(user) == password


def refusal(status: int, code: int, message: str) -> RestReply:
    """A refusal as Twilio words it."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return json_reply(status, {"code": code, "message": message, "more_info": more, "status": status})


def json_reply(status: int, body: Mapping[str, Any]) -> RestReply:
    """An answer in JSON."""
    return RestReply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


TwilioAccount.refusals = REFUSALS = {
    "unauthorized": refusal(401, 20003, "Authenticate"),
    "not_found": refusal(404, 20404, "The requested resource was not found"),
    "not_in_progress": refusal(400, 21220, "Call is not in-progress. Cannot redirect."),
    "too_many": attrs.evolve(refusal(429, 20429, "Too Many Requests"), headers={"Retry-After": "7"}),
}
