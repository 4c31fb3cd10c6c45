"""What Twilio's REST API answers: calls, recordings, numbers and the account, as far as we read them."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from ..errors import ProviderError, RemoteProtocolError
from ..telephony import CallState, NumberRoute
from .twilio import CALL_SID
from .twilio_webhooks import ENDED_AS
from .twiml_rules import is_number

__all__ = [
    "read_account",
    "read_new_call",
    "read_new_recording",
    "read_number",
    "read_our_number",
    "read_route",
    "read_state",
]

_CALL_SID = re.compile(CALL_SID)
_RECORDING_SID = re.compile(r"RE[0-9a-f]{32}")
_NUMBER_SID = re.compile(r"PN[0-9a-f]{32}")
_QUEUED = ("queued", "initiated")

_Body = TypeVar("_Body")


class _New(msgspec.Struct):
    sid: str


class _Call(msgspec.Struct):
    sid: str
    status: str
    duration: str | int | None = None
    price: str | None = None
    price_unit: str | None = None
    direction: str | None = None
    caller: str | None = msgspec.field(default=None, name="from")
    callee: str | None = msgspec.field(default=None, name="to")


class _Account(msgspec.Struct):
    sid: str
    friendly_name: str = ""
    status: str = "active"


class _Number(msgspec.Struct):
    sid: str
    phone_number: str
    voice_url: str | None = None
    voice_method: str | None = None
    voice_fallback_url: str | None = None
    status_callback: str | None = None
    status_callback_method: str | None = None
    voice_application_sid: str | None = None
    trunk_sid: str | None = None


class _Numbers(msgspec.Struct):
    incoming_phone_numbers: list[_Number]


def read_new_call(body: bytes) -> str:
    """The id of a call that was placed.

    Raises:
        RemoteProtocolError: the answer does not describe one. (It may have been placed all the same.)
    """
    sid = _decode(body, _New, "a call").sid
    if not _CALL_SID.match(sid):
        raise RemoteProtocolError("Twilio's answer does not describe a call")
    return sid


def read_new_recording(body: bytes) -> str:
    """The id of a recording that was begun.

    Raises:
        RemoteProtocolError: the answer does not describe one.
    """
    sid = _decode(body, _New, "a recording").sid
    if not _RECORDING_SID.fullmatch(sid):
        raise RemoteProtocolError("Twilio's answer does not describe a recording")
    return sid


def read_state(body: bytes, call_id: str) -> CallState:
    """How a call stands.

    Raises:
        RemoteProtocolError: the answer does not describe that call.
    """
    call = _decode(body, _Call, "a call")
    if call.sid != call_id:
        raise RemoteProtocolError("Twilio's answer describes another call")
    price = f"{call.price} {call.price_unit or ''}".strip() if call.price else ""
    if call.status in ENDED_AS:
        duration = str(call.duration or "")
        seconds = float(duration) if re.fullmatch("[0-9]{1,9}", duration) else None
        return CallState("ended", ENDED_AS[call.status], call.status, seconds, price)
    if call.status in _QUEUED:
        return CallState("queued", detail=call.status, price=price)
    if call.status == "ringing":
        return CallState("ringing", detail=call.status, price=price)
    if call.status == "in-progress":
        return CallState("in_progress", detail=call.status, price=price)
    raise RemoteProtocolError(f"Twilio says that a call is {call.status[:40]!r}")


def read_our_number(body: bytes, call_id: str) -> str:
    """Our side's number of a call, empty if it has none (a SIP address).

    Raises:
        RemoteProtocolError: the answer does not describe that call.
    """
    call = _decode(body, _Call, "a call")
    if call.sid != call_id:
        raise RemoteProtocolError("Twilio's answer describes another call")
    ours = call.caller if (call.direction or "").startswith("outbound") else call.callee
    return ours if ours and is_number(ours) else ""


def read_account(body: bytes, account_sid: str) -> str:
    """The account's name, or its id where it has none.

    Raises:
        RemoteProtocolError: the answer does not describe that account.
        ProviderError: the account is suspended or closed.
    """
    account = _decode(body, _Account, "an account")
    if account.sid != account_sid:
        raise RemoteProtocolError("Twilio's answer describes another account")
    if account.status != "active":
        raise ProviderError(f"Twilio says that the account is {account.status[:40]}", hint="see its console")
    return account.friendly_name or account.sid


def read_number(body: bytes, number: str) -> tuple[str, NumberRoute]:
    """The id of a number in a list of them, and where its calls go.

    Raises:
        ProviderError: the list does not hold it.
        RemoteProtocolError: the answer is no such list.
    """
    for found in _decode(body, _Numbers, "a list of numbers").incoming_phone_numbers:
        if found.phone_number == number:
            return _checked(found).sid, _route(found)
    raise ProviderError(
        f"the account has no number {number}", hint="buy it in the console, or check account_sid="
    )


def read_route(body: bytes, number_sid: str) -> NumberRoute:
    """Where a number's calls go, from the answer to a change of it.

    Raises:
        RemoteProtocolError: the answer does not describe that number.
    """
    found = _decode(body, _Number, "a number")
    if found.sid != number_sid:
        raise RemoteProtocolError("Twilio's answer describes another number")
    return _route(found)


def _checked(number: _Number) -> _Number:
    if not _NUMBER_SID.fullmatch(number.sid):
        raise RemoteProtocolError("Twilio's answer does not describe a number")
    return number


def _route(number: _Number) -> NumberRoute:
    previous = {
        field: getattr(number, field) or ""
        for field in number.__struct_fields__
        if field not in ("sid", "phone_number")
    }
    # A trunk goes before an application, and both before the address.
    taken_by = ""
    if number.trunk_sid:
        taken_by = f"trunk {number.trunk_sid}"
    elif number.voice_application_sid:
        taken_by = f"application {number.voice_application_sid}"
    return NumberRoute(
        number.phone_number,
        voice_url="" if taken_by else number.voice_url or "",
        status_url=number.status_callback or "",
        taken_by=taken_by,
        previous=previous,
    )


def _decode(body: bytes, shape: type[_Body], what: str) -> _Body:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise RemoteProtocolError(f"Twilio's answer does not describe {what}") from error
