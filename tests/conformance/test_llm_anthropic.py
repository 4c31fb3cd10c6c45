"""Claude against a loopback endpoint, through the SDK: what is sent, understood, and what goes wrong."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
import trio

from patter_trio.errors import (
    AuthenticationError,
    LanguageModelError,
    MissingExtraError,
    ModelTimeoutError,
    PatterConfigError,
    PatterError,
    RateLimitError,
)
from patter_trio.events import LLMChunk
from patter_trio.llm import AnthropicLLM, _models
from patter_trio.llm import anthropic as provider
from patter_trio.testing.checks import check_llm

from .answers import (
    ASKED,
    TOOLS,
    calls,
    fail,
    hear,
    history,
    no_proxy,
    only,
    read_calls,
    text,
    usage,
)
from .chat_endpoint import Answer, Exchange, refuses, streams
from .claude_endpoint import begins, block, called, ends, event, open_claude, replays, says, spoken

VECTORS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "anthropic_messages.json").read_text(encoding="utf-8")
)
EPHEMERAL = {"type": "ephemeral"}


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)
    for name in ("API_KEY", "AUTH_TOKEN", "BASE_URL", "CUSTOM_HEADERS", "PROFILE"):
        monkeypatch.delenv(f"ANTHROPIC_{name}", raising=False)


def model(url: str = "http://127.0.0.1:1", **settings: Any) -> AnthropicLLM:
    return AnthropicLLM(**{"base_url": url, "api_key": "sk-ant-secret", **settings})


async def ask(answer: Answer, **settings: Any) -> list[LLMChunk]:
    async with open_claude(answer) as far, model(far.url, **settings).open() as live:
        return await hear(live, tools=TOOLS)


async def failure(answer: Answer, **settings: Any) -> tuple[PatterError, list[LLMChunk]]:
    heard: list[LLMChunk] = []
    async with open_claude(answer) as far, model(far.url, **settings).open() as live:
        return await fail(live, heard), heard


async def sent(*, messages: Any = ASKED, tools: Any = TOOLS, **settings: Any) -> dict[str, Any]:
    """The body of a request."""
    async with open_claude(streams(*says("Yes."))) as far, model(far.url, **settings).open() as live:
        await hear(live, messages=messages, tools=tools)
    (request,) = far.requests
    body: dict[str, Any] = request.body
    return body


def key_of(request: Exchange) -> str:
    """The key, in whichever header the SDK has it: that changed with its version 2."""
    headers = request.headers
    return headers.get("x-api-key") or headers["authorization"].removeprefix("Bearer ")


# --- the sequences of the vectors ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in VECTORS if "error_kind" not in VECTORS[name]["expect"]])
async def test_answers_are_understood_as_the_vectors_say(name: str) -> None:
    expect = VECTORS[name]["expect"]
    chunks = await ask(replays(VECTORS[name]["frames"]))
    assert text(chunks) == expect["text"]
    assert read_calls(chunks) == expect.get("tool_calls", [])
    counted, said = usage(chunks), expect["usage"]
    assert counted.cache_read_tokens == said.get("cache_read", 0)
    assert counted.cache_write_tokens == said.get("cache_write", 0)
    uncached = counted.input_tokens - counted.cache_read_tokens - counted.cache_write_tokens
    assert (uncached, counted.output_tokens) == (said["input_uncached"], said["output"])
    assert [chunk.type for chunk in chunks][-2:] == ["usage", "done"]
    assert [chunk.type for chunk in chunks].count("done") == 1


@pytest.mark.parametrize("name", [name for name in VECTORS if "error_kind" in VECTORS[name]["expect"]])
async def test_failures_are_told_apart_as_the_vectors_say(name: str) -> None:
    expect = VECTORS[name]["expect"]
    error, heard = await failure(replays(VECTORS[name]["frames"]))
    assert heard == []
    assert type(error) is (RateLimitError if expect["error_kind"] == "rate_limited" else LanguageModelError)
    if "retry_after_s" in expect:
        assert isinstance(error, RateLimitError)
        assert error.retry_after == expect["retry_after_s"]
    assert ("overloaded" in str(error)) == (expect["error_kind"] == "overloaded")


@pytest.mark.parametrize("name", [name for name in VECTORS if "error_kind" not in VECTORS[name]["expect"]])
async def test_the_sdk_reads_the_endpoint_as_we_do(name: str) -> None:
    async with open_claude(replays(VECTORS[name]["frames"])) as far:
        async with model(far.url).open() as live:
            ours = await hear(live)
        sdk = anthropic.AsyncAnthropic(api_key="sk", base_url=far.url, max_retries=0)
        async with sdk, sdk.messages.stream(model="m", max_tokens=9, messages=[]) as stream:
            theirs = await stream.get_final_message()
    assert text(ours) == "".join(part.text for part in theirs.content if part.type == "text")
    assert read_calls(ours) == [
        {"id": part.id, "name": part.name, "arguments": part.input}
        for part in theirs.content
        if part.type == "tool_use"
    ]
    assert usage(ours).output_tokens == theirs.usage.output_tokens


# --- what is understood -------------------------------------------------------------------------------------


async def test_how_the_body_is_cut_changes_nothing() -> None:
    body = b"".join(
        (begins(), *spoken(0, "Grüezi,\u2028 \U0001f642"), *called(1, "t", "hours", '{"a"', ":1}"))
    )
    body += b"".join(ends("tool_use"))
    whole = await ask(streams(body))
    assert text(whole) == "Grüezi,\u2028 \U0001f642"
    assert read_calls(whole) == [{"id": "t", "name": "hours", "arguments": {"a": 1}}]
    assert await ask(streams(*(body[at : at + 1] for at in range(len(body))))) == whole
    assert await ask(streams(body.replace(b"\n", b"\r\n"))) == whole


async def test_parallel_calls_in_fragments_keep_apart_and_begin_with_id_and_name() -> None:
    chunks = await ask(
        streams(
            begins(),
            *spoken(0, "One moment."),
            *called(1, "toolu_a", "book_slot", "", '{"day"', ': "Tue"}'),
            *called(2, "toolu_b", "get_hours", ""),
            *ends("tool_use"),
        )
    )
    made = [
        (chunk.index, chunk.id, chunk.name, chunk.arguments) for chunk in chunks if chunk.type == "tool_call"
    ]
    assert made == [
        (0, "toolu_a", "book_slot", ""),
        (0, "", "", '{"day"'),
        (0, "", "", ': "Tue"}'),
        (1, "toolu_b", "get_hours", ""),
        (1, "", "", "{}"),
    ]


async def test_arguments_that_stand_where_the_call_begins_are_taken() -> None:
    begin = {"type": "tool_use", "id": "t", "name": "book_slot", "input": {"day": "Tue"}}
    chunks = await ask(streams(begins(), *block(0, begin), *ends("tool_use")))
    assert read_calls(chunks) == [{"id": "t", "name": "book_slot", "arguments": {"day": "Tue"}}]


async def test_malformed_arguments_come_as_the_model_wrote_them() -> None:
    chunks = await ask(streams(begins(), *called(0, "t", "book_slot", '{"day": '), *ends("max_tokens")))
    assert calls(chunks) == [{"id": "t", "name": "book_slot", "arguments": '{"day": '}]
    assert chunks[-1].type == "done"


async def test_thinking_and_unknown_events_are_not_spoken() -> None:
    thinking = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "They ask for the hours."},
        {"type": "signature_delta", "signature": "c2ln"},
    )
    pieces = (
        *(begins(), event({"type": "ping"}), *thinking),
        *block(1, {"type": "redacted_thinking", "data": "x"}),
        *block(2, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
        event(
            {
                "type": "content_block_delta",
                "index": 2,
                "delta": {"type": "input_json_delta", "partial_json": "{"},
            }
        ),
        *(event({"type": "new_event", "index": 0, "delta": {"text": 7}} | {"delta": {}}), b": comment\n\n"),
        *(*block(3, {"type": "text", "text": "At "}, {"type": "text_delta", "text": "eight."}), *ends()),
    )
    chunks = await ask(streams(*pieces))
    assert [chunk for chunk in chunks if chunk.type != "usage"] == [
        LLMChunk("text", content="At "),
        LLMChunk("text", content="eight."),
        LLMChunk("done"),
    ]


async def test_an_answer_without_its_last_event_ends_with_its_body() -> None:
    chunks = await ask(streams(*says("At eight.")[:-1]))
    assert text(chunks) == "At eight."
    assert chunks[-1] == LLMChunk("done")


async def test_a_server_that_keeps_the_body_open_costs_its_connection_only() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(b"".join(says("At eight.")))
        await exchange.wait_gone()

    async with open_claude(answer) as far, model(far.url).open() as live:
        await far.wait_warm()
        with trio.fail_after(3):
            assert text(await hear(live)) == "At eight."
            await far.wait_warm(2)
            assert text(await hear(live)) == "At eight."
    assert [request.connection for request in far.requests] == [1, 2]


# --- what goes wrong ----------------------------------------------------------------------------------------


async def test_a_refusal_is_an_error_after_its_usage() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "It could\nharm."}
    error, heard = await failure(
        streams(begins(), *spoken(0, "Well, "), *ends("refusal", stop_details=details))
    )
    assert type(error) is LanguageModelError
    assert str(error) == "the model refused to answer: bio: It could harm."
    assert [chunk.type for chunk in heard] == ["text", "usage"]
    error, _ = await failure(streams(begins(), *ends("refusal")))
    assert str(error) == "the model refused to answer"


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("overloaded_error", LanguageModelError),
        ("api_error", LanguageModelError),
        ("rate_limit_error", RateLimitError),
        ("authentication_error", AuthenticationError),
    ],
)
async def test_an_error_in_the_stream_comes_after_what_was_said(kind: str, raised: type[PatterError]) -> None:
    told = event({"type": "error", "error": {"type": kind, "message": "Not\nnow"}})
    error, heard = await failure(streams(begins(), *spoken(0, "We are "), told))
    assert type(error) is raised
    assert "\n" not in str(error)
    assert text(heard) == "We are "


@pytest.mark.parametrize("cleanly", [True, False])
async def test_a_stream_that_is_cut_is_an_error_after_what_was_said(cleanly: bool) -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(begins() + spoken(0, "We are ")[1])
        await (exchange.end() if cleanly else exchange.cut())

    error, heard = await failure(cut)
    assert type(error) is LanguageModelError
    assert ("stopped in the middle" if cleanly else "broke off") in str(error)
    assert text(heard) == "We are "


@pytest.mark.parametrize(
    "piece",
    [
        b"data: {nonsense\n\n",
        b'data: {"type": 7}\n\n',
        b'data: {"type": "content_block_delta", "delta": {"text": "\xff"}}\n\n',
        b"data: []\n\n",
        b"data: " + b"x" * 4_300_000,
        b"<html>busy</html>",
    ],
    ids=["no JSON", "other JSON", "no UTF-8", "a list", "an endless event", "a page"],
)
async def test_garbage_is_an_error_of_the_model(piece: bytes) -> None:
    error, heard = await failure(streams(piece))
    assert type(error) is LanguageModelError
    assert heard == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((400, LanguageModelError), (401, AuthenticationError), (402, AuthenticationError)),
        *((403, AuthenticationError), (404, LanguageModelError), (413, LanguageModelError)),
        *(
            (429, RateLimitError),
            (500, LanguageModelError),
            (529, LanguageModelError),
            (302, LanguageModelError),
        ),
    ],
)
async def test_a_refused_request_says_why_in_one_line_without_the_key(
    status: int, kind: type[PatterError]
) -> None:
    body = {
        "type": "error",
        "error": {"type": "odd_error", "message": "Went\nhome."},
        "echo": "sk-ant-secret",
    }
    error, _ = await failure(refuses(status, json.dumps(body).encode()))
    assert type(error) is kind
    if isinstance(error, LanguageModelError):
        assert error.temporary is (status >= 500)
    assert "sk-ant-secret" not in str(error)
    assert "\n" not in str(error)
    if kind is not AuthenticationError:
        assert "Went home. (odd_error)" in str(error)
    if status == 404:
        assert "model='claude-haiku-4-5-20251001'" in str(error)


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b'"busy"', b"[1]", b"\xff" * 10_000])
async def test_a_refusal_that_is_no_error_object_is_survived(body: bytes) -> None:
    error, _ = await failure(refuses(502, body))
    assert type(error) is LanguageModelError
    assert "502" in str(error)
    assert len(str(error)) < 1000


async def test_nothing_is_tried_twice_and_a_refusal_leaves_its_connection_for_the_next() -> None:
    async with (
        open_claude(refuses(529, b"{}"), streams(*says("Back."))) as far,
        model(far.url).open() as live,
    ):
        await far.wait_warm()
        await fail(live)
        assert text(await hear(live)) == "Back."
    assert (len(far.requests), far.connections) == (2, 1)


async def test_nobody_listening_is_said_with_the_address() -> None:
    async with open_claude(streams(*says("x"))) as far:
        url = far.url
    async with model(url).open() as live:
        error = await fail(live)
    assert type(error) is LanguageModelError
    assert f"claude-haiku-4-5-20251001 at {url} cannot be reached" in str(error)


# --- deadlines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "setting", "said"),
    [
        ("headers", "first_token_timeout", "said nothing for 0.1 s (first_token_timeout=)"),
        ("ping", "first_token_timeout", "said nothing for 0.1 s (first_token_timeout=)"),
        ("words", "first_token_timeout", "fell silent for 0.1 s within its answer (first_token_timeout=)"),
        ("headers", "turn_timeout", "did not finish its answer within 0.1 s (turn_timeout=)"),
        ("words", "turn_timeout", "did not finish its answer within 0.1 s (turn_timeout=)"),
    ],
)
async def test_a_silent_server_is_given_up_and_hung_up_on(stage: str, setting: str, said: str) -> None:
    gone = trio.Event()

    async def answer(exchange: Exchange) -> None:
        if stage != "headers":
            await exchange.begin()
            await exchange.send(begins() + event({"type": "ping"}))
        if stage == "words":
            await exchange.send(spoken(0, "Well")[1])
        await exchange.wait_gone()
        gone.set()

    heard: list[LLMChunk] = []
    async with open_claude(answer) as far, model(far.url, **{setting: 0.1}).open() as live:
        error = await fail(live, heard)
        with trio.fail_after(1):
            await gone.wait()
    assert type(error) is ModelTimeoutError
    assert said in str(error)
    assert text(heard) == ("Well" if stage == "words" else "")


async def test_words_that_keep_coming_are_listened_to_beyond_the_first_tokens_deadline() -> None:
    async def slowly(exchange: Exchange) -> None:
        await exchange.begin()
        for piece in says(*"abcdef"):
            await exchange.send(piece)
            await trio.sleep(0.15)
        await exchange.end()

    async with open_claude(slowly) as far, model(far.url, first_token_timeout=0.8).open() as live:
        assert text(await hear(live)) == "abcdef"


async def test_a_listener_who_takes_long_costs_the_model_no_time() -> None:
    async with (
        open_claude(streams(*says(*"abcdefgh"))) as far,
        model(far.url, first_token_timeout=1.0, turn_timeout=1.0).open() as live,
    ):
        heard = ""
        async with live.stream(ASKED) as chunks:
            async for chunk in chunks:
                heard += chunk.content
                await trio.sleep(0.15)
    assert heard == "abcdefgh"


async def test_an_address_that_does_not_answer_is_given_up_after_the_connect_timeout() -> None:
    full = trio.socket.socket()
    with full:
        await full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        # Two connections fill the queue; the kernel leaves all that follow without an answer.
        taken = [trio.socket.socket() for _ in range(3)]
        with trio.move_on_after(0.1):
            for knock in taken:
                await knock.connect(("127.0.0.1", port))
        async with model(f"http://127.0.0.1:{port}", connect_timeout=0.1).open() as live:
            error = await fail(live)
        for knock in taken:
            knock.close()
    assert type(error) is ModelTimeoutError
    assert "could not be connected to in time" in str(error)


# --- cancelling ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True], ids=["before headers", "in the stream"])
async def test_a_cancelled_answer_hangs_up_at_once_and_the_next_one_comes(begun: bool) -> None:
    asked, gone = trio.Event(), trio.Event()

    async def slow(exchange: Exchange) -> None:
        if begun:
            await exchange.begin()
            await exchange.send(begins() + spoken(0, "Well")[1])
        asked.set()
        await exchange.wait_gone()
        gone.set()

    async with open_claude(slow, streams(*says("At eight."))) as far, model(far.url).open() as live:
        heard: list[LLMChunk] = []
        async with trio.open_nursery() as turn:
            turn.start_soon(hear, live, heard)
            await asked.wait()
            while begun and not heard:  # noqa: ASYNC110 (the chunk is on its way through the socket)
                await trio.sleep(0.001)
            turn.cancel_scope.cancel()
        with trio.fail_after(1):
            await gone.wait()
        assert text(heard) == ("Well" if begun else "")
        assert text(await hear(live)) == "At eight."


async def test_leaving_an_answer_early_costs_one_connection_and_opens_one() -> None:
    async def slow(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(begins() + spoken(0, "Well")[1])
        await exchange.wait_gone()

    async with open_claude(slow) as far, model(far.url).open() as live:
        await far.wait_warm()
        for turn in range(3):
            async with live.stream(ASKED) as chunks:
                async for _chunk in chunks:
                    break
            await far.wait_warm(turn + 2)
        assert [request.connection for request in far.requests] == [1, 2, 3]
        assert {target for _, target in far.warmed} == {"/v1/models?limit=1"}
        await far.wait_until(lambda: far.open_now == 1)


async def test_answers_cancelled_at_random_moments_hang_up_and_leave_no_task() -> None:
    gone = 0

    async def slow(exchange: Exchange) -> None:
        nonlocal gone
        try:
            await trio.sleep(0.002)
            await exchange.begin()
            for piece in says(*"abcdefghij"):
                await exchange.send(piece)
                await trio.sleep(0.001)
            await exchange.wait_gone()
        finally:
            gone += 1

    chance = random.Random(7)
    async with open_claude(slow) as far, model(far.url).open() as live:
        before = trio.lowlevel.current_statistics().tasks_living
        for _ in range(60):
            with trio.move_on_after(chance.uniform(0, 0.02)):
                await hear(live)
        with trio.fail_after(2):
            while gone < len(far.requests):  # noqa: ASYNC110 (the far end is another task)
                await trio.sleep(0.001)
            while trio.lowlevel.current_statistics().tasks_living > before:  # noqa: ASYNC110
                await trio.sleep(0.001)
        assert len(far.requests) > 20


# --- what is sent -------------------------------------------------------------------------------------------


async def test_the_request_is_what_the_wire_asks_for() -> None:
    async with open_claude(streams(*says("Yes."))) as far, model(f"{far.url}/").open() as live:
        await hear(live, tools=TOOLS)
    (request,) = far.requests
    assert request.target == "/v1/messages"
    assert key_of(request) == "sk-ant-secret"
    sdk = anthropic.AsyncAnthropic(api_key="sk")
    assert request.headers["anthropic-version"] == sdk.default_headers["anthropic-version"]
    assert request.body == {
        "model": "claude-haiku-4-5-20251001",
        "max_tokens": 1024,
        "stream": True,
        "system": [{"type": "text", "text": "You answer for a bakery.", "cache_control": EPHEMERAL}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "When are you open?"}]}],
        "tools": [
            {
                "name": "book_slot",
                "description": "Books a table.",
                "input_schema": TOOLS[0]["function"]["parameters"],
                "strict": True,
            },
            {"name": "get_hours", "input_schema": {"type": "object"}, "cache_control": EPHEMERAL},
        ],
    }


async def test_without_prompt_caching_nothing_is_marked() -> None:
    assert "cache_control" not in json.dumps(await sent(prompt_caching=False))


async def test_without_system_prompt_and_tools_neither_is_sent() -> None:
    body = await sent(messages=[{"role": "user", "content": "Hello?"}], tools=None)
    assert set(body) == {"model", "max_tokens", "messages", "stream"}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(
            ("model", "claude-haiku-5-5"),
            ("max_tokens", 300),
            ("temperature", 0.2),
            ("top_p", 0.9),
            ("top_k", 5),
        ),
        *(("stop_sequences", ["STOP"]), ("thinking", {"type": "disabled"})),
    ],
)
async def test_a_setting_reaches_the_wire(setting: str, value: Any) -> None:
    assert (await sent(**{setting: value}))[setting] == value


async def test_whatever_else_the_wire_takes_can_be_added() -> None:
    body = await sent(extra_body={"tool_choice": {"type": "any"}, "service_tier": "auto"})
    assert (body["tool_choice"], body["service_tier"]) == ({"type": "any"}, "auto")


async def test_sampling_is_asked_for_in_the_last_version_of_the_api_that_has_it() -> None:
    async def as_the_api_does(exchange: Exchange) -> None:
        newer = exchange.headers["anthropic-version"] > "2023-06-01"
        if newer and {"temperature", "top_p", "top_k"} & set(exchange.body):
            error = {
                "type": "invalid_request_error",
                "message": "temperature: Extra inputs are not permitted",
            }
            await refuses(400, json.dumps({"type": "error", "error": error}).encode())(exchange)
        else:
            await streams(*says("Yes."))(exchange)

    for setting in ({"temperature": 0.0}, {"top_p": 0.5}, {"top_k": 5}):
        async with open_claude(as_the_api_does) as far, model(far.url, **setting).open() as live:
            assert text(await hear(live)) == "Yes."
        (request,) = far.requests
        assert setting.items() <= request.body.items()


async def test_a_parameter_that_the_model_does_not_take_is_left_out_from_then_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = replays(VECTORS["llm.anthropic.http_400_sampling"]["frames"])
    async with (
        open_claude(refused, streams(*says("Yes."))) as far,
        model(far.url, temperature=0.3, top_k=5).open() as live,
    ):
        assert text(await hear(live)) == "Yes."
        assert text(await hear(live)) == "Yes."
    assert [request.body.get("temperature") for request in far.requests] == [0.3, None, None]
    assert [request.body["top_k"] for request in far.requests] == [5, 5, 5]
    assert {request.headers["anthropic-version"] for request in far.requests} == {"2023-06-01"}
    (warned,) = [record.getMessage() for record in caplog.records if record.name == "patter_trio.llm"]
    assert warned == "claude-haiku-4-5-20251001 does not take temperature: left out from now on"


async def test_a_tool_loop_gives_the_calls_their_results_and_the_thinking_back() -> None:
    thinking = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Tuesday."},
        {"type": "signature_delta", "signature": "c2ln"},
    )
    asks = streams(
        *(
            begins(),
            *thinking,
            *spoken(1, "One moment."),
            *called(2, "toolu_a", "book_slot", '{"day":"Tue"}'),
        ),
        *(*called(3, "toolu_b", "get_hours"), *ends("tool_use")),
    )
    async with open_claude(asks, streams(*says("Done."))) as far, model(far.url).open() as live:
        answered = await hear(live, tools=TOOLS, call_id="call-1")
        conversation = history(answered, '{"ok": true}', "8 to 5")
        assert text(await hear(live, messages=conversation, tools=TOOLS, call_id="call-1")) == "Done."
        await hear(live, messages=conversation, tools=TOOLS, call_id="call-2")
    _, second, other_call = far.requests
    thought = {"type": "thinking", "thinking": "Tuesday.", "signature": "c2ln"}
    said = [
        {"type": "text", "text": "One moment."},
        {"type": "tool_use", "id": "toolu_a", "name": "book_slot", "input": {"day": "Tue"}},
        {"type": "tool_use", "id": "toolu_b", "name": "get_hours", "input": {}},
    ]
    assert second.body["messages"][1:] == [
        {"role": "assistant", "content": [thought, *said]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_a", "content": '{"ok": true}'},
                {"type": "tool_result", "tool_use_id": "toolu_b", "content": "8 to 5"},
            ],
        },
    ]
    assert other_call.body["messages"][1] == {"role": "assistant", "content": said}


async def test_two_turns_share_a_connection() -> None:
    async with (
        open_claude(streams(*says("One.")), streams(*says("Two."))) as far,
        model(far.url).open() as live,
    ):
        await far.wait_warm()
        assert text(await hear(live)) == "One."
        assert text(await hear(live)) == "Two."
    assert [request.connection for request in far.requests] == [1, 1]


async def test_a_ready_client_is_used_and_stays_open() -> None:
    async with open_claude(refuses(500, b"{}"), streams(*says("Yes."))) as far:
        sdk = anthropic.AsyncAnthropic(
            api_key="sk-theirs", base_url=far.url, default_headers={"x-team": "desk"}, max_retries=5
        )
        async with sdk:
            async with AnthropicLLM(client=sdk).open() as live:
                await fail(live)
                assert text(await hear(live)) == "Yes."
            assert not sdk.is_closed()
    assert [key_of(request) for request in far.requests] == ["sk-theirs"] * 2
    assert far.requests[0].headers["x-team"] == "desk"


async def test_a_ready_client_for_vertex_ai_is_used_too() -> None:
    async with open_claude(streams(*says("Yes."))) as far:
        sdk = anthropic.AsyncAnthropicVertex(  # pyright: ignore[reportPrivateImportUsage]
            region="eu", project_id="bakery", access_token="ya29", base_url=f"{far.url}/v1"
        )
        client: Any = sdk
        async with sdk, AnthropicLLM(client=client).open() as live:
            assert text(await hear(live)) == "Yes."
    (request,) = far.requests
    assert "/projects/bakery/locations/eu/publishers/anthropic/models/" in request.target
    assert request.headers["authorization"] == "Bearer ya29"


# --- settings -----------------------------------------------------------------------------------------------


async def test_the_key_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-env\n")
    async with open_claude(streams(*says("Yes."))) as far:
        llm = AnthropicLLM(base_url=far.url)
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        async with llm.open() as live:
            await hear(live)
            assert "sk-ant" not in repr(llm) + repr(live) + repr(model(api_key="sk-ant-arg"))
    assert key_of(far.requests[0]) == "sk-ant-env"


def test_the_defaults_are_the_public_contract() -> None:
    llm = model()
    assert (llm.name, llm.model, llm.max_tokens) == ("anthropic", "claude-haiku-4-5-20251001", 1024)
    assert llm.prompt_caching is True
    assert provider.LLM is AnthropicLLM


@pytest.mark.parametrize(
    "setting",
    [
        *({"model": ""}, {"model": "claude haiku"}, {"base_url": ""}, {"base_url": "api.anthropic.com"}),
        *({"api_key": ""}, {"api_key": "sk\r\nX-Evil: 1"}, {"api_key": "schlüssel"}, {"api_key": 7}),
        *({"max_tokens": 0}, {"max_tokens": 1.5}, {"max_tokens": True}, {"prompt_caching": "yes"}),
        *({"temperature": 1.5}, {"temperature": "hot"}, {"top_p": -0.1}, {"top_k": 0}),
        *({"stop_sequences": "STOP"}, {"stop_sequences": [""]}, {"stop_sequences": None}),
        *({"thinking": "off"}, {"extra_body": None}, {"connect_timeout": 0}, {"first_token_timeout": -1}),
        *({"turn_timeout": float("inf")}, {"turn_timeout": True}),
    ],
)
def test_settings_that_cannot_work_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError) as raised:
        model(**setting)
    assert next(iter(setting)) in str(raised.value)
    assert "X-Evil" not in str(raised.value)


def test_a_missing_key_names_the_way_out() -> None:
    with pytest.raises(PatterConfigError, match="set ANTHROPIC_API_KEY"):
        AnthropicLLM()


def test_a_client_that_does_not_do_is_refused() -> None:
    blocking = anthropic.Anthropic(api_key="sk")
    bedrock = anthropic.AsyncAnthropicBedrock(  # pyright: ignore[reportPrivateImportUsage]
        aws_access_key="a", aws_secret_key="b", aws_region="eu-west-1", http_client=httpx2.AsyncClient()
    )
    for client in (blocking, bedrock, anthropic.AsyncAnthropic, object()):
        with pytest.raises(PatterConfigError, match="client="):
            AnthropicLLM(client=client)  # type: ignore[arg-type]
    with pytest.raises(PatterConfigError, match="brings its own key"):
        AnthropicLLM(client=anthropic.AsyncAnthropic(api_key="sk"), api_key="sk-2")
    with pytest.raises(PatterConfigError, match="brings its own key"):
        AnthropicLLM(client=anthropic.AsyncAnthropic(api_key="sk"), base_url="http://localhost")


def test_a_retired_model_is_accepted_and_its_successor_named_once(caplog: pytest.LogCaptureFixture) -> None:
    _models._warn.cache_clear()
    assert model(model="claude-sonnet-4-5").model == model(model="claude-sonnet-4-5").model
    (warned,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "its successor is claude-sonnet-5-5" in warned


async def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "anthropic", None)
    with pytest.raises(MissingExtraError, match=r"patter-trio\[anthropic\]"):
        async with model().open():
            pass


async def test_a_message_that_cannot_be_sent_is_refused_before_anything_is() -> None:
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}
    async with open_claude(streams(*says("x"))) as far, model(far.url).open() as live:
        with pytest.raises(LanguageModelError, match="image_url"):
            live.stream([picture])
    assert far.requests == []


async def test_it_passes_the_conformance_check() -> None:
    async def slowly(exchange: Exchange) -> None:
        await exchange.begin()
        for piece in says("Very well, ", "thank you."):
            await exchange.send(piece)
            await trio.sleep(0.002)
        await exchange.end()

    async with open_claude(slowly) as far:
        await check_llm(model(far.url))


def test_only_takes_a_failure_out_of_its_groups() -> None:
    error = LanguageModelError("x")
    assert only(BaseExceptionGroup("", [BaseExceptionGroup("", [error])])) is error
