"""Plivo's REST API: paths, which all end with ``/``, and what a refusal means.

``/v1/Account/{auth_id}/…`` takes and gives JSON. An error is ``{"api_id", "error"}``, and ``error`` may be
any JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from ..errors import AuthenticationError, PatterConfigError, PatterError, ProviderError, RateLimitError
from .plivo_ids import check_id, without_plus
from .rest import RestAnswer

__all__ = [
    "account_path",
    "application_path",
    "call_path",
    "number_path",
    "refusal_error",
    "request_path",
]

_SAID_LIMIT = 300
_APPLICATION_ID = re.compile(r"[0-9]{1,20}")
_GONE = 404


class _ErrorBody(msgspec.Struct):
    error: Any = None


def account_path(auth_id: str, resource: str = "") -> str:
    """The path of the account, or of what it has."""
    return f"/v1/Account/{auth_id}/{resource}"


def call_path(auth_id: str, call_id: str, part: str = "") -> str:
    """The path of one call, or of a part of it such as ``Record/``.

    Raises:
        PatterConfigError: ``call_id`` is none of theirs. Without an id, this is the path of all calls.
    """
    return account_path(auth_id, f"Call/{check_id(call_id)}/{part}")


def request_path(auth_id: str, request_id: str) -> str:
    """The path of a request to place a call.

    Raises:
        PatterConfigError: ``request_id`` is none of theirs.
    """
    return account_path(auth_id, f"Request/{check_id(request_id, 'request')}/")


def number_path(auth_id: str, number: str) -> str:
    """The path of a number of ours.

    Raises:
        PatterConfigError: it is no number.
    """
    return account_path(auth_id, f"Number/{without_plus(number)}/")


def application_path(auth_id: str, app_id: str) -> str:
    """The path of an application.

    Raises:
        PatterConfigError: ``app_id`` is none of theirs.
    """
    if not _APPLICATION_ID.fullmatch(app_id):
        raise PatterConfigError(
            f"{app_id[:40]!r} is not an application of Plivo's", hint="its ids are digits"
        )
    return account_path(auth_id, f"Application/{app_id}/")


def refusal_error(answer: RestAnswer, *, secrets: Iterable[str] = ()) -> PatterError:
    """The exception for a request that was not carried out; ``secrets`` are struck from what Plivo says."""
    if answer.status == 401:
        return AuthenticationError(
            "Plivo refused the credentials (401)", hint="check auth_id= with auth_token="
        )
    if answer.status == 429:
        after = answer.retry_after
        return RateLimitError(
            "Plivo asks for fewer requests (429)",
            hint=f"try again in {after} s" if after is not None else "try again in 5 s",
            retry_after=after,
        )
    words = _words(answer.body)
    for secret in secrets:
        words = words.replace(secret, "***")
    words = " ".join(words.split())[:_SAID_LIMIT]
    return ProviderError(
        f"Plivo refused: {words} ({answer.status})"
        if words
        else f"Plivo answered with an error ({answer.status})",
        hint="what was asked for is gone, a call may be over" if answer.status == _GONE else None,
    )


def _words(body: bytes) -> str:
    """What an error says; nothing, if it is not in their form (a page of something in between)."""
    try:
        said = msgspec.json.decode(body, type=_ErrorBody).error
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
    if said is None:
        return ""
    return said if isinstance(said, str) else msgspec.json.encode(said).decode()
