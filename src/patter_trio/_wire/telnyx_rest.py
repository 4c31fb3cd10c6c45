"""Telnyx's REST API, Call Control: paths, the bodies of commands, and what an answer means.

``POST {base}/v2/calls`` dials, ``POST {base}/v2/calls/{call_control_id}/actions/{action}`` commands a leg.
Success is ``{"data": {…}}``, a refusal ``{"errors": [{"code", "title", "detail"}]}`` with codes as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from ..errors import (
    AuthenticationError,
    PatterConfigError,
    PatterError,
    ProviderError,
    RateLimitError,
    RemoteProtocolError,
)
from ..events import AudioFormat
from ..telephony import CallOrder, CallState, StreamOrder, TransferOrder
from .rest import RestAnswer
from .telnyx import CALL_CONTROL_ID, CODECS
from .telnyx_state import LegState, write_state

__all__ = [
    "CallOverError",
    "action_path",
    "answer_body",
    "briefing_body",
    "call_path",
    "check_digits",
    "check_number",
    "dial_body",
    "read_call_state",
    "read_data",
    "refusal_error",
    "streaming_body",
    "transfer_body",
]

_ALREADY_OVER = "90018"

_ADVICE = {
    "90014": "keys are 0-9 A-D * #, w and W",
    "90015": "the call is not one of this account",
    "90018": "the call is over",
    "90020": "nothing can be recorded before the call has sound",
    "90034": "the call is not answered yet",
    "90041": "the account's limit of calls at once is reached",
    "90042": "the account's limit of calls at once is reached",
    "90043": "the account's limit of calls at once is reached",
    "90045": "the call has a stream already",
    "90102": "a call of ours cannot be answered",
    "10016": "numbers are E.164, like +15550001234",
}
_TOO_MANY = frozenset({"10011", "90103"})
_CREDENTIALS = frozenset({"10009", "10010", "20002", "20012", "20013"})
_CALL_CONTROL_ID = re.compile(CALL_CONTROL_ID)
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SIP = re.compile(r"sips?:[^\s<>\"]{1,250}")
_DIGITS = re.compile(r"[0-9A-D*#wW]{1,64}")
_RING_SECONDS = range(5, 601)
_MAX_SECONDS = range(60, 14401)
_LONGEST_URL = 2000
_SAID_LIMIT = 300
_NAMES = {encoding: name for name, encoding in CODECS.items()}

_Data = TypeVar("_Data")


class CallOverError(ProviderError):
    """The call that was to do something has ended."""


class _ErrorItem(msgspec.Struct):
    code: str = ""
    title: str = ""
    detail: str = ""


class _Errors(msgspec.Struct):
    errors: list[_ErrorItem] = []


class _Leg(msgspec.Struct):
    is_alive: bool
    call_duration: int | None = None
    end_time: str | None = None


# --- what is asked ------------------------------------------------------------------------------------------


def call_path(call_id: str) -> str:
    """The path of one leg.

    Raises:
        PatterConfigError: ``call_id`` is none of theirs.
    """
    if not _CALL_CONTROL_ID.match(call_id):
        raise PatterConfigError(f"{call_id[:40]!r} is not a call of Telnyx's", hint="like v3:…")
    return f"/v2/calls/{quote(call_id, safe='')}"


def action_path(call_id: str, action: str) -> str:
    """The path of a command to one leg."""
    return f"{call_path(call_id)}/actions/{action}"


def check_number(number: str, name: str = "number", *, sip: bool = True) -> str:
    """A number that can be called.

    Raises:
        PatterConfigError: it is none.
    """
    if not (_E164.fullmatch(number) or (sip and _SIP.fullmatch(number))):
        raise PatterConfigError(
            f"{name}={number[:40]!r} cannot be called", hint="E.164, like +15550001234" + (", or sip:…" * sip)
        )
    return number


def check_digits(digits: str) -> str:
    """Keys that can be pressed.

    Raises:
        PatterConfigError: there are none, more than 64, or others.
    """
    if not _DIGITS.fullmatch(digits):
        raise PatterConfigError(
            f"{digits[:80]!r} cannot be pressed",
            hint="1 to 64 of 0-9 A-D * #, w for half a second, W for one",
        )
    return digits


def streaming_body(url: str, audio: AudioFormat, *, with_rate: bool) -> dict[str, Any]:
    """The fields that open a two-way stream in one format.

    Args:
        url: the socket's address.
        audio: the format, both ways.
        with_rate: whether the command knows the rate of what we send; 8 kHz is what it is without.

    Raises:
        PatterConfigError: the address is not one.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("wss", "ws") or not parts.hostname or len(url) > _LONGEST_URL:
        raise PatterConfigError(
            f"a stream cannot go to {url[:80]!r}", hint="wss://…, at most 2000 characters"
        )
    codec = _NAMES[audio.encoding]
    body: dict[str, Any] = {
        "stream_url": url,
        "stream_track": "inbound_track",
        "stream_codec": codec,
        "stream_bidirectional_mode": "rtp",
        "stream_bidirectional_codec": codec,
        # Without it the caller may hear nothing: the default is not documented.
        "stream_bidirectional_target_legs": "self",
    }
    if with_rate:
        body["stream_bidirectional_sampling_rate"] = audio.sample_rate
    return body


