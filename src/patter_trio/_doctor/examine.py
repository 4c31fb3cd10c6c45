"""The examination: what depends on what, in the order in which a call would need it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import attrs
import httpx2
import msgspec
import trio

from .._foreign import foreign
from .._session import open_session
from .._settings import SessionSettings
from ..abc import Carrier
from ..errors import PatterConnectionError, ProviderError
from .account import look_at_account, look_at_clock, look_at_number
from .address import look_at_address, look_at_media, look_at_webhooks
from .case import Case, Tell, find_carrier
from .findings import Finding
from .machine import look_at_extras

__all__ = ["examine"]

_ANSWER_SECONDS = 10.0


@attrs.frozen
class Found:
    """The session that is looked at: one that runs, or one for the time being."""

    id: str
    address: str
    url: str


class _Tunnel(msgspec.Struct):
    url: str


class _Health(msgspec.Struct):
    session: str
    tunnel: _Tunnel | None = None


async def examine(case: Case, tell: Tell, *, carrier: Carrier | None = None) -> list[Finding]:
    """Looks at everything that a call needs and tells each finding as it comes; returns them all.

    Where a session runs at the case's port, that one is looked at; otherwise one without an agent is opened
    there meanwhile. What depends on something that failed is skipped.

    Args:
        case: what to look at.
        tell: takes each finding.
        carrier: the carrier, in place of the one whose credentials are in the environment.
    """
    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        tell(finding)

    if carrier is None:
        carrier = find_carrier(case, note)
    context = await trio.to_thread.run_sync(httpx2.create_ssl_context, abandon_on_cancel=True)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            httpx2.AsyncClient(verify=context, timeout=_ANSWER_SECONDS, follow_redirects=False)
        )
        found = await stack.enter_async_context(_find_session(case, carrier, client, note))
        url = case.webhook_url or (found.url if found is not None else "")
        if carrier is not None:
            await _ask_carrier(case, carrier, url, note)
        if found is not None:
            await _go_around(found, url, carrier, client, note)
        if carrier is not None:
            await look_at_clock(carrier, client, note)
    look_at_extras(note)
    return findings


async def _ask_carrier(case: Case, carrier: Carrier, url: str, tell: Tell) -> None:
    try:
        with foreign(ProviderError, "the carrier"):
            async with carrier.open() as live:
                if await look_at_account(live, tell):
                    await look_at_number(case, carrier.kind, live, url, tell)
    except ProviderError as error:
        tell(Finding("account", "failed", str(error), "look at the carrier's settings"))


async def _go_around(
    found: Found, url: str, carrier: Carrier | None, client: httpx2.AsyncClient, tell: Tell
) -> None:
    """Out to the internet and in again."""
    if not url:
        text = "our public address is not known"
        tell(Finding("address", "skipped", text, "name it with --webhook-url, or run serve() with a tunnel"))
        return
    if not await look_at_address(url, found.id, found.address, tell):
        return
    if carrier is not None:
        await look_at_webhooks(url, carrier, client, tell)
    await look_at_media(url, carrier.kind if carrier is not None else "", client, tell)


@asynccontextmanager
async def _find_session(
    case: Case, carrier: Carrier | None, client: httpx2.AsyncClient, tell: Tell
) -> AsyncIterator[Found | None]:
    """The session at the case's port; one for the time being where nobody has it."""
    settings = SessionSettings(
        carrier=carrier,
        phone_number=case.number,
        webhook_url=case.webhook_url,
        host=case.host,
        port=case.port,
        drain_seconds=0,
    )
    async with AsyncExitStack() as stack:
        try:
            session = await stack.enter_async_context(open_session(settings, None))
        except PatterConnectionError as error:
            found = await _find_running(case, client)
            if found is None:
                advice = "end what has the port, or name the session's with --port"
                tell(Finding("session", "failed", str(error.args[0]), advice))
            else:
                tell(Finding("session", "ok", f"one runs at {found.address}"))
        else:
            assert session.address is not None
            found = Found(session.id, f"{session.address[0]}:{session.address[1]}", "")
            text = f"none runs at {found.address}: one was opened there for this test"
            tell(Finding("session", "ok", text))
        yield found


async def _find_running(case: Case, client: httpx2.AsyncClient) -> Found | None:
    address = f"{case.host}:{case.port}"
    try:
        response = await client.get(f"http://{address}/health")
        health = msgspec.json.decode(response.content, type=_Health)
    except (httpx2.HTTPError, msgspec.MsgspecError):
        return None
    return Found(health.session, address, health.tunnel.url if health.tunnel is not None else "")
