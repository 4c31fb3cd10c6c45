"""Do calls to our number come to this session? Changed only when that was asked for, else told of once."""

from __future__ import annotations

import logging

from .._foreign import foreign
from ..abc import LiveCarrier
from ..errors import PatterError, ProviderError, ProvisionError
from ..telephony import NumberRoute

__all__ = ["describe_route", "route_here", "voice_url", "warn_if_elsewhere"]

_log = logging.getLogger("patter_trio.session")


def voice_url(base_url: str, kind: str) -> str:
    """Where a carrier of this kind asks what to do with a call that comes in."""
    return f"{base_url}/webhooks/{kind}/voice"


async def route_here(live: LiveCarrier, number: str, url: str) -> bool:
    """Has calls to ``number`` come to ``url`` and logs in full where they went before.

    Nothing is put back at the end: another session may have been told the same by then.

    Args:
        live: the carrier.
        number: our number, E.164.
        url: the :func:`voice_url` of this session.

    Returns:
        Whether anything was changed; a number whose calls come here already is left alone.

    Raises:
        ProvisionError: the carrier refuses it.
        AuthenticationError: the carrier does not take the credentials.
        PatterConnectionError: it cannot be reached.
    """
    try:
        with foreign(ProviderError, "configure_number"):
            if (await live.read_number(number)).voice_url == url:
                _log.info("calls to %s come to %s already", number, url)
                return False
            before = await live.route_number(number, url)
    except ProviderError as error:
        cause = error.__cause__
        if isinstance(cause, PatterError) and not isinstance(cause, ProviderError):
            raise cause from None
        raise ProvisionError(
            f"calls to {number} could not be sent to {url}: {error}",
            hint="leave configure_number out and set the number's webhook at the carrier",
        ) from error
    _log.info(
        "calls to %s now come to %s; before: %s. To put it back, set these fields again at the carrier: "
        "patter_trio never does so by itself",
        number,
        url,
        describe_route(before, in_full=True),
    )
    return True


async def warn_if_elsewhere(live: LiveCarrier, number: str, url: str) -> None:
    """Logs one warning when calls to ``number`` do not come to ``url``, with what to do.

    Whoever may not read the account's numbers is not bothered: that is a line for debugging.
    """
    if not isinstance(live, LiveCarrier):
        _log.debug("where calls to %s go cannot be asked of this carrier", number)
        return
    try:
        with foreign(ProviderError, "read_number"):
            route = await live.read_number(number)
    except ProviderError as error:
        _log.debug("where calls to %s go cannot be read: %s", number, error)
        return
    if route.voice_url != url:
        _log.warning(
            "calls to %s do not come to this session: they go to %s. Set the number's webhook to %s (POST), "
            "or start with configure_number=True",
            number,
            describe_route(route),
            url,
        )


def describe_route(route: NumberRoute, *, in_full: bool = False) -> str:
    """A route in words; ``in_full`` with all fields by which it can be set again."""
    where = route.voice_url or "nobody"
    if route.taken_by:
        where = f"{route.taken_by} ({route.voice_url})" if route.voice_url else route.taken_by
    if not in_full:
        return where
    fields = {"voice_url": route.voice_url, "status_url": route.status_url, "taken_by": route.taken_by}
    shown = [f"{name}={value!r}" for name, value in {**fields, **route.previous}.items()]
    return f"{where} ({', '.join(shown)})"