def dial_body(order: CallOrder, connection_id: str, audio: AudioFormat, detection: str) -> dict[str, Any]:
    """The body that places a call.

    Raises:
        PatterConfigError: something of the order cannot be.
    """
    _check_range("ring_seconds", order.ring_seconds, _RING_SECONDS)
    state = LegState("out", parameters=dict(order.stream.parameters))
    body: dict[str, Any] = {
        "connection_id": connection_id,
        "from": check_number(order.caller_id, "caller_id", sip=False),
        "to": check_number(order.to, "to"),
        "timeout_secs": order.ring_seconds,
        "client_state": write_state(state),
        "webhook_url": order.stream.links.webhook("status"),
        "webhook_url_method": "POST",
        "send_silence_when_idle": True,
        **streaming_body(order.stream.url, audio, with_rate=True),
    }
    if order.machine_detection:
        body["answering_machine_detection"] = detection
    if order.max_seconds is not None:
        _check_range("max_seconds", order.max_seconds, _MAX_SECONDS)
        body["time_limit_secs"] = order.max_seconds
    if order.send_digits:
        body["send_digits_on_answer"] = check_digits(order.send_digits)
    if order.record:
        body |= {"record": "record-from-answer", "record_channels": "dual", "record_format": "wav"}
    return body


def answer_body(stream: StreamOrder, audio: AudioFormat) -> dict[str, Any]:
    """The body that answers a call and opens its stream.

    A rate other than 8 kHz is sent along: only implementations show that the command takes it.
    """
    state = LegState("in", parameters=dict(stream.parameters))
    return {
        "client_state": write_state(state),
        "webhook_url": stream.links.webhook("status"),
        "webhook_url_method": "POST",
        "send_silence_when_idle": True,
        **streaming_body(stream.url, audio, with_rate=audio.sample_rate != 8000),
    }


def transfer_body(call_id: str, order: TransferOrder) -> dict[str, Any]:
    """The body that connects a call to somebody else at once.

    Raises:
        PatterConfigError: something of the order cannot be.
    """
    _check_range("ring_seconds", order.ring_seconds, _RING_SECONDS)
    body: dict[str, Any] = {
        "to": check_number(order.number),
        "timeout_secs": order.ring_seconds,
        "target_leg_client_state": write_state(LegState("cold", caller=call_id)),
        "webhook_url": order.links.webhook("leg"),
        "webhook_url_method": "POST",
    }
    if order.caller_id:
        body["from"] = check_number(order.caller_id, "caller_id", sip=False)
    return body


def briefing_body(call_id: str, order: TransferOrder, connection_id: str, caller_id: str) -> dict[str, Any]:
    """The body that calls a human who is told of a call before they are connected.

    Raises:
        PatterConfigError: something of the order cannot be.
    """
    _check_range("ring_seconds", order.ring_seconds, _RING_SECONDS)
    state = LegState("briefing", caller=call_id, text=order.summary, language=order.language)
    return {
        "connection_id": connection_id,
        "from": check_number(caller_id, "caller_id", sip=False),
        "to": check_number(order.number),
        "timeout_secs": order.ring_seconds,
        "link_to": call_id,
        "client_state": write_state(state),
        "webhook_url": order.links.webhook("leg"),
        "webhook_url_method": "POST",
    }


def _check_range(name: str, value: int, allowed: range) -> None:
    if value not in allowed:
        raise PatterConfigError(f"{name}={value!r} must be {allowed[0]} to {allowed[-1]}")


# --- what is answered ---------------------------------------------------------------------------------------


def read_data(answer: RestAnswer, kind: type[_Data], what: str) -> _Data:
    """The ``data`` of an answer.

    Raises:
        RemoteProtocolError: it is not what such an answer has.
    """
    try:
        raw = msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])["data"]
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, KeyError) as error:
        raise RemoteProtocolError(f"Telnyx's answer does not describe {what}") from error


def read_call_state(answer: RestAnswer) -> CallState:
    """How a leg stands. How it ended is not in it: one that lasted counts as completed.

    Raises:
        RemoteProtocolError: the answer does not describe a call.
    """
    leg = read_data(answer, _Leg, "a call")
    seconds = None if leg.call_duration is None else float(leg.call_duration)
    if leg.is_alive:
        return CallState("in_progress" if seconds else "ringing", seconds=seconds)
    if leg.end_time is None:
        return CallState("queued", seconds=seconds)
    detail = "the carrier does not say how"
    return CallState("ended", "completed" if seconds else "no_answer", detail, seconds)


def refusal_error(answer: RestAnswer, *, secrets: Iterable[str] = ()) -> PatterError:
    """The exception for a request that was not carried out; ``secrets`` are struck from what Telnyx says."""
    errors = _read_errors(answer.body)
    codes = [each.code for each in errors if each.code]
    numbers = ", ".join([str(answer.status), *codes])
    if answer.status in (401, 403) or _CREDENTIALS.intersection(codes):
        return AuthenticationError(
            f"Telnyx refused the key ({numbers})", hint="check api_key= or TELNYX_API_KEY, and what it may do"
        )
    if answer.status == 429 or _TOO_MANY.intersection(codes):
        after = answer.retry_after
        return RateLimitError(
            f"Telnyx asks for fewer requests ({numbers})",
            hint=f"try again in {after} s" if after is not None else "try again later",
            retry_after=after,
        )
    words = "; ".join(": ".join(part for part in (each.title, each.detail) if part) for each in errors)
    for secret in secrets:
        words = words.replace(secret, "***")
    words = " ".join(words.split())[:_SAID_LIMIT]
    advice = next((_ADVICE[code] for code in codes if code in _ADVICE), None)
    kind = CallOverError if _ALREADY_OVER in codes else ProviderError
    return kind(
        f"Telnyx refused: {words} ({numbers})" if words else f"Telnyx answered with an error ({numbers})",
        hint=advice,
    )


def _read_errors(body: bytes) -> list[_ErrorItem]:
    """What an error says; nothing, if it is not in their form (a page of something in between)."""
    try:
        return msgspec.json.decode(body, type=_Errors, strict=False).errors
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return []
