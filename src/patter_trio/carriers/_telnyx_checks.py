"""What the settings of Telnyx must be."""

from __future__ import annotations

import importlib.util
import os
import re
from typing import Any
from urllib.parse import urlsplit

import attrs

from .._wire.signatures_telnyx import read_telnyx_key
from .._wire.telnyx import CODECS
from ..errors import MissingExtraError, PatterConfigError

__all__ = [
    "api_key",
    "check_base_url",
    "check_choice",
    "check_positive",
    "check_rate",
    "check_retired",
    "check_text",
    "connection_id",
    "public_key",
    "require_cryptography",
]

_CONNECTION_ID = re.compile(r"[0-9]{1,32}")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def api_key(given: str | None) -> str:
    """The key of the REST API, given or of the environment."""
    key = given or os.environ.get("TELNYX_API_KEY")
    if not key:
        raise PatterConfigError(
            "Telnyx needs an API key: calls are answered by its API",
            hint="pass api_key= or set TELNYX_API_KEY",
        )
    return key


def connection_id(given: str | None) -> str:
    """The application, given or of the environment."""
    application = given or os.environ.get("TELNYX_CONNECTION_ID")
    if not application or not _CONNECTION_ID.fullmatch(application):
        raise PatterConfigError(
            "Telnyx needs the id of a Call Control application, which is a number",
            hint="pass connection_id= or set TELNYX_CONNECTION_ID as the portal shows it",
        )
    return application


def public_key(given: str | None) -> str:
    """The account's public key, given or of the environment."""
    key = given or os.environ.get("TELNYX_PUBLIC_KEY")
    if not key:
        raise PatterConfigError(
            "Telnyx needs the account's public key: without it no webhook can be verified",
            hint="pass public_key= or set TELNYX_PUBLIC_KEY; the portal shows it under Keys & Credentials",
        )
    _check_key("public_key", key)
    return key


def check_retired(telnyx: object, attribute: attrs.Attribute[tuple[str, ...]], value: object) -> None:
    """``retired_public_keys``."""
    if not isinstance(value, tuple):
        raise PatterConfigError(f"{attribute.name} must be a tuple of keys")
    for key in value:
        _check_key(attribute.name, key)


def _check_key(name: str, key: object) -> None:
    try:
        read_telnyx_key(key if isinstance(key, str) else "")
    except ValueError as error:
        raise PatterConfigError(
            f"{name} is {error}", hint="copy the key as the portal shows it: 44 characters that end with ="
        ) from error


def check_base_url(telnyx: object, attribute: attrs.Attribute[str], value: object) -> None:
    """``base_url``."""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    is_address = host and parts.scheme in ("http", "https") and "@" not in parts.netloc
    if not is_address or parts.query or parts.fragment or parts.path.strip("/"):
        # Not shown: it may hold credentials.
        raise PatterConfigError(
            "base_url must be a web address and no more", hint="like https://api.telnyx.com, without /v2"
        )
    if parts.scheme == "http" and host not in _THIS_MACHINE:
        raise PatterConfigError("base_url must be https://: the key goes there")


def check_positive(telnyx: object, attribute: attrs.Attribute[float], value: object) -> None:
    """``timeout`` and ``calls_per_second``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise PatterConfigError(f"{attribute.name}={value!r} must be above 0")


def check_choice(*choices: str) -> Any:
    """One of several words."""

    def check(telnyx: object, attribute: attrs.Attribute[str], value: object) -> None:
        if value not in choices:
            raise PatterConfigError(f"{attribute.name}={value!r} must be one of {', '.join(choices)}")

    return check


def check_text(telnyx: object, attribute: attrs.Attribute[str], value: object) -> None:
    """``voice``."""
    if not isinstance(value, str) or not value.strip():
        raise PatterConfigError(f"{attribute.name}={value!r} must be text")


def check_rate(codec: str, sample_rate: object) -> None:
    """``codec`` with ``sample_rate``."""
    if codec not in CODECS:
        raise PatterConfigError(f"codec={codec!r} must be one of {', '.join(CODECS)}")
    allowed = (8000, 16000) if codec == "L16" else (8000,)
    if isinstance(sample_rate, bool) or sample_rate not in allowed:
        raise PatterConfigError(
            f"sample_rate={sample_rate!r} cannot be had with {codec}", hint=" or ".join(map(str, allowed))
        )


def require_cryptography() -> None:
    """The package that knows Ed25519."""
    if importlib.util.find_spec("cryptography") is None:
        raise MissingExtraError(
            "Telnyx signs its webhooks with Ed25519, which needs the package cryptography",
            hint="pip install 'patter-trio[telnyx]'",
        )
