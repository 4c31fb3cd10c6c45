"""Telling an OpenClaw agent of the calls that ended, so that it can follow up on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .._net.guard import open_guarded_client
from ._consult_post import SILENCE_SECONDS, post_for_answer
from ._consult_wire import call_report
from .consult import OPENCLAW_URL, ConsultConfig

__all__ = ["openclaw_post_call_notifier"]

# A session waits 30 s for its on_call_end; ours is to say what went wrong before that.
_SECONDS = 25.0


def openclaw_post_call_notifier(
    agent: str,
    *,
    base_url: str = OPENCLAW_URL,
    api_key: str | None = None,
    timeout_s: float = _SECONDS,
    headers: Mapping[str, str] | None = None,
    allow_private: bool = False,
) -> Callable[[Mapping[str, Any]], Awaitable[None]]:
    """A function for ``on_call_end`` that tells an OpenClaw agent who called and what was said.

    The agent reads it in the session of that call, the one in which it was consulted. Of a transcript of more
    than 12,000 characters it reads the end. Its answer is not used; that it did not answer is raised as
    :class:`~patter_trio.errors.ProviderError`, which the session logs.

    Args:
        agent: as for :meth:`ConsultConfig.openclaw`, and so are ``base_url`` and ``api_key``.
        timeout_s: seconds until the agent must have answered.
        headers: sent with the request.
        allow_private: the gateway may be in the private network; this machine always may.

    Raises:
        PatterConfigError: a value cannot be right.
    """
    config = ConsultConfig.openclaw(
        agent,
        base_url=base_url,
        api_key=api_key,
        timeout_s=timeout_s,
        headers=headers or {},
        allow_private=allow_private,
    )

    async def notify_openclaw(ended: Mapping[str, Any]) -> None:
        async with open_guarded_client(
            allow_private=config.reaches_private, timeout=SILENCE_SECONDS, headers=config.headers
        ) as client:
            await post_for_answer(
                client,
                config.url,
                config.in_session(call_report(config.model, ended), ended),
                headers=config.request_headers(ended),
                timeout_s=timeout_s,
            )

    return notify_openclaw
