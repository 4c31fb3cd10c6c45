"""What the settings of Twilio must be."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import attrs

from .._wire.twiml_rules import THIS_MACHINE
from ..errors import PatterConfigError

__all__ = [
    "account_sid",
    "auth_token",
    "check_base_url",
    "check_key",
    "check_keys",
    "check_rate",
    "check_retired",
    "check_seconds",
]

_ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")
_API_KEY = re.compile(r"SK[0-9a-f]{32}")


def account_sid(given: str | None) -> str | None:
    """The account, given or of the environment."""
    sid = given or os.environ.get("TWILIO_ACCOUNT_SID") or None
    if sid is not None and not _ACCOUNT_SID.fullmatch(sid):
        raise PatterConfigError(
            "a Twilio account SID is AC and 32 hexadecimal digits",
            hint="pass account_sid= or set TWILIO_ACCOUNT_SID as the console shows it",
        )
    return sid


def auth_token(given: str | None) -> str:
    """The token, given or of the environment."""
    token = given or os.environ.get("TWILIO_AUTH_TOKEN")
    if not token:
        raise PatterConfigError(
            "Twilio needs the account's auth token: without it no webhook can be verified",
            hint="pass auth_token= or set TWILIO_AUTH_TOKEN; an API key cannot take its place",
        )
    return token


def check_retired(twilio: object, attribute: attrs.Attribute[tuple[str, ...]], value: object) -> None:
    """``retired_auth_tokens``."""
    if not isinstance(value, tuple) or not all(isinstance(token, str) and token for token in value):
        raise PatterConfigError(f"{attribute.name} must be a tuple of tokens that are not empty")


def check_keys(twilio: object, attribute: attrs.Attribute[Mapping[str, str]], value: object) -> None:
    """``shared_keys``."""
    if not isinstance(value, Mapping) or not all(key and secret for key, secret in value.items()):
        raise PatterConfigError(f"{attribute.name} must map ids of keys to their secrets")


def check_base_url(twilio: object, attribute: attrs.Attribute[str], value: object) -> None:
    """``base_url``."""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if (
        not host
        or parts.scheme not in ("http", "https")
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        # Not shown: it may hold credentials.
        raise PatterConfigError(
            "base_url must be a web address and no more", hint="like https://api.twilio.com"
        )
    if parts.scheme == "http" and host not in THIS_MACHINE:
        raise PatterConfigError("base_url must be https://: the credentials go there")


def check_seconds(twilio: object, attribute: attrs.Attribute[float], value: object) -> None:
    """``timeout``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise PatterConfigError(f"timeout={value!r} must be seconds above 0")


def check_rate(twilio: object, attribute: attrs.Attribute[float], value: object) -> None:
    """``calls_per_second``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise PatterConfigError(f"calls_per_second={value!r} must be above 0")


def check_key(api_key: str, api_secret: str) -> None:
    """``api_key`` with ``api_secret``: both or none."""
    if bool(api_key) != bool(api_secret):
        raise PatterConfigError(
            "an API key works with its secret only",
            hint="pass api_key= and api_secret=, or set TWILIO_API_KEY and TWILIO_API_SECRET",
        )
    if api_key and not _API_KEY.fullmatch(api_key):
        raise PatterConfigError("an API key of Twilio's is SK and 32 hexadecimal digits")
