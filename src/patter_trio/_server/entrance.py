"""How the world finds a session: its public address, the tunnel behind that, the number that leads to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import trio

from .._foreign import foreign
from .._settings import LOOPBACK, SessionSettings
from ..abc import LiveCarrier, WebhookRequest
from ..errors import PatterConfigError, PatterError, ProviderError
from .number import route_here, voice_url, warn_if_elsewhere
from .reach import warn_if_unreachable
from .tunnel import OpenTunnel

__all__ = ["Entrance"]

_log = logging.getLogger("patter_trio.session")


class Entrance:
    """Opens the way to a session, in order: the tunnel, then the number. Both only where they were asked for.

    Args:
        settings: the session's.
        known_as: told of the public base URL, as soon as it is known and whenever it changes.

    Raises:
        PatterConfigError: strangers can reach the session, and its carrier would believe them.
    """

    def __init__(self, settings: SessionSettings, known_as: Callable[[str], None]) -> None:
        _refuse_the_gullible(settings)
        self._settings = settings
        self._known_as = known_as
        self._tunnel = OpenTunnel(settings.tunnel, self._move) if settings.tunnel is not None else None
        self._carrier: LiveCarrier | Any = None
        self._url = ""

    def health(self) -> Mapping[str, Any]:
        """What ``/health`` says of it."""
        return {} if self._tunnel is None else {"tunnel": self._tunnel.health()}

    async def open(
        self, nursery: trio.Nursery, url: str, address: tuple[str, int] | None, carrier: LiveCarrier | Any
    ) -> None:
        """Opens the tunnel, in ``nursery``, and then has the number's calls come here.

        Args:
            nursery: lives as long as the session.
            url: the public base URL where there is no tunnel.
            address: what the session listens at, by now.
            carrier: the live carrier.

        Raises:
            PatterError: the tunnel cannot be opened, or the number not be configured.
        """
        self._url, self._carrier = url, carrier
        if self._tunnel is not None and address is not None:
            self._url = await nursery.start(self._tunnel.run, *address)
            self._known_as(self._url)
        if self._settings.configure_number:
            await self._route()

    async def look_around(self, session_id: str, address: tuple[str, int] | None) -> None:
        """Warns when the public address does not lead here, or calls to our number do not come to it."""
        settings = self._settings
        if not settings.webhook_url and self._tunnel is None:
            return
        await warn_if_unreachable(self._url, session_id, address, patient=self._tunnel is not None)
        if settings.carrier is not None and not settings.configure_number:
            await warn_if_elsewhere(self._carrier, settings.phone_number, self._voice_url())

    async def _move(self, url: str) -> None:
        """The tunnel has another address now."""
        self._url = url
        self._known_as(url)
        if not self._settings.configure_number:
            _log.error("no call comes here until the number's webhook is set to %s", self._voice_url())
            return
        try:
            await self._route()
        except PatterError as error:
            _log.error("%s", error)

    async def _route(self) -> None:
        await route_here(self._carrier, self._settings.phone_number, self._voice_url())

    def _voice_url(self) -> str:
        carrier = self._settings.carrier
        return voice_url(self._url, carrier.kind if carrier is not None else "")


def _refuse_the_gullible(settings: SessionSettings) -> None:
    """Refuses a carrier that takes a webhook without any signature, where the whole world can send one."""
    host = urlsplit(settings.webhook_url).hostname or ""
    announced = settings.tunnel is not None or (host != "" and host not in LOOPBACK)
    bound = settings.port is not None and settings.host not in LOOPBACK
    if settings.carrier is None or not (announced or bound):
        return
    unsigned = WebhookRequest("POST", f"https://unsigned.invalid/webhooks/{settings.carrier.kind}/voice", {})
    try:
        with foreign(ProviderError, "verify"):
            settings.carrier.verify(unsigned)
    except ProviderError:
        return
    raise PatterConfigError(
        f"the carrier {settings.carrier.kind} takes webhooks that nobody signed, and anybody can send them",
        hint="give it the secret or key that its webhooks are signed with, or listen on 127.0.0.1 only",
    )
