"""Does the public address lead to this session? Asked once, from here, after it listens.

A tunnel that is down or forwards to another port is the usual reason why a phone that should be answered is
not, and nothing on this side would show it: the carrier's webhooks just never come.
"""

from __future__ import annotations

import logging

import httpx2
import msgspec
import trio

from .._net.http import open_body, read_beginning

__all__ = ["find_unreachable", "warn_if_unreachable"]

_log = logging.getLogger("patter_trio.session")

_SETTLE_SECONDS = 3.0
"""Tunnels and proxies that start beside us take about this long."""

_ANSWER_SECONDS = 5.0
_ANSWER_LIMIT = 64 * 1024


class _Health(msgspec.Struct):
    session: str


_NEW_NAME_ATTEMPTS = 6
"""A tunnel's new name takes up to half a minute to be known everywhere."""


async def warn_if_unreachable(
    base_url: str, session_id: str, address: tuple[str, int] | None, *, patient: bool = False
) -> None:
    """Logs one warning when ``base_url`` does not lead to this session, with what to do about it.

    Args:
        base_url: the public address, without a trailing slash.
        session_id: what this session's ``/health`` says it is.
        address: where this session listens, for the advice.
        patient: whether the address is so new that it is asked several times.
    """
    reason: str | None = None
    for _ in range(_NEW_NAME_ATTEMPTS if patient else 1):
        await trio.sleep(_SETTLE_SECONDS)
        reason = await find_unreachable(base_url, session_id)
        if reason is None:
            return
    if reason is not None:
        here = f"does it forward to {address[0]}:{address[1]}?" if address else "does it lead to this app?"
        _log.warning(
            "webhook_url %s %s: callers will not get through (is the tunnel or proxy up, and %s)",
            base_url,
            reason,
            here,
        )


async def find_unreachable(base_url: str, session_id: str, *, timeout: float = _ANSWER_SECONDS) -> str | None:
    """Why ``{base_url}/health`` does not answer as this session, in words; ``None`` when it does."""
    reason: str | None = f"did not answer within {timeout:g} s"
    with trio.move_on_after(timeout):
        # Reading the certificates of all authorities takes tens of milliseconds; calls may be running.
        context = await trio.to_thread.run_sync(httpx2.create_ssl_context, abandon_on_cancel=True)
        try:
            async with httpx2.AsyncClient(verify=context, timeout=None) as client:
                reason = await _judge(client, f"{base_url}/health", session_id)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            reason = f"cannot be reached from here ({str(error) or type(error).__name__})"
    return reason


async def _judge(client: httpx2.AsyncClient, url: str, session_id: str) -> str | None:
    async with client.stream("GET", url) as response, open_body(response) as received:
        if response.status_code != 200:
            return f"answers with HTTP {response.status_code}"
        body = await read_beginning(received, _ANSWER_LIMIT)
    try:
        health = msgspec.json.decode(body, type=_Health)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "is answered by something else"
    return None if health.session == session_id else "is answered by another session"
