"""What Plivo's REST API answers: calls, recordings, numbers, applications and the account."""

from __future__ import annotations

import re
from typing import TypeVar

import attrs
import msgspec

from ..errors import RemoteProtocolError
from ..telephony import CallState, NumberRoute
from .plivo_ids import is_id, with_plus
from .plivo_webhooks import ENDED_AS

__all__ = [
    "Application",
    "read_account",
    "read_application",
    "read_applications",
    "read_new_application",
    "read_new_recording",
    "read_number_application",
    "read_our_number",
    "read_request_id",
    "read_state",
    "route_of",
]

_RECORDING_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_APPLICATION = re.compile(r"(?:.*/)?([0-9]{1,20})/?")

_Body = TypeVar("_Body")


class _New(msgspec.Struct):
    request_uuid: str


class _Recording(msgspec.Struct):
    recording_id: str


class _Call(msgspec.Struct):
    """A live call says ``call_status``, a record of one that is over ``call_state``."""

    call_uuid: str
    call_status: str | None = None
    call_state: str | None = None
    call_duration: int | None = None
    total_amount: str | float | None = None
    hangup_cause_name: str | None = None
    hangup_cause_code: int | str | None = None
    call_direction: str | None = None
    direction: str | None = None
    request_uuid: str | None = None
    caller: str | None = msgspec.field(default=None, name="from")
    callee: str | None = msgspec.field(default=None, name="to")
    from_number: str | None = None
    to_number: str | None = None


class _Account(msgspec.Struct):
    auth_id: str
    name: str | None = None


class _Number(msgspec.Struct):
    number: str
    application: str | None = None


class _NewApplication(msgspec.Struct):
    app_id: str


class _Application(msgspec.Struct):
    app_id: str
    app_name: str | None = None
    answer_url: str | None = None
    answer_method: str | None = None
    hangup_url: str | None = None
    hangup_method: str | None = None
    fallback_answer_url: str | None = None


class _Applications(msgspec.Struct):
    objects: list[_Application]


@attrs.frozen
class Application:
    """What a number points to."""

    app_id: str
    name: str = ""
    answer_url: str = ""
    answer_method: str = ""
    hangup_url: str = ""
    hangup_method: str = ""
    fallback_answer_url: str = ""


def read_request_id(body: bytes) -> str:
    """The id of a request to place a call.

    Raises:
        RemoteProtocolError: there is none. (The call may have been placed all the same.)
    """
    request_id = _decode(body, _New, "a call").request_uuid
    if not is_id(request_id):
        raise RemoteProtocolError("Plivo's answer does not describe a call")
    return request_id


def read_new_recording(body: bytes) -> str:
    """The id of a recording that was begun.

    Raises:
        RemoteProtocolError: the answer does not describe one.
    """
    recording_id = _decode(body, _Recording, "a recording").recording_id
    if not _RECORDING_ID.fullmatch(recording_id):
        raise RemoteProtocolError("Plivo's answer does not describe a recording")
    return recording_id


def read_state(body: bytes) -> CallState:
    """How a call stands, whether it is live or over.

    Raises:
        RemoteProtocolError: the answer does not describe a call.
    """
    call = _call(body)
    status = (call.call_state or call.call_status or "").lower()
    # The record of a call says ANSWER, BUSY, NO_ANSWER in some versions.
    status = {"answer": "completed", "answered": "completed"}.get(status, status.replace("_", "-"))
    cause = call.hangup_cause_name or ""
    code = f"({call.hangup_cause_code})" if call.hangup_cause_code else ""
    detail = ": ".join(part for part in (status, f"{cause} {code}".strip()) if part)[:80]
    if status in ENDED_AS:
        seconds = None if call.call_duration is None else float(call.call_duration)
        price = "" if call.total_amount is None else f"{call.total_amount} USD"
        return CallState("ended", ENDED_AS[status], detail, seconds, price)
    if status == "queued":
        return CallState("queued", detail=detail)
    if status in ("ringing", "early-media", "initiated"):
        return CallState("ringing", detail=detail)
    if status == "in-progress":
        return CallState("in_progress", detail=detail)
    raise RemoteProtocolError(f"Plivo says that a call is {status[:40]!r}")


def read_our_number(body: bytes) -> str:
    """Our side's number of a call, with its plus; empty if it has none (a SIP address).

    Raises:
        RemoteProtocolError: the answer does not describe a call.
    """
    call = _call(body)
    outbound = (call.direction or call.call_direction) == "outbound"
    ours = (call.caller or call.from_number) if outbound else (call.callee or call.to_number)
    number = with_plus((ours or "").removeprefix("+"))
    return number if number.startswith("+") else ""


def read_account(body: bytes, auth_id: str) -> str:
    """The account's name, or its id where it has none.

    Raises:
        RemoteProtocolError: the answer does not describe that account.
    """
    account = _decode(body, _Account, "an account")
    if account.auth_id != auth_id:
        raise RemoteProtocolError("Plivo's answer describes another account")
    return account.name or account.auth_id


def read_number_application(body: bytes, number: str) -> str:
    """The id of the application that a number points to, empty if there is none.

    Raises:
        RemoteProtocolError: the answer does not describe that number.
    """
    found = _decode(body, _Number, "a number")
    if found.number.removeprefix("+") != number.removeprefix("+"):
        raise RemoteProtocolError("Plivo's answer describes another number")
    if not found.application:
        return ""
    named = _APPLICATION.fullmatch(found.application)
    if named is None:
        raise RemoteProtocolError("Plivo's answer names an application without an id")
    return named[1]


def read_application(body: bytes) -> Application:
    """An application.

    Raises:
        RemoteProtocolError: the answer does not describe one.
    """
    return _application(_decode(body, _Application, "an application"))


def read_applications(body: bytes) -> list[Application]:
    """A page of a list of applications.

    Raises:
        RemoteProtocolError: the answer is no such list.
    """
    return [_application(each) for each in _decode(body, _Applications, "applications").objects]


def read_new_application(body: bytes) -> str:
    """The id of an application that was made.

    Raises:
        RemoteProtocolError: the answer does not describe one.
    """
    return _decode(body, _NewApplication, "an application").app_id


def route_of(number: str, application: Application | None) -> NumberRoute:
    """Where a number's calls go: at Plivo, to the addresses of its application."""
    if application is None:
        return NumberRoute(number)
    fields = attrs.asdict(application)
    previous = {"app_id": fields.pop("app_id"), "app_name": fields.pop("name"), **fields}
    return NumberRoute(number, application.answer_url, application.hangup_url, previous=previous)


def _application(found: _Application) -> Application:
    return Application(
        found.app_id,
        found.app_name or "",
        found.answer_url or "",
        found.answer_method or "",
        found.hangup_url or "",
        found.hangup_method or "",
        found.fallback_answer_url or "",
    )


def _call(body: bytes) -> _Call:
    call = _decode(body, _Call, "a call")
    if not is_id(call.call_uuid):
        raise RemoteProtocolError("Plivo's answer does not describe a call")
    return call


def _decode(body: bytes, shape: type[_Body], what: str) -> _Body:
    try:
        return msgspec.json.decode(body, type=shape, strict=False)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise RemoteProtocolError(f"Plivo's answer does not describe {what}") from error
