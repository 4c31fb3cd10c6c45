"""Cloudflare's tunnel, by its program ``cloudflared``."""

from __future__ import annotations

import os
import re

import attrs
import trio

from ..errors import PatterConfigError
from ._binary import Binary, run_binary
from ._settings import check_hostname, check_text, check_timeout

__all__ = ["CloudflareTunnel", "Tunnel"]

_INSTALL = "https://developers.cloudflare.com/cloudflare-one/connections/connect-networks/downloads/"

# As cloudflared prints them on stderr (2021 to 2026; its issues 946 and 1299 show whole logs):
#   2023-04-18T14:06:49Z INF |  https://buffalo-marco-cardiff-motel.trycloudflare.com          |
#   2026-09-30T07:31:18Z INF Registered tunnel connection connIndex=0 connection=bb52… location=del04 …
#   2022-06-01T16:23:12Z INF Connection c206cf44-945f-4c3c-a85c-af60c6338dc2 registered connIndex=0 …
# Lines of refusals name api.trycloudflare.com, which is no tunnel.
_URL = re.compile(r"https://(?!api\.)[a-z0-9-]+\.trycloudflare\.com")
_REGISTERED = re.compile(r"Registered tunnel connection|Connection [0-9a-f-]+ registered")


@attrs.frozen(kw_only=True)
class CloudflareTunnel:
    """A tunnel of Cloudflare's: without settings one that needs no account and has a new name each time.

    Args:
        hostname: the name of a tunnel of your own, which leads to this session's port by its settings at
            Cloudflare; with ``token``.
        token: that tunnel's token; ``TUNNEL_TOKEN`` where a ``hostname`` is given.
        binary: the program, a name in ``PATH`` or a path.
        timeout: seconds until it must be ready.

    Raises:
        PatterConfigError: a setting is not what it should be.
    """

    hostname: str = attrs.field(default="", converter=check_hostname)
    token: str = attrs.field(default="", validator=check_text, repr=False)
    binary: str = attrs.field(default="cloudflared", validator=check_text)
    timeout: float = attrs.field(default=30.0, validator=check_timeout)

    def __attrs_post_init__(self) -> None:
        if self.token and not self.hostname:
            raise PatterConfigError("a token belongs to a tunnel with a name", hint="pass hostname= too")
        if self.hostname and not self._token():
            raise PatterConfigError(
                "a tunnel with a name needs its token", hint="pass token= or set TUNNEL_TOKEN"
            )

    async def run(
        self, host: str, port: int, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Runs ``cloudflared``; ready when it has its address and its first connection is registered."""
        command = [self.binary, "tunnel", "--no-autoupdate"]
        environment: dict[str, str] = {}
        if self.hostname:
            command += ["run"]
            environment["TUNNEL_TOKEN"] = self._token()
        else:
            # A configuration that is lying around would have this tunnel follow rules of its own.
            command += ["--config", os.devnull, "--url", f"http://{host}:{port}"]
        binary = Binary(
            "cloudflared",
            tuple(command),
            _INSTALL,
            environment=environment,
            secrets=tuple(environment.values()),
            timeout=self.timeout,
        )
        opening = Opening(f"https://{self.hostname}" if self.hostname else "")
        await run_binary(binary, opening.feed, task_status=task_status)

    def _token(self) -> str:
        return self.token or os.environ.get("TUNNEL_TOKEN", "")


class Opening:
    """Reads what ``cloudflared`` prints until the tunnel leads somewhere."""

    def __init__(self, url: str = "") -> None:
        self._url = url
        self._registered = False

    def feed(self, line: str) -> str | None:
        """Takes a line; the public URL once it is known and a connection is registered."""
        found = _URL.search(line)
        if found is not None:
            self._url = self._url or found[0]
        self._registered = self._registered or _REGISTERED.search(line) is not None
        return self._url if self._url and self._registered else None


Tunnel = CloudflareTunnel
"""The same class under the name that each module of :mod:`patter_trio.tunnels` has for its own."""
