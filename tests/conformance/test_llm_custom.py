"""A web address in place of a model, over HTTP and over a WebSocket, on loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio_websocket

from patter_trio.errors import (
    AuthenticationError,
    LanguageModelError,
    ModelTimeoutError,
    PatterConfigError,
    PatterError,
    RateLimitError,
)
from patter_trio.events import LLMChunk, Message
from patter_trio.llm import CustomLLM
from patter_trio.testing.checks import check_llm

from .answers import no_proxy, only, text
from .chat_endpoint import Answer, Exchange, open_endpoint, refuses
from .chat_providers import hear

TALK: tuple[Message, ...] = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello?"},
    {"role": "assistant", "content": "Good morning."},
    {"role": "user", "content": "When are you open?"},
)
EVENT = {
    "text": "When are you open?",
    "call_id": "CA1",
    "caller": "",
    "callee": "",
    "history": [{"role": "user", "text": "Hello?"}, {"role": "assistant", "text": "Good morning."}],
}


@pytest.fixture(autouse=True)
def _straight_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)


async def ask(live: Any) -> list[LLMChunk]:
    async with live.stream(TALK, call_id="CA1") as chunks:
        return [chunk async for chunk in chunks]


async def failure(live: Any) -> PatterError:
    with pytest.raises((PatterError, BaseExceptionGroup)) as raised, trio.fail_after(5):
        await ask(live)
    return only(raised.value)


# --- HTTP ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"At eight.", "At eight."),
        (b'{"text": "At eight."}', "At eight."),
        (b'"At eight."', "At eight."),
        ("Grüezi, um acht.".encode(), "Grüezi, um acht."),
        (b"8", "8"),
        (b"", ""),
    ],
)
async def test_a_post_is_answered_with_text_or_an_object(body: bytes, words: str) -> None:
    async with (
        open_endpoint(refuses(200, body)) as far,
        CustomLLM(far.url, extra_headers={"X-Key": "k"}, allow_private=True).open() as live,
    ):
        assert live.model == "127.0.0.1"
        assert await ask(live) == [LLMChunk("text", content=words), LLMChunk("done")]
        await ask(live)
    assert far.requests[0].body == EVENT
    assert far.requests[0].headers["x-key"] == "k"
    assert far.connections == 1


async def test_it_serves_on_message_too() -> None:
    async with (
        open_endpoint(refuses(200, b"At eight.")) as far,
        CustomLLM(far.url, allow_private=True).open() as live,
    ):
        assert [piece async for piece in live.answer({"text": "Hi", "caller": "+15550100"})] == ["At eight."]
    assert far.requests[0].body == {"text": "Hi", "caller": "+15550100"}


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (refuses(500, b"oh"), LanguageModelError, "500"),
        (refuses(401, b""), AuthenticationError, "401"),
        (refuses(429, b"slow down"), RateLimitError, "slow down"),
        (refuses(302, b"", {"location": "http://169.254.169.254/"}), LanguageModelError, "302"),
        (refuses(200, b'{"reply": "x"}'), LanguageModelError, "without words"),
        (refuses(200, b'{"text": 3}'), LanguageModelError, "without words"),
        (refuses(200, b"x" * 70_000), LanguageModelError, "more than 65536 bytes"),
    ],
    ids=["error", "key", "limit", "elsewhere", "no text", "no words", "too long"],
)
async def test_what_is_no_answer_is_an_error(answer: Answer, kind: type[PatterError], said: str) -> None:
    async with open_endpoint(answer) as far, CustomLLM(far.url, allow_private=True).open() as live:
        error = await failure(live)
    assert type(error) is kind
    assert said in str(error)


async def test_an_answer_may_be_as_long_as_the_limit() -> None:
    async with (
        open_endpoint(refuses(200, b"x" * 65_536)) as far,
        CustomLLM(far.url, allow_private=True).open() as live,
    ):
        assert len(text(await ask(live))) == 65_536


async def test_a_slow_answer_is_given_up_and_a_trickling_one_too() -> None:
    async def trickles(exchange: Exchange) -> None:
        await exchange.begin()
        while True:
            await exchange.send(b" ")
            await trio.sleep(0.01)

    async def silent(exchange: Exchange) -> None:
        await exchange.wait_gone()

    for answer in (trickles, silent):
        async with (
            open_endpoint(answer) as far,
            CustomLLM(far.url, timeout=0.1, allow_private=True).open() as live,
        ):
            error = await failure(live)
            assert type(error) is ModelTimeoutError
            assert "within 0.1 s" in str(error)
            await far.wait_idle()


async def test_nobody_listening_is_an_error_that_may_pass() -> None:
    async with open_endpoint(refuses(200, b"x")) as far:
        url = far.url
    for address in (url, url.replace("http", "ws")):
        async with CustomLLM(address, allow_private=True).open() as live:
            error = await failure(live)
            assert isinstance(error, LanguageModelError)
            assert error.temporary


# --- WebSocket ----------------------------------------------------------------------------------------------

Talk = Callable[[Any, list[Any]], Awaitable[None]]


@asynccontextmanager
async def open_socket(talk: Talk) -> AsyncIterator[tuple[str, list[Any]]]:
    """A server that an independent library runs."""
    seen: list[Any] = []

    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        try:
            async with await request.accept() as socket:
                seen.append(json.loads(await socket.get_message()))
                await talk(socket, seen)
        except trio_websocket.ConnectionClosed:
            seen.append("gone")

    async with trio.open_nursery() as nursery:
        # This library's server waits out its whole patience where a client goes before it has asked anything.
        serves = partial(trio_websocket.serve_websocket, connect_timeout=0.3)
        server = await nursery.start(serves, serve, "127.0.0.1", 0, None)
        yield f"ws://127.0.0.1:{server.port}/talk", seen
        nursery.cancel_scope.cancel()


def sends(*messages: str) -> Talk:
    async def talk(socket: Any, seen: list[Any]) -> None:
        for message in messages:
            await socket.send_message(message)

    return talk


async def test_messages_are_words_until_done() -> None:
    talk = sends('{"text": "At "}', '{"text": "eight."}', '{"done": true}', '{"text": "late"}')
    async with open_socket(talk) as (url, seen), CustomLLM(url, allow_private=True).open() as live:
        assert await ask(live) == [
            LLMChunk("text", content="At "),
            LLMChunk("text", content="eight."),
            LLMChunk("done"),
        ]
    assert seen[0] == EVENT
    async with (
        open_socket(sends('{"text": "Yes.", "done": true}')) as (url, _),
        CustomLLM(url, allow_private=True).open() as live,
    ):
        assert text(await ask(live)) == "Yes."


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (sends('{"text": "At "}'), "stopped in the middle"),
        (sends("At eight."), "no JSON object"),
        (sends("[1]"), "no JSON object"),
        (sends('{"text": 8}'), "without words"),
        (sends(*['{"text": "' + "x" * 30_000 + '"}'] * 3), "more than 65536 bytes"),
        (sends('{"text": "' + "x" * 70_000 + '"}'), ""),
    ],
    ids=["cut", "plain", "list", "number", "too much", "too long"],
)
async def test_what_is_no_talk_is_an_error(talk: Talk, said: str) -> None:
    async with open_socket(talk) as (url, _), CustomLLM(url, allow_private=True).open() as live:
        error = await failure(live)
    assert type(error) is LanguageModelError
    assert said in str(error)


async def test_a_silent_socket_is_given_up() -> None:
    async def silent(socket: Any, seen: list[Any]) -> None:
        await socket.send_message('{"text": "Well"}')
        await socket.get_message()

    async with (
        open_socket(silent) as (url, _),
        CustomLLM(url, timeout=0.1, allow_private=True).open() as live,
    ):
        assert type(await failure(live)) is ModelTimeoutError


async def test_a_cancelled_answer_closes_the_socket() -> None:
    gone = trio.Event()

    async def waits(socket: Any, seen: list[Any]) -> None:
        await socket.send_message('{"text": "Well"}')
        try:
            await socket.get_message()
        except trio_websocket.ConnectionClosed:
            gone.set()

    async with open_socket(waits) as (url, _), CustomLLM(url, allow_private=True).open() as live:
        async with live.stream(TALK) as chunks:
            async for _chunk in chunks:
                break
        with trio.fail_after(2):
            await gone.wait()


# --- both ---------------------------------------------------------------------------------------------------


async def test_both_pass_the_conformance_check() -> None:
    async with open_endpoint(refuses(200, b"Very well.")) as far:
        await check_llm(CustomLLM(far.url, allow_private=True))
    async with open_socket(sends('{"text": "Very well."}', '{"done": true}')) as (url, _):
        await check_llm(CustomLLM(url, allow_private=True))


async def test_without_anything_said_the_text_is_empty() -> None:
    async with (
        open_endpoint(refuses(200, b"Hello.")) as far,
        CustomLLM(far.url, allow_private=True).open() as live,
    ):
        async with live.stream([{"role": "system", "content": "Greet."}]) as chunks:
            assert text([chunk async for chunk in chunks]) == "Hello."
        await hear(live)
    assert (far.requests[0].body["text"], far.requests[0].body["history"]) == ("", [])


@pytest.mark.parametrize(
    "settings",
    [{"url": ""}, {"url": "example.com"}, {"url": "ftp://x"}, {"url": "http://x", "timeout": 0}, {"url": 3}],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        CustomLLM(**settings)


def test_headers_are_never_shown() -> None:
    assert "sk-" not in repr(CustomLLM("https://example.com", extra_headers={"Authorization": "sk-1"}))
