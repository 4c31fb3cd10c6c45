"""What a session asks of a tunnel."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import trio

from ..errors import PatterConfigError

__all__ = ["Tunnel", "as_tunnel"]


@runtime_checkable
class Tunnel(Protocol):
    """A way from the public internet to a port of this machine; an actor."""

    async def run(
        self, host: str, port: int, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Keeps a way open to ``host:port`` until it is cancelled, and leaves nothing behind.

        Started with the public base URL, ``https://…``, once the way is open.

        Raises:
            PatterConnectionError: it could not be opened in time, or it is lost; the session opens it again.
            PatterConfigError: it cannot be opened at all.
        """
        ...


def as_tunnel(given: Any) -> Tunnel | None:
    """A tunnel as people write it down: ``True`` is :class:`CloudflareTunnel()`, ``None`` and ``False`` none.

    Raises:
        PatterConfigError: it is something else.
    """
    from .cloudflare import CloudflareTunnel

    if given is None or given is False:
        return None
    if given is True:
        return CloudflareTunnel()
    if isinstance(given, type) or not isinstance(given, Tunnel):
        raise PatterConfigError(
            f"tunnel={given!r} is no tunnel", hint="True, CloudflareTunnel(), Ngrok() or Static(hostname=…)"
        )
    return given
