"""WebSockets to addresses that users wrote down: where they may go, and where not."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio_websocket
from trio.testing import MockClock

from patter_trio._net.guard import BlockedAddressError
from patter_trio._net.guarded_websocket import open_guarded_stream, open_guarded_websocket
from patter_trio.errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    RemoteProtocolError,
)

from ..conformance.test_tools_webhook import names


@asynccontextmanager
async def echo_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[str]]]:
    """The port of an independent server, and the path of each handshake."""
    asked: list[str] = []

    async def accept(request: trio_websocket.WebSocketRequest) -> None:
        asked.append(request.path)
        connection = await request.accept()
        while True:
            try:
                await connection.send_message(await connection.get_message())
            except trio_websocket.ConnectionClosed:
                return

    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(trio_websocket.serve_websocket, accept, "127.0.0.1", 0, ssl_context=tls)
        )
        yield server.port, asked
        nursery.cancel_scope.cancel()


async def test_messages_pass_and_the_name_is_asked_for_once() -> None:
    async with echo_server() as (port, asked):
        # Once, so that the check and the connection cannot get different answers.
        with names(["127.0.0.1"], ["127.0.0.99"]) as resolver:
            url = f"ws://brain.example:{port}/talk?k=1"
            async with open_guarded_websocket(url, allow_private=True) as socket:
                await socket.send("hello")
                assert await socket.receive() == "hello"
    assert asked == ["/talk?k=1"]
    assert resolver.asked == 1


async def test_the_handshake_keeps_the_name_and_carries_headers() -> None:
    heads: list[bytes] = []

    async def refuse(stream: trio.SocketStream) -> None:
        heads.append(bytes(await stream.receive_some()))
        await stream.send_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, refuse, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        with names(["127.0.0.1"]), pytest.raises(AuthenticationError):
            async with open_guarded_websocket(
                f"ws://brain.example:{port}/", allow_private=True, headers={"X-Key": "k"}
            ):
                raise AssertionError("it was never opened")
        nursery.cancel_scope.cancel()
    assert f"\r\nHost: brain.example:{port}\r\n".encode() in heads[0]
    assert b"\r\nX-Key: k\r\n" in heads[0]


async def test_a_message_above_the_limit_is_refused() -> None:
    async with echo_server() as (port, _):
        url = f"ws://127.0.0.1:{port}/"
        async with open_guarded_websocket(url, allow_private=True, max_size=1000) as socket:
            await socket.send("x" * 1001)
            with pytest.raises(RemoteProtocolError):
                await socket.receive()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
async def test_tls_is_for_the_name_and_not_for_the_address(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=brain.example", "-addext", "subjectAltName=DNS:brain.example"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *curve, "-keyout", str(key), "-out", str(certificate), *subject]
    await trio.run_process(command, stderr=subprocess.DEVNULL)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate, key)
    tls = ssl.create_default_context(cafile=str(certificate))
    async with echo_server(server_side) as (port, _):
        with names(["127.0.0.1"]):
            url = f"wss://brain.example:{port}/"
            async with open_guarded_websocket(url, allow_private=True, tls=tls) as socket:
                await socket.send("hello")
                assert await socket.receive() == "hello"
            with pytest.raises(PatterConnectionError, match=r"no TLS with other\.example"):
                await open_guarded_stream(f"wss://other.example:{port}/", allow_private=True, tls=tls)
            # The system does not know who signed it.
            with pytest.raises(PatterConnectionError, match=r"no TLS with brain\.example"):
                await open_guarded_stream(url, allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1/",
        "ws://localhost:8000/",
        "wss://[::1]/",
        "ws://0x7f.1/",
        "ws://2130706433/",
        "wss://10.0.0.1/",
        "ws://db.internal/",
        "ws://metadata.google.internal/",
    ],
)
async def test_an_address_of_our_own_network_is_refused_as_written(url: str) -> None:
    refused = pytest.raises(PatterConfigError, match="may not be called")
    with names(["93.184.216.34"]) as resolver, refused:
        await open_guarded_stream(url)
    assert resolver.asked == 0


@pytest.mark.parametrize("url", ["https://brain.example/", "brain.example", "ws:///talk", ""])
async def test_what_is_no_websocket_is_refused(url: str) -> None:
    with pytest.raises(PatterConfigError, match="the WebSocket may not be called"):
        await open_guarded_stream(url)


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.0.0.1"], ["::1"], ["169.254.169.254"], ["93.184.216.34", "10.0.0.1"]],
)
async def test_a_name_that_leads_into_our_network_is_not_connected_to(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[str] = []

    async def connect(host: str, port: int) -> None:
        connected.append(host)

    monkeypatch.setattr(trio, "open_tcp_stream", connect)
    with names(addresses), pytest.raises(BlockedAddressError) as refused:
        await open_guarded_stream("ws://brain.example/")
    assert connected == []
    assert addresses[-1] not in str(refused.value)


async def test_metadata_is_never_reached() -> None:
    with names(["169.254.169.254"]), pytest.raises(BlockedAddressError, match="metadata"):
        await open_guarded_stream("ws://brain.example/", allow_private=True)


async def test_a_dead_address_gives_way_and_the_port_is_that_of_the_scheme(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    tried: list[tuple[str, int]] = []
    ours, theirs = trio.testing.memory_stream_pair()

    async def connect(host: str, port: int) -> trio.abc.Stream:
        tried.append((host, port))
        if host == "2606:4700::1":
            await trio.sleep_forever()
        if host == "93.184.216.1":
            raise OSError("all attempts to connect failed")
        return ours

    monkeypatch.setattr(trio, "open_tcp_stream", connect)
    began = trio.current_time()
    with names(["2606:4700::1", "93.184.216.1", "93.184.216.34"]):
        assert await open_guarded_stream("ws://brain.example/") is ours
    assert trio.current_time() - began == pytest.approx(2.0)
    assert tried == [("2606:4700::1", 80), ("93.184.216.1", 80), ("93.184.216.34", 80)]
    await theirs.aclose()
    await ours.aclose()


async def test_connecting_has_its_time(monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock) -> None:
    ports: list[int] = []

    async def connect(host: str, port: int) -> None:
        ports.append(port)
        await trio.sleep_forever()

    monkeypatch.setattr(trio, "open_tcp_stream", connect)
    with names(["93.184.216.34"]):
        began = trio.current_time()
        with pytest.raises(PatterConnectionError, match="did not answer within 3 s"):
            await open_guarded_stream("wss://brain.example/", timeout=3)
    assert trio.current_time() - began == pytest.approx(3.0)
    assert ports == [443]


async def test_a_silent_server_does_not_get_more_time_for_its_handshake(autojump_clock: MockClock) -> None:
    gone = trio.Event()

    async def silent(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            pass
        gone.set()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, silent, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        for scheme in ("ws", "wss"):
            began = trio.current_time()
            with pytest.raises(PatterConnectionError, match="did not answer within"):
                async with open_guarded_websocket(
                    f"{scheme}://127.0.0.1:{port}/", allow_private=True, connect_timeout=4
                ):
                    raise AssertionError("it was never opened")
            assert trio.current_time() - began == pytest.approx(4.0, abs=0.1)
            await gone.wait()
            gone = trio.Event()
        nursery.cancel_scope.cancel()


async def test_the_handshake_has_what_connecting_left_of_the_time(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()

    async def connect(host: str, port: int) -> trio.abc.Stream:
        await trio.sleep(3)
        return ours

    monkeypatch.setattr(trio, "open_tcp_stream", connect)
    with names(["93.184.216.34"]):
        began = trio.current_time()
        with pytest.raises(PatterConnectionError, match="did not answer within"):
            async with open_guarded_websocket("ws://brain.example/", connect_timeout=4):
                raise AssertionError("it was never opened")
    assert trio.current_time() - began == pytest.approx(4.0)
    await theirs.aclose()


async def test_nobody_at_the_address_is_said(nursery: trio.Nursery) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(PatterConnectionError, match=f"127.0.0.1:{port} cannot be reached"):
        await open_guarded_stream(f"ws://127.0.0.1:{port}/", allow_private=True)


async def test_a_url_that_only_the_socket_refuses_leaves_no_connection() -> None:
    async with echo_server() as (port, asked):
        with pytest.raises(PatterConfigError, match="not a ws:// or wss:// URL"):
            async with open_guarded_websocket(f"ws://127.0.0.1:{port}/#part", allow_private=True):
                raise AssertionError("it was never opened")
    assert asked == []


async def test_cancelled_while_it_connects_nothing_is_left() -> None:
    arrived, gone = trio.Event(), trio.Event()

    async def silent(stream: trio.SocketStream) -> None:
        arrived.set()
        while await stream.receive_some():
            pass
        gone.set()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, silent, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        async with trio.open_nursery() as turn:
            turn.start_soon(partial(open_guarded_stream, f"wss://127.0.0.1:{port}/", allow_private=True))
            await arrived.wait()
            turn.cancel_scope.cancel()
        with trio.fail_after(2):
            await gone.wait()
        nursery.cancel_scope.cancel()
