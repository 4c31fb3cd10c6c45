"""What a media message costs the port: microseconds of CPU for one message received and one sent.

The load runs in another process, on another core where there is one: every socket sends a message of a
carrier's size 50 times a second, evenly spread, and the port echoes it. Rows are the ways in: our own port,
and the same house mounted in hypercorn.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio
from hypercorn.config import Config
from hypercorn.trio import serve as serve_hypercorn

from patter_trio._net.websocket import WebSocket, open_websocket
from patter_trio._server.app import build_app
from patter_trio._server.house import UpgradeRequest
from patter_trio._server.port import serve_port
from patter_trio.abc import MediaSocket, WebhookRequest
from patter_trio.telephony import WebhookReply

TICK = 0.02
SLOTS = 20
MESSAGE = json.dumps(
    {
        "event": "media",
        "sequenceNumber": "1234",
        "media": {"track": "inbound", "chunk": "1233", "timestamp": "24660", "payload": "f" * 212 + "=="},
        "streamSid": "MZ" + "0" * 32,
    }
)


@attrs.define
class EchoHouse:
    echoes: int = 0

    def refuse_media(self, upgrade: UpgradeRequest) -> int | None:
        return None

    async def run_media(self, socket: MediaSocket, upgrade: UpgradeRequest) -> None:
        try:
            while True:
                message = str(await socket.receive())
                if not socket.send_nowait(message):
                    await socket.send(message)
                self.echoes += 1
        except (trio.EndOfChannel, trio.BrokenResourceError):
            return

    async def answer_webhook(self, kind: str, what: str, request: WebhookRequest) -> WebhookReply:
        return WebhookReply()

    def health(self) -> Mapping[str, Any]:
        return {}

    def public_url(self, target: str, *, websocket: bool = False) -> str:
        return f"http://127.0.0.1{target}"


@attrs.frozen
class Row:
    way: str
    sockets: int
    us_per_pair: float
    cpu: float
    pairs: int
    waiting: float
    p50_ms: float
    p99_ms: float


def waited_for_cpu() -> float:
    """Seconds this process was ready to run and had no core (Linux), else 0."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def pin(core: int) -> None:
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > core:
        os.sched_setaffinity(0, {core})


# --- the load -----------------------------------------------------------------------------------------------


async def put_load(port: int, sockets: int, seconds: float) -> list[float]:
    """Round-trip times in seconds, sorted."""
    trips: list[float] = []
    sent_at: list[list[float]] = [[] for _ in range(sockets)]
    live: list[WebSocket] = []

    async def listen(place: int, socket: WebSocket) -> None:
        async for _ in socket:
            trips.append(trio.current_time() - sent_at[place].pop(0))

    async def connect(place: int, nursery: trio.Nursery, task_status: trio.TaskStatus[None]) -> None:
        async with open_websocket(f"ws://127.0.0.1:{port}/ws/twilio/{place}") as socket:
            live.append(socket)
            task_status.started()
            await listen(place, socket)

    async with trio.open_nursery() as nursery:
        for place in range(sockets):
            await nursery.start(connect, place, nursery)
        print("ready", flush=True)
        began = trio.current_time()
        slot = 0
        while trio.current_time() < began + seconds:
            await trio.sleep_until(began + slot * TICK / SLOTS)
            for place in range(slot % SLOTS, sockets, SLOTS):
                sent_at[place].append(trio.current_time())
                await live[place].send(MESSAGE)
            slot += 1
        nursery.cancel_scope.cancel()
    return sorted(trips)


def load_main(port: int, sockets: int, seconds: float) -> None:
    pin(1)
    trips = trio.run(put_load, port, sockets, seconds)
    print(json.dumps([trips[len(trips) // 2] * 1000, trips[int(len(trips) * 0.99)] * 1000]), flush=True)


# --- the measured side --------------------------------------------------------------------------------------

Server = Callable[..., Awaitable[None]]


async def serve_ours(
    house: EchoHouse, port: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    await serve_port(listeners, build_app(house), house, task_status=task_status)


async def serve_mounted(
    house: EchoHouse, port: int, *, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED
) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    await serve_hypercorn(build_app(house), config, task_status=task_status)  # type: ignore[arg-type]  # same ASGI


async def measure(way: str, server: Server, sockets: int, seconds: float, port: int) -> Row:
    house = EchoHouse()
    async with trio.open_nursery() as nursery:
        await nursery.start(server, house, port)
        command = [sys.executable, __file__, "--load", str(port), str(sockets), str(seconds + 2)]
        load: trio.Process = await nursery.start(
            partial(trio.run_process, command, capture_stdout=False, stdout=subprocess.PIPE)
        )
        assert load.stdout is not None
        assert await load.stdout.receive_some() == b"ready\n"
        await trio.sleep(1)
        cpu, echoes, waited, began = time.process_time(), house.echoes, waited_for_cpu(), trio.current_time()
        await trio.sleep(seconds)
        cpu, echoes = time.process_time() - cpu, house.echoes - echoes
        elapsed, waited = trio.current_time() - began, waited_for_cpu() - waited
        said = b""
        while data := await load.stdout.receive_some():
            said += data
        nursery.cancel_scope.cancel()
    p50, p99 = json.loads(said)
    return Row(way, sockets, cpu / echoes * 1e6, cpu / elapsed, echoes, waited / elapsed, p50, p99)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table; ``--json FILE`` also writes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.load:
        load_main(int(options.load[0]), int(options.load[1]), float(options.load[2]))
        return
    pin(0)
    ways: list[tuple[str, Server]] = [("our port", serve_ours), ("mounted in hypercorn", serve_mounted)]
    rows: list[Row] = []
    load = "/".join(f"{value:.1f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    print(
        f"{os.cpu_count()} cores, load {load}, Python {sys.version.split()[0]}; messages of {len(MESSAGE)} B"
    )
    print(f"{'way in':22}{'sockets':>8}{'us/pair':>9}{'cpu':>7}{'waiting':>9}{'p50 ms':>8}{'p99 ms':>8}")
    for way, server in ways:
        for sockets in options.sockets:
            row = trio.run(measure, way, server, sockets, options.seconds, free_port())
            rows.append(row)
            print(
                f"{row.way:22}{row.sockets:8}{row.us_per_pair:9.1f}{row.cpu:7.0%}{row.waiting:9.1%}"
                f"{row.p50_ms:8.2f}{row.p99_ms:8.2f}",
                flush=True,
            )
    if options.json:
        options.json.write_text(
            json.dumps({"load": load, "rows": [attrs.asdict(row) for row in rows]}, indent=2)
        )


if __name__ == "__main__":
    main()
