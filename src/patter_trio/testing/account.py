"""The simulated Twilio's account: its running calls, and what its REST API does to them."""

from __future__ import annotations

import json
from base64 import b64decode
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import attrs
import trio

from .._wire.twiml import Answer, DialAnswer, HangUp, StreamAnswer, parse_answer
from ..errors import PatterConfigError, RemoteProtocolError

__all__ = ["RestCall", "RestFault", "RestReply", "RestRequest", "TwilioAccount"]

_FORM = "application/x-www-form-urlencoded"
_LONGEST_TWIML = 4000
_NAMES = (
    "unauthorized",
    "not_found",
    "not_in_progress",
    "too_many",
    "server_error",
    "garbage",
    "hangs",
    "cuts",
)


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
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))


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
    def named(cls, name: str, *, is_carried_out: bool = False) -> RestFault:
        """A fault that is often wanted.

        Args:
            name: ``unauthorized``, ``not_found``, ``not_in_progress``, ``too_many`` (try again in 7 s),
                ``server_error``, ``garbage`` (a page with status 200), ``hangs`` (no answer ever) or ``cuts``
                (the connection ends instead).
            is_carried_out: as above.

        Raises:
            PatterConfigError: none has this name.
        """
        match name:
            case "unauthorized":
                reply = _refusal(401, 20003, "Authenticate")
            case "not_found":
                reply = _refusal(404, 20404, "The requested resource was not found")
            case "not_in_progress":
                reply = _refusal(400, 21220, "Call is not in-progress. Cannot redirect.")
            case "too_many":
                reply = attrs.evolve(_refusal(429, 20429, "Too Many Requests"), headers={"Retry-After": "7"})
            case "server_error":
                reply = RestReply(503, b"<html>upstream</html>", {"Content-Type": "text/html"})
            case "garbage":
                reply = RestReply(200, b"<html>sign in</html>", {"Content-Type": "text/html"})
            case "hangs" | "cuts":
                reply = RestReply(conduct=name)
            case _:
                raise PatterConfigError(f"no fault is called {name!r}", hint=", ".join(_NAMES))
        return cls(reply, is_carried_out)


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


class TwilioAccount:
    """Answers requests to ``/2010-04-01/Accounts/{account_sid}/Calls/{CallSid}.json`` as Twilio does.

    Pure: bytes in, bytes out. :func:`~patter_trio.testing.rest.open_rest` puts it behind a socket.

    Args:
        account_sid: the account.
        auth_token: its token, taken as the password of the account.
        api_keys: further users, key to secret.
    """

    def __init__(self, account_sid: str, auth_token: str, api_keys: Mapping[str, str] | None = None) -> None:
        self.account_sid = account_sid
        self.calls: dict[str, RestCall] = {}
        self.requests: list[RestRequest] = []
        self._passwords = {account_sid: auth_token, **(api_keys or {})}
        self._faults: deque[RestFault] = deque()

    def begin(self, call_sid: str, caller: str = "+15557654321", callee: str = "+15550001234") -> RestCall:
        """A call is up; it can be acted on until somebody sets its ``status`` to one that is over."""
        call = self.calls[call_sid] = RestCall(call_sid, caller, callee)
        return call

    def fail(self, *faults: RestFault | str) -> None:
        """What goes wrong with the next requests, one each; see :meth:`RestFault.named`."""
        self._faults.extend(RestFault.named(each) if isinstance(each, str) else each for each in faults)

    def answer(self, request: RestRequest) -> RestReply:
        """Carries a request out, or not, and answers it."""
        self.requests.append(request)
        if not self._faults:
            return self._carry_out(request)
        fault = self._faults.popleft()
        if fault.is_carried_out:
            self._carry_out(request)
        return fault.reply

    def _carry_out(self, request: RestRequest) -> RestReply:
        user = self._user(request)
        if user is None:
            return _refusal(401, 20003, "Authenticate")
        path = urlsplit(request.target).path
        prefix, suffix = f"/2010-04-01/Accounts/{self.account_sid}/Calls/", ".json"
        call = self.calls.get(path[len(prefix) : -len(suffix)])
        if call is None or not path.startswith(prefix) or not path.endswith(suffix):
            return _refusal(404, 20404, f"The requested resource {path} was not found")
        if request.method == "GET":
            return self._described(call)
        if request.method != "POST":
            return _refusal(405, 20004, "Method not allowed")
        if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
            return _refusal(415, 20001, "Unsupported media type")
        return self._change(call, request.form)

    def _user(self, request: RestRequest) -> str | None:
        scheme, _, coded = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = b64decode(coded, validate=True).decode().partition(":")
        except ValueError:
            return None
        known = scheme.lower() == "basic" and self._passwords.get(user) == password
        return user if known else None

    def _change(self, call: RestCall, form: Mapping[str, str]) -> RestReply:
        if call.status != "in-progress":
            return _refusal(400, 21220, "Call is not in-progress. Cannot redirect.")
        document, status = form.get("Twiml"), form.get("Status")
        if (document is None) == (status is None) or "Url" in form:
            return _refusal(400, 21200, "A simulated call is changed by either Twiml or Status")
        if document is None:
            if status not in ("completed", "canceled"):
                return _refusal(400, 21200, f"Invalid Status: {status}")
            # Twilio ignores a cancellation of a call that was answered.
            return self._end(call, HangUp()) if status == "completed" else self._described(call)
        if len(document) > _LONGEST_TWIML:
            return _refusal(400, 21200, "Twiml is too long")
        try:
            answer = parse_answer(document)
        except RemoteProtocolError as error:
            # Twilio takes it; only its debugger says that the caller hears an application error.
            call.unusable = str(error)
            return self._end(call, HangUp())
        if isinstance(answer, StreamAnswer):
            return _refusal(400, 21200, "A simulated call does not begin a second stream")
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
        return _json(
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


def _refusal(status: int, code: int, message: str) -> RestReply:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return _json(status, {"code": code, "message": message, "more_info": more, "status": status})


def _json(status: int, body: Mapping[str, Any]) -> RestReply:
    return RestReply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
