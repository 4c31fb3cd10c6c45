"""What the doctor is asked to look at, and which carrier that means."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping

import attrs

from ..abc import Carrier
from ..errors import PatterConfigError
from .findings import Finding

__all__ = ["CARRIERS", "Case", "Tell", "find_carrier", "last_four"]

Tell = Callable[[Finding], None]
"""Takes each finding as soon as there is one."""


@attrs.frozen
class Variables:
    """The names under which a carrier's credentials stand in the environment."""

    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()


CARRIERS: Mapping[str, Variables] = {
    "twilio": Variables(("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"), ("TWILIO_API_KEY", "TWILIO_API_SECRET")),
    "telnyx": Variables(("TELNYX_API_KEY", "TELNYX_PUBLIC_KEY"), ("TELNYX_CONNECTION_ID",)),
    "plivo": Variables(("PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN")),
}

_SHOWN = 4
_LONG_ENOUGH = 16


@attrs.frozen(kw_only=True)
class Case:
    """What is looked at.

    Args:
        kind: the carrier's; empty for the one whose credentials are in the environment.
        number: our number, E.164.
        webhook_url: our public base URL, normalised.
        host: where the session listens, or is to listen while we look.
        port: its port.
        fix: say what could be put right.
        configure_number: do it.
    """

    kind: str = ""
    number: str = ""
    webhook_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    fix: bool = False
    configure_number: bool = False


def find_carrier(case: Case, tell: Tell) -> Carrier | None:
    """The carrier with the credentials of the environment; tells which those are, or which are missing."""
    kind = case.kind
    if not kind:
        kinds = [name for name, known in CARRIERS.items() if any(map(os.environ.get, known.needed))]
        if len(kinds) != 1:
            text = "there are credentials of " + " and ".join(kinds) if kinds else "there are none"
            pairs = "; ".join(" and ".join(known.needed) for known in CARRIERS.values())
            advice = "say which with --carrier" if kinds else f"set {pairs}"
            tell(Finding("credentials", "failed", f"{text} in the environment", advice))
            return None
        (kind,) = kinds
    known = CARRIERS[kind]
    missing = [name for name in known.needed if not os.environ.get(name)]
    if missing:
        tell(Finding("credentials", "failed", f"{' and '.join(missing)} not set", _where(kind)))
        return None
    try:
        carrier: Carrier = importlib.import_module(f"patter_trio.carriers.{kind}").Carrier()
    except ModuleNotFoundError as error:
        tell(Finding("credentials", "failed", f"{kind} cannot be used: {error}", "install that package"))
        return None
    except PatterConfigError as error:
        tell(Finding("credentials", "failed", str(error), _where(kind)))
        return None
    names = [name for name in (*known.needed, *known.optional) if os.environ.get(name)]
    shown = ", ".join(f"{name} {last_four(os.environ[name])}" for name in names)
    tell(Finding("credentials", "ok", shown))
    return carrier


def last_four(secret: str) -> str:
    """As much of a secret as may be shown: its end, and of a short one nothing."""
    return f"…{secret[-_SHOWN:]}" if len(secret) >= _LONG_ENOUGH else "(short)"


def _where(kind: str) -> str:
    return f"copy them from the console of {kind.title()}"
