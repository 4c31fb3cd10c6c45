"""What the carrier says of our account, our number and the time."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import httpx2

from .._foreign import foreign
from .._server.number import describe_route, route_here, voice_url
from .._wall import wall_time
from ..abc import Carrier, LiveCarrier
from ..errors import AuthenticationError, PatterConnectionError, PatterError, ProviderError
from .case import Case, Tell
from .findings import Finding

__all__ = ["look_at_account", "look_at_clock", "look_at_number"]

_SKEW_SEEN = 30.0
# Telnyx and its SDKs take a webhook's timestamp that is at most this old (or that much ahead).
_SKEW_FATAL = {"telnyx": 300.0}


async def look_at_account(live: LiveCarrier, tell: Tell) -> bool:
    """Whether the carrier takes the credentials."""
    try:
        with foreign(ProviderError, "the question"):
            name = await live.check()
    except ProviderError as error:
        tell(_account_trouble(_cause(error)))
        return False
    tell(Finding("account", "ok", f"the carrier knows us as {name!r}"))
    return True


def _account_trouble(error: PatterError) -> Finding:
    if isinstance(error, AuthenticationError):
        advice = "copy the credentials from the carrier's console again; were they revoked?"
        return Finding("account", "failed", f"the carrier refuses the credentials: {error}", advice)
    if isinstance(error, PatterConnectionError):
        advice = "is this machine on the internet? Look at proxies and firewalls for outgoing HTTPS"
        return Finding("account", "failed", f"the carrier cannot be reached: {error}", advice)
    return Finding("account", "failed", f"the carrier does not say who we are: {error}", "try again later")


async def look_at_number(case: Case, kind: str, live: LiveCarrier, base_url: str, tell: Tell) -> None:
    """Whether the number is ours and where its calls go; has them come here when that was asked for."""
    if not case.number:
        tell(Finding("number", "skipped", "no number was given", "name it with --number +15550001234"))
        return
    try:
        with foreign(ProviderError, "the question"):
            route = await live.read_number(case.number)
    except ProviderError as error:
        tell(_number_trouble(case.number, _cause(error)))
        return
    goes = f"calls to {case.number} go to {describe_route(route)}"
    if not base_url:
        tell(Finding("number", "warning", goes, "name our public address with --webhook-url to compare"))
        return
    here = voice_url(base_url, kind)
    if route.voice_url == here:
        tell(Finding("number", "ok", goes))
    elif case.configure_number:
        await _route(case.number, here, describe_route(route, in_full=True), live, tell)
    elif case.fix:
        advice = f"with --configure-number it would be set to {here}; nothing was changed"
        tell(Finding("number", "warning", f"{goes}, not here", advice))
    else:
        advice = f"set its webhook to {here} (POST); --fix --configure-number does so"
        tell(Finding("number", "warning", f"{goes}, not here", advice))


def _number_trouble(number: str, error: PatterError) -> Finding:
    if isinstance(error, AuthenticationError):
        text = f"these credentials may not read where calls to {number} go: {error}"
        return Finding("number", "warning", text, "look at the number in the carrier's console")
    advice = "is it written like +15550001234, and of this account?"
    return Finding("number", "failed", f"{number}: {error}", advice)


async def _route(number: str, here: str, before: str, live: LiveCarrier, tell: Tell) -> None:
    try:
        await route_here(live, number, here)
    except PatterError as error:
        tell(Finding("number", "failed", str(error), f"set its webhook to {here} (POST) at the carrier"))
        return
    advice = "to put it back, set those fields again at the carrier"
    tell(Finding("number", "ok", f"calls to {number} now come to {here}; before: {before}", advice))


async def look_at_clock(carrier: Carrier, client: httpx2.AsyncClient, tell: Tell) -> None:
    """How far this machine's clock is from the carrier's."""
    base_url = getattr(carrier, "base_url", "")
    if not base_url:
        tell(Finding("clock", "skipped", "the carrier has no address to ask for the time"))
        return
    try:
        response = await client.head(base_url)
        theirs = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        tell(Finding("clock", "skipped", f"the carrier cannot be reached: {reason}"))
        return
    except ValueError:
        tell(Finding("clock", "skipped", "the carrier does not say what time it is"))
        return
    skew = wall_time() - theirs
    text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the carrier's"
    advice = "set this machine's clock, best by NTP"
    fatal = _SKEW_FATAL.get(carrier.kind)
    if fatal is not None and abs(skew) >= fatal:
        tell(Finding("clock", "failed", f"{text}: every webhook is refused as too old or too new", advice))
    elif abs(skew) >= _SKEW_SEEN:
        tell(Finding("clock", "warning", text, advice))
    else:
        tell(Finding("clock", "ok", "agrees with the carrier's"))


def _cause(error: ProviderError) -> PatterError:
    return error.__cause__ if isinstance(error.__cause__, PatterError) else error
