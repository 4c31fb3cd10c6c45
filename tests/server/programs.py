"""Small programs that stand in for ``cloudflared`` and ``ngrok``: they print what the real ones print."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import attrs
import pytest
import trio

# As in issue 946 of cloudflare/cloudflared and in logs of 2026.
CLOUDFLARED = """
import os, signal, sys
def say(text):
    print(f"2026-09-30T07:31:17Z {text}", file=sys.stderr, flush=True)
def open_tunnel(name="buffalo-marco-cardiff-motel"):
    say("INF Thank you for trying Cloudflare Tunnel. Doing so, without an account, is a quick way")
    say("INF Requesting new quick Tunnel on trycloudflare.com...")
    say("INF +--------------------------------------------------------------------------------------------+")
    say("INF |  Your quick Tunnel has been created! Visit it at (it may take some time to be reachable):  |")
    say(f"INF |  https://{name}.trycloudflare.com                                     |")
    say("INF +--------------------------------------------------------------------------------------------+")
    say("INF Starting metrics server on 127.0.0.1:20241/metrics")
    say("INF Registered tunnel connection connIndex=0 connection=bb527b3a-8a27-467b-9fca-84972898be5c "
        "event=0 ip=198.41.192.27 location=del04 protocol=quic")
"""
QUICK = "https://buffalo-marco-cardiff-motel.trycloudflare.com"

NGROK = """
import json, os, signal, sys
def say(**record):
    print(json.dumps({"lvl": "info", "t": "2026-09-30T02:40:00Z", **record}), flush=True)
def open_tunnel(url="https://ab12-203-0-113-7.ngrok-free.app"):
    say(msg="no configuration paths supplied")
    say(msg="starting web service", obj="web", addr="127.0.0.1:4040", allow_hosts=[])
    say(msg="client session established", obj="tunnels.session")
    say(msg="started tunnel", obj="tunnels", name="command_line", addr="http://127.0.0.1:8000", url=url)
"""
NGROK_URL = "https://ab12-203-0-113-7.ngrok-free.app"

_RECORD = """
import json, os, sys
with open({record!r}, "a") as file:
    run = dict(pid=os.getpid(), argv=sys.argv, environ=dict(os.environ))
    file.write(json.dumps(run) + "\\n")
"""


@attrs.frozen
class Run:
    """One run of a program."""

    pid: int
    argv: list[str]
    environ: dict[str, str]

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it is left."""
        return is_gone(self.pid)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A process whose parent died before it is for somebody else to bury.
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


@attrs.frozen
class Program:
    """A program in ``PATH``."""

    folder: Path
    name: str

    @property
    def runs(self) -> list[Run]:
        """How it was run, in order."""
        record = self.folder / f"{self.name}.runs"
        lines = record.read_text().splitlines() if record.exists() else []
        return [Run(**json.loads(line)) for line in lines]

    def note(self, name: str) -> Path:
        """A file that the program may write, by ``note(name)``."""
        return self.folder / name


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, *parts: str) -> Program:
    """Puts a Python program into a folder that is first in ``PATH``."""
    file = folder / name
    notes = f"def note(name, text=''):\n    open({str(folder)!r} + '/' + name, 'w').write(text)\n"
    record = _RECORD.format(record=str(folder / f"{name}.runs"))
    file.write_text("\n".join([f"#!{sys.executable} -IS", record, notes, *parts]))
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return Program(folder, name)


async def spin_until(done: object) -> None:
    """Waits for another process without a look at the clock, which may be a mock one that stands still."""
    assert callable(done)
    for _ in range(2_000_000):
        if done():
            return
        await trio.lowlevel.checkpoint()
    raise AssertionError("it never came to that")
