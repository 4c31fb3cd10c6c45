"""The ASGI side: what a webhook request becomes, and the media socket inside someone else's server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio_websocket
from hypercorn.config import Config
from hypercorn.trio import serve as serve_hypercorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Message
from trio.testing import MockClock

from patter_trio._net.websocket import open_websocket
from patter_trio._server.app import BODY_LIMIT, build_app
from patter_trio._server.asgi import AsgiSocket
from patter_trio.errors import AuthenticationError

from .echo_house import EchoHouse, open_door, wait_until

FORM = "application/x-www-form-urlencoded"


def scope_of(path: str, kind: str = "http", **more: Any) -> dict[str, Any]:
    raw, _, query = path.partition("?")
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "method": "POST",
        "path": raw,
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"content-type", FORM.encode())],
        "client": ("192.0.2.7", 1234),
        **more,
    }


async def post(app: ASGIApp, scope: dict[str, Any], *body: bytes) -> tuple[int, bytes]:
    pieces: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": place < len(body) - 1}
        for place, piece in enumerate(body)
    ]
    answers: list[Message] = []

    async def receive() -> Message:
        await trio.lowlevel.checkpoint()
        return pieces.pop(0) if pieces else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        await trio.lowlevel.checkpoint()
        answers.append(message)

    await app(scope, receive, send)
    return answers[0]["status"], b"".join(answer.get("body", b"") for answer in answers)


async def test_a_webhook_keeps_every_field_in_order_and_the_raw_body() -> None:
    house = EchoHouse()
    body = b"To=%2B1555&Empty=&From=a+b&To=second&Sign=%E2%82%AC&Bare"
    status, answer = await post(
        build_app(house), scope_of("/webhooks/twilio/voice?a=%2Fb&c"), body[:10], body[10:]
    )
    assert (status, answer) == (200, b"<Response kind='twilio' what='voice'/>")
    request = house.webhooks[0]
    assert request.form == (
        ("To", "+1555"),
        ("Empty", ""),
        ("From", "a b"),
        ("To", "second"),
        ("Sign", "€"),
        ("Bare", ""),
    )
    assert request.body == body
    assert request.url == "https://voice.example.test/webhooks/twilio/voice?a=%2Fb&c"


async def test_json_is_not_read_as_a_form() -> None:
    house = EchoHouse()
    scope = scope_of("/webhooks/telnyx/voice", headers=[(b"content-type", b"application/json")])
    await post(build_app(house), scope, b'{"a=b": "&"}')
    assert house.webhooks[0].form == ()
    assert house.webhooks[0].body == b'{"a=b": "&"}'


async def test_repeated_headers_are_joined_and_named_in_lower_case() -> None:
    house = EchoHouse()
    scope = scope_of("/webhooks/twilio/voice", headers=[(b"x-a", b"1"), (b"x-a", b"2"), (b"x-b", b"\xe9")])
    await post(build_app(house), scope, b"")
    assert house.webhooks[0].headers == {"x-a": "1, 2", "x-b": "é"}


@pytest.mark.parametrize("size", [BODY_LIMIT, BODY_LIMIT + 1])
async def test_the_body_limit_is_exact_without_an_announced_length(size: int) -> None:
    house = EchoHouse()
    status, _ = await post(build_app(house), scope_of("/webhooks/twilio/voice"), b"a" * (size - 5), b"b" * 5)
    assert status == (200 if size <= BODY_LIMIT else 413)
    assert len(house.webhooks) == (size <= BODY_LIMIT)


async def test_other_methods_and_paths_are_refused() -> None:
    app = build_app(EchoHouse())
    assert (await post(app, scope_of("/webhooks/twilio/voice", method="GET"), b""))[0] == 405
    assert (await post(app, scope_of("/health"), b""))[0] == 405
    assert (await post(app, scope_of("/"), b""))[0] == 404


async def test_nobody_is_redirected_to_the_host_that_a_request_names() -> None:
    headers = [(b"host", b"evil.example.test")]
    status, _ = await post(build_app(EchoHouse()), scope_of("/health/", method="GET", headers=headers), b"")
    assert status == 404


async def test_a_mounted_app_signs_over_the_path_behind_its_prefix() -> None:
    house = EchoHouse()
    outer = Starlette(routes=[Mount("/our voice", build_app(house))])
    scope = scope_of("/our voice/webhooks/twilio/voice?x=1", raw_path=b"/our%20voice/webhooks/twilio/voice")
    assert (await post(outer, scope, b"a=b"))[0] == 200
    assert house.webhooks[0].url == "https://voice.example.test/webhooks/twilio/voice?x=1"


@asynccontextmanager
async def someone_elses_server(house: EchoHouse) -> AsyncIterator[str]:
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    async with trio.open_nursery() as nursery:
        binds: list[str] = await nursery.start(
            partial(serve_hypercorn, build_app(house), config)  # type: ignore[arg-type]  # its ASGI types differ
        )
        yield binds[0].replace("http", "ws", 1)
        nursery.cancel_scope.cancel()


async def test_media_inside_hypercorn() -> None:
    house = EchoHouse()
    async with someone_elses_server(house) as base:
        async with trio_websocket.open_websocket_url(f"{base}/ws/twilio/token?a=1") as socket:
            for message in ("hello", "ü" * 20_000):
                await socket.send_message(message)
                assert await socket.get_message() == message
            await socket.send_message(b"abc")
            assert await socket.get_message() == "binary 3"
        await wait_until(lambda: house.media_ended == 1)
        with pytest.raises(AuthenticationError, match="403"):
            async with open_websocket(f"{base}/ws/twilio/refused"):
                pass
    assert house.upgrades[0].target == "/ws/twilio/token?a=1"
    assert house.upgrades[0].peer.startswith("127.0.0.1:")


async def test_the_same_house_answers_on_its_own_port() -> None:
    async with open_door() as door:
        answer = await door.ask(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert answer.endswith(b'\r\n\r\n{"status":"ok"}')


class ScriptedServer:
    """The ASGI callables of a server: gives events, remembers what it was sent."""

    def __init__(self, *events: Message, broken: bool = False) -> None:
        self.events = list(events)
        self.sent: list[Message] = []
        self.broken = broken

    async def receive(self) -> Message:
        await trio.lowlevel.checkpoint()
        if not self.events:
            await trio.sleep_forever()
        return self.events.pop(0)

    async def send(self, message: Message) -> None:
        await trio.lowlevel.checkpoint()
        if self.broken:
            raise OSError("disconnected")
        self.sent.append(message)


async def test_an_asgi_socket_never_sends_without_waiting() -> None:
    server = ScriptedServer()
    socket = AsgiSocket(server.receive, server.send)
    assert not socket.send_nowait("x")
    await socket.send("x")
    assert server.sent == [{"type": "websocket.send", "text": "x"}]


async def test_an_oversized_message_ends_an_asgi_socket() -> None:
    server = ScriptedServer({"type": "websocket.receive", "text": "x" * 65_537})
    socket = AsgiSocket(server.receive, server.send)
    with pytest.raises(trio.EndOfChannel):
        await socket.receive()
    assert server.sent == [{"type": "websocket.close", "code": 1009}]
    with pytest.raises(trio.EndOfChannel):
        await socket.receive()


async def test_an_asgi_socket_without_a_peer_is_broken() -> None:
    server = ScriptedServer({"type": "websocket.disconnect", "code": 1006})
    socket = AsgiSocket(server.receive, server.send)
    with pytest.raises(trio.EndOfChannel):
        await socket.receive()
    with pytest.raises(trio.BrokenResourceError):
        await socket.send("x")
    await socket.aclose()
    assert server.sent == []


async def test_a_server_that_reports_the_loss_by_an_error(autojump_clock: MockClock) -> None:
    server = ScriptedServer(broken=True)
    socket = AsgiSocket(server.receive, server.send)
    with pytest.raises(trio.BrokenResourceError):
        await socket.send("x")
    await socket.aclose()


async def test_closing_an_asgi_socket_waits_a_moment_for_the_disconnect(autojump_clock: MockClock) -> None:
    late = {"type": "websocket.receive", "text": "late"}
    server = ScriptedServer(late, late, {"type": "websocket.disconnect", "code": 1000})
    await AsgiSocket(server.receive, server.send).aclose()
    assert server.events == []
    assert trio.current_time() == 0
    silent = ScriptedServer()
    await AsgiSocket(silent.receive, silent.send).aclose()
    assert silent.sent == [{"type": "websocket.close", "code": 1000}]
    assert trio.current_time() == pytest.approx(1)
