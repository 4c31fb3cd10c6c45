"""A tunnel for as long as a session: opened before anybody is told of it, opened again when it is lost."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio

from .._foreign import foreign, unwrapped
from ..errors import PatterError, ProviderError
from ..tunnels import Tunnel

__all__ = ["OpenTunnel"]

_log = logging.getLogger("patter_trio.session")

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
# A tunnel that held this long was a good one: the next loss begins with a short pause again.
_STEADY_SECONDS = 60.0

_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (read, never bound)


class OpenTunnel:
    """Keeps a tunnel open and tells how it is.

    Args:
        tunnel: what opens it.
        moved: told of its new address when a tunnel that was opened again has another one.
    """

    def __init__(self, tunnel: Tunnel, moved: Callable[[str], Awaitable[None]]) -> None:
        self._tunnel = tunnel
        self._moved = moved
        self._url = ""
        self._up = False
        self._losses = 0
        self._pause = _FIRST_PAUSE

    def health(self) -> Mapping[str, Any]:
        """What ``/health`` says of it."""
        return {"state": "up" if self._up else "down", "url": self._url, "losses": self._losses}

    async def run(
        self, host: str, port: int, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Opens the tunnel and keeps it open; started with its public URL, without a trailing slash.

        Raises:
            PatterError: it could not be opened the first time. Later failures are logged, counted and tried
                again, with pauses of 1 to 30 seconds.
        """
        host = _EVERYWHERE.get(host, host)
        host = f"[{host}]" if ":" in host else host
        while True:
            failure = await self._open(host, port, task_status)
            if not self._url:
                raise failure
            _log.error("the tunnel %s: %s; opening it again in %g s", self._url, failure, self._pause)
            await trio.sleep(self._pause)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def _open(self, host: str, port: int, task_status: trio.TaskStatus[str]) -> PatterError:
        """Holds the tunnel open until it is lost; returns why."""
        opened = None
        try:
            with foreign(ProviderError, type(self._tunnel).__name__):
                async with trio.open_nursery() as nursery:
                    url: str = await nursery.start(self._tunnel.run, host, port)
                    opened = trio.current_time()
                    self._up = True
                    await self._announce(url.rstrip("/"), task_status)
            failure: PatterError = ProviderError("it ended by itself")
        except ProviderError as error:
            cause = unwrapped(error.__cause__) if error.__cause__ is not None else error
            failure = cause if isinstance(cause, PatterError) else error
        finally:
            self._up = False
        if opened is not None:
            self._losses += 1
            if trio.current_time() - opened >= _STEADY_SECONDS:
                self._pause = _FIRST_PAUSE
        return failure

    async def _announce(self, url: str, task_status: trio.TaskStatus[str]) -> None:
        before, self._url = self._url, url
        if not before:
            _log.info("the tunnel %s is open", url)
            task_status.started(url)
        elif url == before:
            _log.info("the tunnel %s is open again", url)
        else:
            _log.warning("the tunnel is open again, as %s in place of %s", url, before)
            await self._moved(url)
