"""A public address that does not lead to the session is told of once, with what to do."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio

from patter_trio import Patter, Twilio
from patter_trio._server import reach
from patter_trio._server.reach import find_unreachable
from patter_trio.testing import ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedVAD

Serve = Callable[[trio.SocketStream], Awaitable[None]]

ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "0" * 32


@pytest.fixture(autouse=True)
def _straight_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def answers(body: bytes, status: str = "200 OK") -> Serve:
    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n"
            await stream.send_all(head.encode() + body)

    return serve


async def ask(serve: Serve, timeout: float = 5.0) -> str | None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, serve, [listener]))
        port = listener.socket.getsockname()[1]
        reason = await find_unreachable(f"http://127.0.0.1:{port}", "ours", timeout=timeout)
        nursery.cancel_scope.cancel()
    return reason


async def test_a_running_session_is_found_under_its_address() -> None:
    async with Patter().session(port=0) as session:
        assert await find_unreachable(session.url, session.id) is None
        assert await find_unreachable(session.url, "another") == "is answered by another session"
        assert await find_unreachable(f"{session.url}/prefix", session.id) == "answers with HTTP 404"


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (answers(b'{"session": "ours", "status": "ok"}'), None),
        (answers(b'{"session": "theirs"}'), "is answered by another session"),
        (answers(b'{"status": "up"}'), "is answered by something else"),
        (answers(b"<html>the tunnel's own page</html>"), "is answered by something else"),
        (answers(b"\xff\xfe"), "is answered by something else"),
        (
            answers(b'{"session": "ours", "pad": "' + b"x" * 1_000_000 + b'"}'),
            "is answered by something else",
        ),
        (answers(b"", "502 Bad Gateway"), "answers with HTTP 502"),
        (answers(b"", "302 Found"), "answers with HTTP 302"),
    ],
    ids=["ours", "theirs", "other JSON", "a page", "no text", "a flood", "a bad gateway", "a redirection"],
)
async def test_whoever_answers_is_recognised(serve: Serve, reason: str | None) -> None:
    assert await ask(serve) == reason


async def test_a_server_that_hangs_up_or_says_nonsense_cannot_be_reached() -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.aclose()

    async def talk(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(b"220 mail.example ESMTP\r\n")

    for serve in (hang_up, talk):
        reason = await ask(serve)
        assert reason is not None
        assert reason.startswith("cannot be reached from here (")


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:{port}", "https://127.0.0.1:{port}", "https://nowhere.invalid", "http://[::1"]
)
async def test_an_address_where_nobody_listens_cannot_be_reached(base: str) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    reason = await find_unreachable(base.format(port=port), "ours")
    assert reason is not None
    assert reason.startswith("cannot be reached from here (")


@pytest.mark.parametrize("begins", [False, True], ids=["silent", "a body that never ends"])
async def test_an_address_that_does_not_answer_is_given_up(begins: bool) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        if begins:
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{")
        await trio.sleep_forever()

    assert await ask(serve, timeout=0.2) == "did not answer within 0.2 s"


def patter(webhook_url: str) -> Patter:
    return Patter(Twilio(account_sid=ACCOUNT, auth_token=TOKEN), "+15550001234", webhook_url)


async def serve_until(url: str, done: Callable[[], bool]) -> None:
    agent = patter(url).agent(
        "You answer.", stt=ScriptedSTT(), tts=ScriptedTTS(), vad=ScriptedVAD(), llm=ScriptedLLM(["Yes."])
    )
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(patter(url).serve, agent, port=0))
            while not done():  # noqa: ASYNC110 (a log is all there is to see)
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()


async def test_serve_warns_once_and_says_what_to_do(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "_SETTLE_SECONDS", 0.0)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    await listener.aclose()
    with caplog.at_level(logging.WARNING, "patter_trio"):
        await serve_until(url, lambda: bool(caplog.records))
    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith(f"webhook_url {url} cannot be reached from here")
    assert "is the tunnel or proxy up, and does it forward to 127.0.0.1:" in said
    assert "\n" not in said


async def test_serve_is_quiet_where_its_address_leads_here(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    async def find(base_url: str, session_id: str) -> str | None:
        asked.append(await find_unreachable(base_url, session_id))
        return asked[-1]

    monkeypatch.setattr(reach, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(reach, "find_unreachable", find)
    with caplog.at_level(logging.WARNING, "patter_trio"):
        await serve_until("http://127.0.0.1:0", lambda: bool(asked))
    assert asked == [None]
    assert caplog.records == []
