"""Twilio's REST API: paths, and what a refusal means.

``POST {base}/2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}.json`` with a form changes a call:
``Twiml=…`` abandons what it does (a media stream ends with ``stop``) and follows that document,
``Status=completed`` hangs up. The answer is the call as JSON, or
``{"code", "message", "more_info", "status"}``; a newer form of the latter (RFC 9457) has ``title`` and
``detail`` in place of ``message``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from ..errors import (
    AuthenticationError,
    PatterConfigError,
    PatterError,
    ProviderError,
    RateLimitError,
    RemoteProtocolError,
)
from .rest import RestAnswer
from .twilio import CALL_SID

__all__ = [
    "ALREADY_OVER",
    "ENDED",
    "account_path",
    "call_path",
    "check_call_id",
    "read_status",
    "recording_path",
    "refusal_code",
    "refusal_error",
]

ALREADY_OVER = (20404, 21220)
"""Codes for a call that ended before it could be changed: it is forgotten, or not in progress."""

ENDED = ("completed", "busy", "failed", "no-answer", "canceled")
"""The states of a call that is over."""

_CALL_SID = re.compile(CALL_SID)
_RECORDING_SID = re.compile(r"RE[0-9a-f]{32}")
_TOO_MANY = 20429
_CREDENTIALS = range(20003, 20010)  # of the codes that come with 403; others are about numbers and countries
_SAID_LIMIT = 300


class _CallBody(msgspec.Struct):
    sid: str
    status: str


class _ErrorBody(msgspec.Struct):
    code: int | None = None
    message: str | None = None
    title: str | None = None
    detail: str | None = None


def refusal_code(answer: RestAnswer) -> int | None:
    """Twilio's own code of an error."""
    return _read_error(answer.body).code


def check_call_id(call_id: str) -> None:
    """Refuses what is no call.

    Raises:
        PatterConfigError: ``call_id`` is none of theirs.
    """
    if not _CALL_SID.match(call_id):
        raise PatterConfigError(
            f"{call_id[:40]!r} is not a call of Twilio's", hint="CA and 32 hexadecimal digits"
        )


def call_path(account_sid: str, call_id: str) -> str:
    """The path of one call.

    Raises:
        PatterConfigError: ``call_id`` is none of theirs.
    """
    check_call_id(call_id)
    return f"{account_path(account_sid)}/Calls/{call_id}.json"


def account_path(account_sid: str) -> str:
    """What all paths of an account begin with."""
    return f"/2010-04-01/Accounts/{account_sid}"


def recording_path(account_sid: str, call_id: str, recording_id: str = "") -> str:
    """The path of a call's recordings, or of one of them.

    Raises:
        PatterConfigError: the call or the recording is none of theirs.
    """
    recordings = call_path(account_sid, call_id).removesuffix(".json") + "/Recordings"
    if not recording_id:
        return f"{recordings}.json"
    if not _RECORDING_SID.fullmatch(recording_id):
        raise PatterConfigError(
            f"{recording_id[:40]!r} is not a recording of Twilio's", hint="RE and 32 hexadecimal digits"
        )
    return f"{recordings}/{recording_id}.json"


def read_status(body: bytes, call_id: str) -> str:
    """The state of a call, from the answer to a request about it.

    Raises:
        RemoteProtocolError: the answer does not describe that call.
    """
    try:
        call = msgspec.json.decode(body, type=_CallBody)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise RemoteProtocolError("Twilio's answer does not describe a call") from error
    if call.sid != call_id:
        raise RemoteProtocolError("Twilio's answer describes another call")
    return call.status


def refusal_error(answer: RestAnswer, *, secrets: Iterable[str] = ()) -> PatterError:
    """The exception for a request that was not carried out; ``secrets`` are struck from what Twilio says."""
    said = _read_error(answer.body)
    numbers = f"{answer.status}, {said.code}" if said.code else str(answer.status)
    if (
        answer.status == 401
        or said.code == 20003
        or (answer.status == 403 and said.code in (None, *_CREDENTIALS))
    ):
        return AuthenticationError(
            f"Twilio refused the credentials ({numbers})",
            hint="check account_sid= with auth_token=, or api_key= with api_secret=; each region has its own",
        )
    if answer.status == 429 or said.code == _TOO_MANY:
        after = answer.retry_after
        return RateLimitError(
            f"Twilio asks for fewer requests ({numbers})",
            hint=f"try again in {after} s" if after is not None else "try again later",
            retry_after=after,
        )
    words = said.message or ": ".join(part for part in (said.title, said.detail) if part)
    for secret in secrets:
        words = words.replace(secret, "***")
    words = " ".join(words.split())[:_SAID_LIMIT]
    return ProviderError(
        f"Twilio refused: {words} ({numbers})" if words else f"Twilio answered with an error ({numbers})",
        hint="the call is over" if said.code in ALREADY_OVER else None,
    )


def _read_error(body: bytes) -> _ErrorBody:
    """What an error says; nothing, if it is not in their form (a page of something in between)."""
    try:
        return msgspec.json.decode(body, type=_ErrorBody)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _ErrorBody()
