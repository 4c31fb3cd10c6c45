"""A way that others keep open."""

from __future__ import annotations

import attrs
import trio

from ..errors import PatterConfigError
from ._settings import check_hostname

__all__ = ["Static", "Tunnel"]


@attrs.frozen(kw_only=True)
class Static:
    """A public name that leads here already, by a proxy or a tunnel that somebody else runs.

    Args:
        hostname: the name, with a path where the proxy has one for us; the same as ``webhook_url``.

    Raises:
        PatterConfigError: it is no name.
    """

    hostname: str = attrs.field(converter=check_hostname)

    def __attrs_post_init__(self) -> None:
        if not self.hostname:
            raise PatterConfigError("a static tunnel needs its name", hint="Static(hostname='example.com')")

    async def run(
        self, host: str, port: int, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Says its name and does nothing more."""
        task_status.started(f"https://{self.hostname}")
        await trio.sleep_forever()


Tunnel = Static
"""The same class under the name that each module of :mod:`patter_trio.tunnels` has for its own."""
