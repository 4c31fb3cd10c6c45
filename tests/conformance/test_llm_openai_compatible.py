"""The OpenAI-compatible model against a loopback endpoint: what is sent, understood, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from patter_trio.errors import (
    AuthenticationError,
    LanguageModelError,
    PatterConfigError,
    PatterError,
    RateLimitError,
)
from patter_trio.events import LLMChunk
from patter_trio.llm import OpenAICompatibleLLM
from patter_trio.testing.checks import check_llm

from .answers import no_proxy, only, read_calls, text
from .chat_endpoint import (
    DONE,
    Answer,
    Exchange,
    delta,
    event,
    open_endpoint,
    refuses,
    replays,
    says,
    streams,
)
from .chat_providers import ASKED, hear
from .chat_providers import fail as failing

VECTORS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "chat_completions.json").read_text(encoding="utf-8")
)


@pytest.fixture(autouse=True)
def _straight_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)


def model(url: str, **settings: Any) -> OpenAICompatibleLLM:
    return OpenAICompatibleLLM(**{"base_url": url, "model": "small", "api_key": "EMPTY", **settings})


async def ask(answer: Answer, **settings: Any) -> list[LLMChunk]:
    async with open_endpoint(answer) as far, model(far.url, **settings).open() as live:
        return await hear(live)


async def fail(answer: Answer, **settings: Any) -> tuple[PatterError, list[LLMChunk]]:
    return await failing(model, answer, **settings)


async def test_usage_is_counted_once_before_done_also_where_every_chunk_has_it() -> None:
    (usage, done) = (await ask(replays(VECTORS["llm.openai.text_then_parallel_tools"]["frames"])))[-2:]
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (812, 14, 768)
    assert done == LLMChunk("done")
    counting = [
        event({"choices": [{"delta": {"content": "Yes"}}], "usage": {"completion_tokens": count}})
        for count in (1, 2)
    ]
    chunks = await ask(streams(*counting, delta("stop"), DONE))
    assert [chunk.output_tokens for chunk in chunks if chunk.type == "usage"] == [2]


# --- what imitators do --------------------------------------------------------------------------------------


async def test_comments_padding_and_reasoning_are_not_spoken() -> None:
    pieces = (
        b": keep-alive\n\n",
        b"event: message\nid: 7\nretry: 10\n",
        delta(role="assistant", content=None, reasoning_content="They ask for the hours."),
        delta(content="At eight.", obfuscation="aXyz", reasoning="Eight it is."),
        event({"choices": [], "obfuscation": "p"}),
        event({"choices": None, "usage": None}),
        event({"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]}),
        b":\n\n" + DONE,
    )
    assert await ask(streams(*pieces)) == [LLMChunk("text", content="At eight."), LLMChunk("done")]


async def test_how_the_body_is_cut_and_how_its_lines_end_changes_nothing() -> None:
    body = b"".join(says("Grüezi,\u2028 at\x85 eight\U0001f642.")).replace(b"\n", b"\r\n")
    whole = await ask(streams(body))
    assert text(whole) == "Grüezi,\u2028 at\x85 eight\U0001f642."
    assert await ask(streams(*(body[at : at + 1] for at in range(len(body))))) == whole
    assert await ask(streams(b"".join(says("At eight.")).replace(b"data: ", b"data:"))) == [
        LLMChunk("text", content="At eight."),
        LLMChunk("done"),
    ]


def tool(**fields: Any) -> bytes:
    return delta(tool_calls=[fields])


@pytest.mark.parametrize(
    "pieces",
    [
        (
            tool(index=0, id="a", function={"name": "hours", "arguments": "{}"}),
            tool(index=0, id="b", function={"name": "book", "arguments": '{"day":'}),
            tool(index=0, function={"arguments": '"Tue"}'}),
        ),
        (
            tool(id="a", function={"name": "hours", "arguments": "{}"}),
            tool(id="b", function={"name": "book", "arguments": '{"day":'}),
            tool(function={"arguments": '"Tue"}'}),
        ),
        (
            tool(index=0, id="a", function={"name": "hours", "arguments": {}}),
            tool(index=1, id="b", function={"name": "book", "arguments": {"day": "Tue"}}),
        ),
        (
            tool(index=0, id="a", function={"name": "hours", "arguments": ""}),
            tool(index=1, id="b", function={"name": "book", "arguments": '{"day":'}),
            tool(index=0, id="a", function={"name": "hours", "arguments": "{}"}),
            tool(index=1, id="", function={"name": "book", "arguments": '"Tue"}'}),
        ),
        (
            delta(
                tool_calls=[
                    {"index": 0, "id": "a", "function": {"name": "hours", "arguments": "{}"}},
                    {"index": 1, "id": "b", "function": {"name": "book", "arguments": '{"day":"Tue"}'}},
                ]
            ),
        ),
    ],
    ids=["index always 0", "no index", "arguments as objects", "id and name repeated", "all in one chunk"],
)
async def test_tool_calls_keep_apart_whatever_the_server_numbers_them(pieces: tuple[bytes, ...]) -> None:
    chunks = await ask(streams(delta(content="One moment."), *pieces, delta("stop"), DONE))
    assert text(chunks) == "One moment."
    assert read_calls(chunks) == [
        {"id": "a", "name": "hours", "arguments": {}},
        {"id": "b", "name": "book", "arguments": {"day": "Tue"}},
    ]


async def test_an_answer_without_done_ends_with_its_body() -> None:
    assert text(await ask(streams(*says("At eight.")[:-1]))) == "At eight."
    unterminated = delta("stop", content="At eight.").strip()
    assert await ask(streams(unterminated)) == [LLMChunk("text", content="At eight."), LLMChunk("done")]


async def test_a_server_that_keeps_the_body_open_after_done_costs_its_connection_only() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.begin()
        for piece in says("At eight."):
            await exchange.send(piece)
        await exchange.wait_gone()

    async with open_endpoint(answer) as far, model(far.url).open() as live:
        with trio.fail_after(3):
            await far.wait_warm()
            assert text(await hear(live)) == "At eight."
            await far.wait_warm(2)  # a spare one takes its place
            assert text(await hear(live)) == "At eight."
    first, second = far.requests
    assert first.connection != second.connection


# --- what goes wrong ----------------------------------------------------------------------------------------


async def test_a_stream_that_is_cut_is_an_error_after_what_was_said() -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(delta(content="We are "))
        await exchange.cut()

    for answer in (cut, streams(delta(content="We are "))):
        error, heard = await fail(answer)
        assert type(error) is LanguageModelError
        assert text(heard) == "We are "


@pytest.mark.parametrize(
    "piece",
    [
        b"data: {nonsense\n\n",
        b'data: {"choices": 7}\n\n',
        b"data: \xff\xfe\n\n",
        b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n',
        b"data: []\n\n",
        b"data: " + b"x" * 1_100_000,
        b"<html>busy</html>",
        b"",
    ],
    ids=["no JSON", "other JSON", "no text", "no UTF-8", "a list", "an endless line", "a page", "nothing"],
)
async def test_garbage_is_an_error_of_the_model(piece: bytes) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.begin()
        if piece:
            await exchange.send(piece)
        await exchange.end()

    error, heard = await fail(answer)
    assert type(error) is LanguageModelError
    assert heard == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, LanguageModelError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, LanguageModelError),
        (429, RateLimitError),
        (500, LanguageModelError),
        (302, LanguageModelError),
    ],
)
async def test_a_refused_request_says_why_in_one_line_without_the_key(
    status: int, kind: type[PatterError]
) -> None:
    body = json.dumps({"error": {"message": "The model\nwent home.", "code": "gone", "echo": "sk-secret"}})
    error, _ = await fail(refuses(status, body.encode()), api_key="sk-secret")
    assert type(error) is kind
    assert "sk-secret" not in str(error)
    assert "\n" not in str(error)
    if kind is not AuthenticationError:
        assert "The model went home. (gone)" in str(error)


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b'"busy"', b"[1]", b"\xff" * 100_000])
async def test_a_refusal_that_is_no_error_object_is_survived(body: bytes) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.begin(502)
        if body:
            await exchange.send(body)
        await exchange.end()

    error, _ = await fail(answer)
    assert type(error) is LanguageModelError
    assert "502" in str(error)
    assert len(str(error)) < 1000


async def test_a_refused_request_leaves_its_connection_for_the_next() -> None:
    async with open_endpoint(refuses(500, b"{}"), streams(*says("Back."))) as far:
        async with model(far.url).open() as live:
            await far.wait_warm()
            with pytest.raises((LanguageModelError, BaseExceptionGroup)):
                await hear(live)
            assert text(await hear(live)) == "Back."
        assert far.connections == 1


@pytest.mark.parametrize("begins", [False, True], ids=["before headers", "in the stream"])
async def test_a_silent_server_is_given_up(begins: bool) -> None:
    async def answer(exchange: Exchange) -> None:
        if begins:
            await exchange.begin()
            await exchange.send(delta(content="Well"))
        await exchange.wait_gone()

    error, heard = await fail(answer, timeout=0.1)
    assert "silent for too long" in str(error)
    assert text(heard) == ("Well" if begins else "")


async def test_nobody_listening_is_said_with_the_address() -> None:
    async with open_endpoint(streams(*says("x"))) as far:
        url = far.url
    async with model(url).open() as live:
        with pytest.raises((LanguageModelError, BaseExceptionGroup)) as raised:
            await hear(live)
    error = only(raised.value)
    assert type(error) is LanguageModelError
    assert f"small at {url}/chat/completions cannot be reached" in str(error)


async def test_a_server_that_is_no_web_server_is_an_error() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(b"220 mail.example ESMTP\r\n")
        await stream.aclose()

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        async with model(f"http://127.0.0.1:{listener.socket.getsockname()[1]}/v1").open() as live:
            with pytest.raises((LanguageModelError, BaseExceptionGroup)) as raised:
                await hear(live)
        assert type(only(raised.value)) is LanguageModelError
        nursery.cancel_scope.cancel()


# --- cancelling ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begins", [False, True], ids=["before headers", "in the stream"])
async def test_a_cancelled_answer_hangs_up_at_once_and_the_next_one_comes(begins: bool) -> None:
    asked, gone = trio.Event(), trio.Event()

    async def slow(exchange: Exchange) -> None:
        if begins:
            await exchange.begin()
            await exchange.send(delta(content="Well"))
        asked.set()
        await exchange.wait_gone()
        gone.set()

    async with open_endpoint(slow, streams(*says("At eight."))) as far, model(far.url).open() as live:
        heard: list[LLMChunk] = []
        async with trio.open_nursery() as turn:
            turn.start_soon(hear, live, heard)
            await asked.wait()
            while begins and not heard:  # noqa: ASYNC110 (the chunk is on its way through the socket)
                await trio.sleep(0.001)
            turn.cancel_scope.cancel()
        with trio.fail_after(1):
            await gone.wait()
        assert text(heard) == ("Well" if begins else "")
        assert text(await hear(live)) == "At eight."


async def test_leaving_after_the_first_words_hangs_up_too() -> None:
    gone = trio.Event()

    async def slow(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(delta(content="Well"))
        await exchange.wait_gone()
        gone.set()

    async with open_endpoint(slow) as far, model(far.url).open() as live:
        async with live.stream(ASKED) as chunks:
            async for _chunk in chunks:
                break
        with trio.fail_after(1):
            await gone.wait()


# --- what is sent -------------------------------------------------------------------------------------------


async def test_two_turns_share_a_connection() -> None:
    async with open_endpoint(streams(*says("One.")), streams(*says("Two."))) as far:
        async with model(far.url).open() as live:
            await far.wait_warm()
            assert text(await hear(live)) == "One."
            assert text(await hear(live)) == "Two."
        assert [request.connection for request in far.requests] == [1, 1]


async def test_the_request_is_what_the_wire_asks_for() -> None:
    tools = [{"type": "function", "function": {"name": "hours", "parameters": {"type": "object"}}}]
    async with open_endpoint(streams(*says("Yes."))) as far:
        llm = model(
            f"{far.url}/",
            api_key="sk-1\n",
            extra_headers={"X-Team": "desk"},
            extra_body={"temperature": 0.2, "max_completion_tokens": 300},
        )
        async with llm.open() as live:
            await hear(live, tools=tools, call_id="call-1")
            await hear(live)
    first, second = far.requests
    assert first.target == "/v1/chat/completions"
    assert first.headers["authorization"] == "Bearer sk-1"
    assert first.headers["x-team"] == "desk"
    assert first.headers["content-type"] == "application/json"
    assert first.body == {
        "model": "small",
        "messages": [{"role": "user", "content": "When are you open?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.2,
        "max_completion_tokens": 300,
        "tools": tools,
    }
    assert "tools" not in second.body


@pytest.mark.parametrize("key", ["EMPTY", "", " "])
async def test_without_a_key_no_authorization_is_sent(key: str) -> None:
    async with open_endpoint(streams(*says("Yes."))) as far, model(far.url, api_key=key).open() as live:
        await hear(live)
    assert "authorization" not in far.requests[0].headers


async def test_the_key_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "sk-env")
    async with open_endpoint(streams(*says("Yes."))) as far:
        llm = OpenAICompatibleLLM(base_url=far.url, model="small", extra_headers={"api-key": "sk-header"})
        async with llm.open() as live:
            await hear(live)
            assert "sk-" not in repr(llm) + repr(live)
    assert far.requests[0].headers["authorization"] == "Bearer sk-env"


@pytest.mark.parametrize(
    "setting",
    [
        {"base_url": ""},
        {"base_url": "localhost:11434/v1"},
        {"base_url": "ftp://localhost/v1"},
        {"base_url": "http://"},
        {"base_url": "http://[::1/v1"},
        {"model": ""},
        {"api_key": "sk\r\nX-Evil: 1"},
        {"api_key": "schlüssel"},
        {"timeout": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError) as raised:
        model("http://localhost:1/v1", **setting)
    assert "X-Evil" not in str(raised.value)


async def test_it_passes_the_conformance_check() -> None:
    async def slowly(exchange: Exchange) -> None:
        await exchange.begin()
        for piece in says("Very well, ", "thank you."):
            await exchange.send(piece)
            await trio.sleep(0.01)
        await exchange.end()

    async with open_endpoint(slowly) as far:
        await check_llm(model(far.url))
