"""The port itself: who gets in, how long they may take, and how it ends."""

from __future__ import annotations

import errno
import logging
import socket
from functools import partial

import pytest
import trio
from starlette.types import Receive, Scope, Send
from trio.testing import MockClock, memory_stream_pair

from patter_trio._net.websocket import open_websocket
from patter_trio._server.app import build_app
from patter_trio._server.port import PortLimits, PortStats, serve_connection, serve_port

from .echo_house import HASTY, EchoHouse, open_door, read_to_end, wait_until
from .knocks import HEALTH, MEDIA, POST, TEXT, frame, upgraded

CALL = POST + b"Content-Length: 3\r\n\r\na=b"


class ScriptedListener(trio.abc.Listener[trio.abc.Stream]):
    """Gives what it was told to, and then nothing more."""

    def __init__(self, *script: trio.abc.Stream | OSError) -> None:
        self._script = list(script)

    async def accept(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if not self._script:
            await trio.sleep_forever()
        item = self._script.pop(0)
        if isinstance(item, OSError):
            raise item
        return item

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_running_out_of_descriptors_only_delays_the_next_connection(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = memory_stream_pair()
    errors = [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ENOBUFS, "No buffer space")]
    house, stats = EchoHouse(), PortStats()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            partial(serve_port, [ScriptedListener(*errors, theirs)], build_app(house), house, stats=stats)
        )
        await ours.send_all(HEALTH[:-2] + b"Connection: close\r\n\r\n")
        assert (await ours.receive_some()).startswith(b"HTTP/1.1 200")
        while await ours.receive_some():
            await trio.lowlevel.checkpoint()
        await ours.aclose()
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert stats.accept_errors == 2
    assert "Too many open files" in caplog.text
    assert stats.connections_open == 0


async def test_a_whole_media_stream_in_memory_and_virtual_time(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    house, stats = EchoHouse(), PortStats()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve_connection, theirs, build_app(house), house, stats=stats))
        async with open_websocket("ws://voice.example.test/ws/twilio/token?a=%2F", stream=ours) as socket:
            for number in range(3000):
                await socket.send(f"frame {number}")
                assert await socket.receive() == f"frame {number}"
                await trio.sleep(0.02)
    assert house.upgrades[0].target == "/ws/twilio/token?a=%2F"
    assert house.upgrades[0].headers["host"] == "voice.example.test"
    assert (stats.media_total, stats.media_open, stats.connections_failed) == (1, 0, 0)


async def test_a_stranger_who_says_nothing_is_asked_to_leave_after_the_deadline(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = memory_stream_pair()
    house, stats = EchoHouse(), PortStats()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve_connection, theirs, build_app(house), house, stats=stats))
        assert (await ours.receive_some()).startswith(b"HTTP/1.1 408")
        assert trio.current_time() == pytest.approx(PortLimits().head_deadline, abs=0.01)
    assert stats.heads_timed_out == 1


async def test_bytes_behind_the_upgrade_are_the_first_frames() -> None:
    async with open_door() as door, await door.connect() as stream:
        await stream.send_all(MEDIA + frame(TEXT, b"first") + frame(TEXT, b"second")[:-3])
        received = bytearray()
        while b"first" not in received:
            received += await stream.receive_some()
        await stream.send_all(frame(TEXT, b"second")[-3:])
        assert b"\x81\x06second" in await stream.receive_some()


async def test_above_the_limit_a_connection_is_turned_away_and_the_others_go_on() -> None:
    async with open_door(limits=PortLimits(max_connections=1, close_deadline=0.2)) as door:
        async with await upgraded(door) as first:
            assert (await door.ask(HEALTH)).startswith(b"HTTP/1.1 503")
            await first.send_all(frame(TEXT, b"still here"))
            assert await first.receive_some() == b"\x81\x0astill here"
        assert door.stats.connections_turned_away == 1


async def test_requests_share_a_connection_until_it_idles_too_long() -> None:
    async with open_door() as door, await door.connect() as stream:
        for _ in range(3):
            await stream.send_all(HEALTH)
            answer = bytearray()
            while b'{"status":"ok"}' not in answer:
                answer += await stream.receive_some()
        assert await read_to_end(stream) == b""
        assert door.stats.connections_total == 1
        assert door.stats.exchanges_timed_out == 0


async def test_a_request_to_close_is_obeyed_at_once() -> None:
    async with open_door(limits=PortLimits(keep_alive=60, exchange_deadline=60)) as door:
        with trio.fail_after(1):
            answer = await door.ask(HEALTH[:-2] + b"Connection: close\r\n\r\n")
        assert answer.endswith(b'{"status":"ok"}')


async def test_a_drain_ends_idle_connections_at_once_and_busy_ones_after_their_answer() -> None:
    limits = PortLimits(keep_alive=60, head_deadline=60, close_deadline=0.2)
    async with open_door(EchoHouse(webhook_takes=0.3), limits) as door:
        silent, idle, busy = await door.connect(), await door.connect(), await door.connect()
        call = await upgraded(door)
        await idle.send_all(HEALTH)
        while not (await idle.receive_some()).endswith(b"}"):
            await trio.lowlevel.checkpoint()
        await busy.send_all(CALL)
        await trio.sleep(0.1)
        began = trio.current_time()
        await door.close_listeners()
        await read_to_end(silent)
        await read_to_end(idle)
        assert trio.current_time() - began < 5
        assert (await read_to_end(busy)).startswith(b"HTTP/1.1 200")
        await call.send_all(frame(TEXT, b"the call goes on"))
        assert b"the call goes on" in await call.receive_some()
        for stream in (silent, idle, busy, call):
            await stream.aclose()


