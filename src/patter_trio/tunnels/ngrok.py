"""ngrok's tunnel, by its program ``ngrok`` (version 3)."""

from __future__ import annotations

import os

import attrs
import msgspec
import trio

from ._binary import Binary, run_binary
from ._settings import check_hostname, check_text, check_timeout

__all__ = ["Ngrok", "Tunnel"]

_INSTALL = "https://ngrok.com/download"
_STARTED = ("started tunnel", "started endpoint")


@attrs.frozen(kw_only=True)
class Ngrok:
    """A tunnel of ngrok's; the program needs an account's token.

    Args:
        hostname: a name that is reserved for the account; without one ngrok gives the account's own.
        authtoken: the account's token; where it is not given, ``NGROK_AUTHTOKEN`` or the one that
            ``ngrok config add-authtoken`` has kept.
        binary: the program, a name in ``PATH`` or a path.
        timeout: seconds until it must be ready.

    Raises:
        PatterConfigError: a setting is not what it should be.
    """

    hostname: str = attrs.field(default="", converter=check_hostname)
    authtoken: str = attrs.field(default="", validator=check_text, repr=False)
    binary: str = attrs.field(default="ngrok", validator=check_text)
    timeout: float = attrs.field(default=30.0, validator=check_timeout)

    async def run(
        self, host: str, port: int, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Runs ``ngrok``; ready when it says that its tunnel has started."""
        command = [self.binary, "http", f"http://{host}:{port}", "--log=stdout", "--log-format=json"]
        if self.hostname:
            command.append(f"--url=https://{self.hostname}")
        token = self.authtoken or os.environ.get("NGROK_AUTHTOKEN", "")
        binary = Binary(
            "ngrok",
            tuple(command),
            _INSTALL,
            environment={"NGROK_AUTHTOKEN": token} if token else {},
            secrets=(token,) if token else (),
            timeout=self.timeout,
        )
        await run_binary(binary, read_start, task_status=task_status)


class _Record(msgspec.Struct):
    msg: str = ""
    url: str = ""


def read_start(line: str) -> str | None:
    """The public URL, of the line that tells it; ``None`` for all others, which need not be JSON.

    As version 3 prints it: ``{"addr":"http://127.0.0.1:8000","lvl":"info","msg":"started tunnel",
    "name":"command_line","obj":"tunnels","t":"…","url":"https://ab12-203-0-113-7.ngrok-free.app"}``, and it
    has begun to call its tunnels endpoints. The local API at port 4040 says the same, but another ngrok may
    have that port.
    """
    try:
        record = msgspec.json.decode(line, type=_Record)
    except msgspec.MsgspecError:
        return None
    return record.url if record.msg in _STARTED and record.url.startswith("https://") else None


Tunnel = Ngrok
"""The same class under the name that each module of :mod:`patter_trio.tunnels` has for its own."""
