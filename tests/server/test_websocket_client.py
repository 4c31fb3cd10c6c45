"""The outgoing WebSocket client against an independent server, and against servers that misbehave."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio_websocket
from trio.testing import MockClock, memory_stream_pair
from websockets.http11 import Request
from websockets.server import ServerProtocol

from patter_trio._net.websocket import open_websocket
from patter_trio._server.app import build_app
from patter_trio._server.port import serve_connection
from patter_trio.errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    RateLimitError,
    RemoteProtocolError,
)

from .echo_house import EchoHouse, reset

Conversation = Callable[[trio_websocket.WebSocketConnection], Awaitable[None]]


@asynccontextmanager
async def independent_server(converse: Conversation) -> AsyncIterator[str]:
    async def accept(request: trio_websocket.WebSocketRequest) -> None:
        await converse(await request.accept())

    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(trio_websocket.serve_websocket, accept, "127.0.0.1", 0, ssl_context=None)
        )
        yield f"ws://127.0.0.1:{server.port}/some/path?model=a%20b"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def raw_server(serve: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(
            partial(trio.serve_tcp, serve, 0, host="127.0.0.1")
        )
        yield f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
        nursery.cancel_scope.cancel()


async def echo(connection: trio_websocket.WebSocketConnection) -> None:
    while True:
        try:
            await connection.send_message(await connection.get_message())
        except trio_websocket.ConnectionClosed:
            return


async def test_messages_of_every_kind_and_size_come_back() -> None:
    async with independent_server(echo) as url, open_websocket(url) as socket:
        for message in ("hello", "ü" * 100_000, b"\0\xff" * 200_000, "", b""):
            await socket.send(message)
            assert await socket.receive() == message


async def test_path_query_and_headers_arrive_as_given() -> None:
    seen: list[tuple[str, dict[bytes, bytes]]] = []

    async def accept(request: trio_websocket.WebSocketRequest) -> None:
        seen.append((request.path, dict(request.headers)))
        await request.accept()

    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(trio_websocket.serve_websocket, accept, "127.0.0.1", 0, ssl_context=None)
        )
        url = f"ws://127.0.0.1:{server.port}/v1/listen?model=nova%202&x="
        async with open_websocket(url, headers={"Authorization": "Token secret"}):
            pass
        nursery.cancel_scope.cancel()
    path, headers = seen[0]
    assert path == "/v1/listen?model=nova%202&x="
    assert headers[b"authorization"] == b"Token secret"


async def test_pings_are_answered_while_we_receive() -> None:
    async def ping(connection: trio_websocket.WebSocketConnection) -> None:
        with trio.fail_after(2):
            await connection.ping(b"still there?")
        await connection.send_message("thank you")

    async with independent_server(ping) as url, open_websocket(url) as socket:
        assert await socket.receive() == "thank you"


async def test_a_normal_close_ends_the_loop() -> None:
    async def talk(connection: trio_websocket.WebSocketConnection) -> None:
        await connection.send_message("one")
        await connection.send_message("two")
        await connection.aclose(1000, "done")

    async with independent_server(talk) as url, open_websocket(url) as socket:
        assert [message async for message in socket] == ["one", "two"]
        assert (socket.close_code, socket.close_reason) == (1000, "done")
        with pytest.raises(PatterConnectionError):
            await socket.send("too late")


async def test_another_close_code_is_an_error_that_says_why() -> None:
    async def refuse(connection: trio_websocket.WebSocketConnection) -> None:
        await connection.aclose(4001, "no such voice")

    async with independent_server(refuse) as url, open_websocket(url) as socket:
        with pytest.raises(PatterConnectionError, match="4001 no such voice"):
            await socket.receive()
        assert socket.close_code == 4001


async def test_a_connection_that_breaks_is_an_error_not_an_end() -> None:
    async def vanish(connection: trio_websocket.WebSocketConnection) -> None:
        await connection.send_message("one")
        await connection._stream.aclose()

    async with independent_server(vanish) as url, open_websocket(url) as socket:
        assert await socket.receive() == "one"
        with pytest.raises(PatterConnectionError, match="lost"):
            await socket.receive()


async def test_leaving_with_unread_messages_does_not_hang() -> None:
    async def pour(connection: trio_websocket.WebSocketConnection) -> None:
        try:
            while True:
                await connection.send_message("x" * 50_000)
        except trio_websocket.ConnectionClosed:
            return

    async with independent_server(pour) as url:
        began = trio.current_time()
        async with open_websocket(url, close_timeout=0.3) as socket:
            await socket.receive()
        assert trio.current_time() - began < 2


async def test_a_cancelled_block_waits_for_nobody() -> None:
    async with independent_server(echo) as url:
        began = trio.current_time()
        with trio.CancelScope() as scope:
            async with open_websocket(url, close_timeout=5) as socket:
                await socket.send("x")
                scope.cancel()
                await socket.receive()
        assert trio.current_time() - began < 4


async def test_leaving_by_an_exception_waits_for_nobody() -> None:
    async with raw_upgrade_then(trio.sleep_forever) as url:
        with trio.fail_after(1), pytest.raises(KeyError):
            async with open_websocket(url, close_timeout=5):
                raise KeyError


async def test_a_peer_that_never_says_goodbye_costs_the_close_timeout() -> None:
    async with raw_upgrade_then(trio.sleep_forever) as url:
        began = trio.current_time()
        async with open_websocket(url, close_timeout=0.2):
            pass
        assert 0.15 < trio.current_time() - began < 4


@asynccontextmanager
async def raw_upgrade_then(act: Callable[[], Awaitable[None]], behind: bytes = b"") -> AsyncIterator[str]:
    """A server that answers the handshake by hand, sends ``behind`` in the same packet, and then acts."""

    async def serve(stream: trio.SocketStream) -> None:
        protocol = ServerProtocol()
        while not (events := protocol.events_received()):
            protocol.receive_data(bytes(await stream.receive_some()))
        assert isinstance(events[0], Request)
        protocol.send_response(protocol.accept(events[0]))
        await stream.send_all(b"".join(protocol.data_to_send()) + behind)
        await act()

    async with raw_server(serve) as url:
        yield url


async def test_frames_in_the_packet_of_the_handshake_are_the_first_messages() -> None:
    async with (
        raw_upgrade_then(trio.sleep_forever, b"\x81\x05first\x81\x06second") as url,
        open_websocket(url, close_timeout=0.1) as socket,
    ):
        assert await socket.receive() == "first"
        assert await socket.receive() == "second"


@pytest.mark.parametrize(
    "frames",
    [
        b"\x83\x01x",
        b"\xc1\x01x",
        b"\x81\x81\0\0\0\0x",
        b"\x81\x02\xc3\x28",
        b"\x00\x01x",
        b"\x81\x7f\0\0\0\0\x7f\xff\xff\xff",
    ],
    ids=["opcode", "reserved bit", "masked", "not utf-8", "continuation", "too large"],
)
async def test_a_server_that_breaks_the_protocol_is_named_as_such(frames: bytes) -> None:
    async with (
        raw_upgrade_then(trio.sleep_forever, frames) as url,
        open_websocket(url, close_timeout=0.1) as socket,
    ):
        with pytest.raises(RemoteProtocolError):
            await socket.receive()


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 11\r\n\r\ninvalid key",
            AuthenticationError,
            "invalid key",
        ),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", AuthenticationError, "403"),
        (b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", RateLimitError, "429"),
        (b"HTTP/1.1 503 Unavailable\r\nConnection: close\r\n\r\nbusy", PatterConnectionError, "busy"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", PatterConnectionError, "404"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", RemoteProtocolError, "WebSocket"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", RemoteProtocolError, "WebSocket"),
        (b"\0" * 10_000, RemoteProtocolError, "WebSocket"),
        (b"", PatterConnectionError, "broke off"),
    ],
)
async def test_a_refusal_is_told_in_our_own_words(answer: bytes, error: type[PatterError], says: str) -> None:
    async def refuse(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)

    async with raw_server(refuse) as url:
        with pytest.raises(error, match=says) as caught:
            async with open_websocket(url):
                pass
    assert type(caught.value) is error


async def test_a_reset_in_the_handshake_is_a_connection_error() -> None:
    async with raw_server(reset) as url:
        with pytest.raises(PatterConnectionError):
            async with open_websocket(url):
                pass


async def test_nobody_there_is_a_connection_error() -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(PatterConnectionError, match=f"127.0.0.1:{port} cannot be reached"):
        async with open_websocket(f"ws://127.0.0.1:{port}/"):
            pass


async def test_silence_is_a_connection_error_after_the_deadline(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    with pytest.raises(PatterConnectionError, match="within 3 s"):
        async with open_websocket("ws://voice.example.test/", stream=ours, connect_timeout=3):
            pass
    assert trio.current_time() == pytest.approx(3)
    await theirs.aclose()


@pytest.mark.parametrize("url", ["http://a/", "ws:///path", "nonsense", "ws://a/#fragment"])
async def test_a_url_of_another_kind_is_a_config_error(url: str) -> None:
    with pytest.raises(PatterConfigError):
        async with open_websocket(url):
            pass


async def test_our_client_and_our_port_end_a_stream_in_both_directions() -> None:
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, theirs, build_app(EchoHouse()), EchoHouse())
        async with open_websocket("ws://a/ws/twilio/token", stream=ours) as socket:
            await socket.send("hello")
            assert await socket.receive() == "hello"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
async def test_tls_is_verified_and_carries_messages(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *curve, "-keyout", str(key), "-out", str(certificate), *subject]
    await trio.run_process(command, stderr=subprocess.DEVNULL)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate, key)
    client_side = ssl.create_default_context(cafile=str(certificate))

    async def accept(request: trio_websocket.WebSocketRequest) -> None:
        await echo(await request.accept())

    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(trio_websocket.serve_websocket, accept, "127.0.0.1", 0, ssl_context=server_side)
        )
        url = f"wss://127.0.0.1:{server.port}/"
        async with open_websocket(url, tls=client_side) as socket:
            for message in ("hello", "x" * 300_000):
                await socket.send(message)
                assert await socket.receive() == message
        nursery.cancel_scope.cancel()