async def test_cancelling_the_port_does_not_wait_for_a_peer_that_reads_nothing() -> None:
    async def give_a_huge_answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 30_000_000})

    async with open_door(limits=PortLimits(close_deadline=0.2), app=give_a_huge_answer) as door:
        web, call, quiet = await door.connect(), await upgraded(door), await upgraded(door)
        await web.send_all(HEALTH)
        with trio.move_on_after(0.3):
            await call.send_all(frame(TEXT, b"x" * 60_000) * 200)
        began = trio.current_time()
        door.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_until(lambda: not door.stats.connections_open)
        assert trio.current_time() - began < 4
        with trio.CancelScope(shield=True):
            assert await read_to_end(quiet) == b"\x88\x02\x03\xe8", "no goodbye"
            for stream in (web, call, quiet):
                await stream.aclose()


async def test_a_house_that_fails_costs_its_own_connection_and_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with open_door(EchoHouse(fail_media_with=ExceptionGroup("", [OSError("broken\nthing")]))) as door:
        async with await upgraded(door) as good:
            answer = await door.ask(MEDIA.replace(b"hostile", b"failing"))
            assert answer.startswith(b"HTTP/1.1 101")
            await good.send_all(frame(TEXT, b"unharmed"))
            assert b"unharmed" in await good.receive_some()
        assert door.stats.connections_failed == 1
    lines = [record.getMessage() for record in caplog.records if "connection failed" in record.getMessage()]
    assert lines == ["a connection failed: OSError: broken"]


async def test_a_webhook_that_fails_is_a_500_and_the_next_one_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    house = EchoHouse(fail_webhook_with=RuntimeError("a bug"))
    async with open_door(house) as door:
        assert (await door.ask(CALL)).startswith(b"HTTP/1.1 500")
        house.fail_webhook_with = None
        assert (await door.ask(CALL)).startswith(b"HTTP/1.1 200")


async def test_a_webhook_that_takes_too_long_is_given_up() -> None:
    async with open_door(EchoHouse(webhook_takes=60), HASTY) as door:
        assert await door.ask(CALL) == b""
        assert door.stats.exchanges_timed_out == 1


async def test_small_messages_are_not_held_back_for_larger_packets() -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener, await trio.open_tcp_stream(*listener.socket.getsockname()):
        accepted = await listener.accept()
        duplicate = socket.socket(fileno=accepted.socket.detach())
        with duplicate:
            assert duplicate.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_the_house_may_refuse_a_stream_with_any_status() -> None:
    async with open_door(EchoHouse(refuse_with=503)) as door:
        assert (await door.ask(MEDIA)).startswith(b"HTTP/1.1 503")
        assert door.stats.upgrades_refused == 1
        assert door.house.upgrades == []


async def call_once(stream: trio.SocketStream) -> None:
    """Posts a webhook and reads its answer to the end."""
    await stream.send_all(CALL)
    received = b""
    while not received.endswith(b"/>"):
        received += await stream.receive_some(4096)
    assert received.startswith(b"HTTP/1.1 200")


async def test_a_connection_that_has_served_requests_may_become_a_media_stream() -> None:
    # Proxies and tunnels keep connections, and use them for whatever comes next.
    async with open_door(EchoHouse()) as door, await door.connect() as stream:
        for _ in range(2):
            await call_once(stream)
        await stream.send_all(MEDIA + frame(TEXT, b"first"))
        received = b""
        while b"first" not in received:
            received += await stream.receive_some(4096)
        assert received.startswith(b"HTTP/1.1 101")
        (upgrade,) = door.house.upgrades
        assert upgrade.target == "/ws/twilio/hostile"
        assert upgrade.headers["sec-websocket-version"] == "13"
        assert door.stats.media_open == 1
        assert door.stats.upgrades_refused == 0


@pytest.mark.parametrize(
    ("later", "status"),
    [
        (MEDIA.replace(b"/ws/", b"/elsewhere/"), b"404"),
        (MEDIA.replace(b"Upgrade: websocket", b"Upgrade: h2c"), b"400"),
        (MEDIA.replace(b"hostile", b"refused"), b"403"),
        (POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + MEDIA, b"400"),
    ],
    ids=["elsewhere", "another protocol", "a refused one", "one behind a request with two ends"],
)
async def test_a_later_request_for_another_protocol_is_refused_as_a_first_one_is(
    later: bytes, status: bytes
) -> None:
    async with open_door(EchoHouse()) as door, await door.connect() as stream:
        await call_once(stream)
        await stream.send_all(later)
        assert (await read_to_end(stream)).startswith(b"HTTP/1.1 " + status)
        assert door.house.upgrades == []
        assert door.stats.upgrades_refused == 1
