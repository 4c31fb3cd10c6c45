"""Gemini against a loopback endpoint, on both of its APIs: what is sent, understood, and what goes wrong."""

from __future__ import annotations

import functools
import json
import logging
import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

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
from patter_trio.llm import GoogleLLM, _models
from patter_trio.llm import google as provider
from patter_trio.testing.checks import check_llm

from .answers import ASKED, TOOLS, fail, hear, history, no_proxy, read_calls, text, usage
from .chat_endpoint import Answer, Exchange, refuses, streams
from .gemini_endpoint import (
    COUNTS,
    calls,
    event,
    open_gemini,
    open_token_server,
    parts,
    replays,
    says,
)

VECTORS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "gemini_generate_content.json").read_text(encoding="utf-8")
)


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_proxy(monkeypatch)
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PROJECT", "LOCATION", "QUOTA_PROJECT"):
        monkeypatch.delenv(f"GOOGLE_CLOUD_{name}", raising=False)
    # No login of this machine's user, and no question to a machine of Google's.
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def model(url: str = "http://127.0.0.1:1", **settings: Any) -> GoogleLLM:
    return GoogleLLM(**{"base_url": url, "api_key": "AIza-secret", **settings})


def vertex(url: str = "http://127.0.0.1:1", **settings: Any) -> GoogleLLM:
    return GoogleLLM(**{"base_url": url, "vertexai": True, "project": "bakery", **settings})


async def ask(answer: Answer, **settings: Any) -> list[LLMChunk]:
    async with open_gemini(answer) as far, model(far.url, **settings).open() as live:
        return await hear(live, tools=TOOLS)


async def failure(answer: Answer, **settings: Any) -> tuple[PatterError, list[LLMChunk]]:
    heard: list[LLMChunk] = []
    async with open_gemini(answer) as far, model(far.url, **settings).open() as live:
        return await fail(live, heard), heard


async def sent(*, messages: Any = ASKED, tools: Any = None, **settings: Any) -> dict[str, Any]:
    """The body of a request."""
    async with open_gemini(streams(*says("Yes."))) as far, model(far.url, **settings).open() as live:
        await hear(live, messages=messages, tools=tools)
    (request,) = far.requests
    body: dict[str, Any] = request.body
    return body


# --- the sequences of the vectors ---------------------------------------------------------------------------


async def test_a_function_call_is_understood_and_signed_as_the_vectors_say() -> None:
    vector = VECTORS["llm.gemini.function_call"]
    async with (
        open_gemini(replays(vector["frames"]), streams(*says("Done."))) as far,
        model(far.url, model="gemini-3.8-flash").open() as live,
    ):
        answered = await hear(live, tools=TOOLS)
        assert read_calls(answered) == vector["expect"]["tool_calls"]
        await hear(live, messages=history(answered, "ok"), tools=TOOLS)
    called = far.requests[1].body["contents"][1]["parts"][0]
    assert vector["expect"]["history_must_contain"].items() <= called.items()
    counted = usage(answered)
    assert (counted.input_tokens, counted.output_tokens, counted.cache_read_tokens) == (30, 12, 0)


async def test_a_blocked_prompt_is_an_error_as_the_vectors_say() -> None:
    error, heard = await failure(replays(VECTORS["llm.gemini.blocked"]["frames"]))
    assert type(error) is LanguageModelError
    assert str(error) == "Gemini blocked the prompt: PROHIBITED_CONTENT"
    assert [(chunk.type, chunk.input_tokens) for chunk in heard] == [("usage", 20)]


async def test_too_many_requests_say_when_to_come_back_as_the_vectors_say() -> None:
    vector = VECTORS["llm.gemini.http_429"]
    error, _ = await failure(replays(vector["frames"]))
    assert type(error) is RateLimitError
    assert isinstance(error, RateLimitError)
    assert error.retry_after == float(vector["expect"]["retry_after_s"])


# --- Google's SDK as the judge ------------------------------------------------------------------------------


ANSWER = (
    parts({"text": "They want Tuesday.", "thought": True}),
    parts({"text": "One "}, {"text": "moment."}),
    parts(calls("book_slot", {"day": "Tue"}, "c2ln", id="fc1"), calls("get_hours", {}, id="fc2")),
    parts(finish="STOP", usageMetadata=COUNTS),
)


def camel(value: Any) -> Any:
    """The fields as the sheet writes them: Google's JSON takes either spelling, and the SDK mixes both."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    names = {name: re.sub(r"_([a-z])", lambda found: found[1].upper(), name) for name in FIELDS & set(value)}
    return {names.get(name, name): camel(item) for name, item in value.items()}


# The rest of a request holds names of the user's, which are left as they are.
FIELDS = {"parameters_json_schema", "thinking_budget"}


async def test_the_sdk_reads_the_endpoint_as_we_do() -> None:
    import httpx2
    from google import genai
    from google.genai import types

    async with open_gemini(streams(*ANSWER)) as far, httpx2.AsyncClient() as http_client:
        async with model(far.url).open() as live:
            ours = await hear(live)
        sdk = genai.Client(
            api_key="AIza",
            vertexai=False,
            http_options=types.HttpOptions(
                base_url=far.url, api_version="v1beta", httpx_async_client=http_client
            ),
        )
        said, made, last = "", [], None
        async for response in await sdk.aio.models.generate_content_stream(model="m", contents="Hello?"):
            last = response
            for part in (response.candidates or [])[0].content.parts or []:  # type: ignore[union-attr]
                if part.text and not part.thought:
                    said += part.text
                if part.function_call:
                    call = part.function_call
                    made.append({"id": call.id, "name": call.name, "arguments": call.args})
    assert (text(ours), read_calls(ours)) == (said, made)
    assert last is not None
    assert last.usage_metadata is not None
    assert usage(ours).input_tokens == last.usage_metadata.prompt_token_count
    assert far.requests[0].target == far.requests[1].target.replace("/m:", "/gemini-2.5-flash:")
    assert far.requests[1].headers["x-goog-api-key"] == "AIza"


async def test_the_sdk_writes_the_request_as_we_do() -> None:
    import httpx2
    from google import genai
    from google.genai import types

    config = types.GenerateContentConfig(
        system_instruction=[types.Part(text="You answer for a bakery.")],
        temperature=0.5,
        top_p=0.9,
        top_k=20,
        max_output_tokens=300,
        stop_sequences=["STOP"],
        thinking_config=types.ThinkingConfig(thinking_budget=0),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        tools=[
            types.Tool(
                function_declarations=[
                    types.FunctionDeclaration(
                        name="book_slot",
                        description="Books a table.",
                        parameters_json_schema=TOOLS[0]["function"]["parameters"],
                    ),
                    types.FunctionDeclaration(name="get_hours", description=""),
                ]
            )
        ],
    )
    async with open_gemini(streams(*ANSWER)) as far, httpx2.AsyncClient() as http_client:
        settings: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "top_k": 20, "max_output_tokens": 300}
        async with model(far.url, stop_sequences=["STOP"], **settings).open() as live:
            answered = await hear(live, tools=TOOLS)
            await hear(live, messages=history(answered, '{"ok": true}', "8 to 5"), tools=TOOLS)
        sdk = genai.Client(
            api_key="AIza",
            vertexai=False,
            http_options=types.HttpOptions(
                base_url=far.url, api_version="v1beta", httpx_async_client=http_client
            ),
        )
        contents = [
            types.Content(role="user", parts=[types.Part(text="When are you open?")]),
            types.Content(
                role="model",
                parts=[
                    types.Part(text="One moment."),
                    types.Part(
                        function_call=types.FunctionCall(id="fc1", name="book_slot", args={"day": "Tue"}),
                        thought_signature=b"sig",
                    ),
                    types.Part(function_call=types.FunctionCall(id="fc2", name="get_hours", args={})),
                ],
            ),
            types.Content(
                role="user",
                parts=[
                    types.Part(
                        function_response=types.FunctionResponse(
                            id="fc1", name="book_slot", response={"ok": True}
                        )
                    ),
                    types.Part(
                        function_response=types.FunctionResponse(
                            id="fc2", name="get_hours", response={"output": "8 to 5"}
                        )
                    ),
                ],
            ),
        ]
        async for _ in await sdk.aio.models.generate_content_stream(
            model="gemini-2.5-flash", contents=contents, config=config
        ):
            pass
    _, ours, theirs = (request.body for request in far.requests)
    theirs["systemInstruction"].pop("role", None)  # the SDK says "user", the API ignores it
    assert ours == camel(theirs)


async def test_the_sdk_knows_every_field_that_the_endpoint_sends() -> None:
    from google.genai import types

    frames = [
        frame["data"] for name in VECTORS for frame in VECTORS[name]["frames"] if frame["kind"] == "sse"
    ]
    for piece in (*ANSWER, *says("At ", "eight.")):
        frames.append(json.loads(piece.removeprefix(b"data: ")))
    for frame in frames:
        types.GenerateContentResponse.model_validate(frame)


# --- what is understood -------------------------------------------------------------------------------------


async def test_thoughts_are_billed_and_not_spoken() -> None:
    chunks = await ask(streams(*ANSWER))
    assert text(chunks) == "One moment."
    assert [chunk.type for chunk in chunks][-2:] == ["usage", "done"]
    assert (usage(chunks).input_tokens, usage(chunks).output_tokens) == (30, 17)


async def test_counts_come_once_with_what_the_cache_gave() -> None:
    cached = {"promptTokenCount": 90, "cachedContentTokenCount": 64, "candidatesTokenCount": 1}
    late = event({"usageMetadata": {**cached, "candidatesTokenCount": 4}})
    chunks = await ask(streams(parts({"text": "Yes."}, finish="STOP", usageMetadata=cached), late))
    counted = usage(chunks)
    assert (counted.input_tokens, counted.output_tokens, counted.cache_read_tokens) == (90, 4, 64)
    assert chunks[-1] == LLMChunk("done")


async def test_how_the_body_is_cut_changes_nothing() -> None:
    body = b"".join((parts({"text": "Grüezi,\u2028 \U0001f642"}), *ANSWER[2:]))
    whole = await ask(streams(body))
    assert text(whole) == "Grüezi,\u2028 \U0001f642"
    assert await ask(streams(*(body[at : at + 1] for at in range(len(body))))) == whole
    assert await ask(streams(body.replace(b"\r\n", b"\n"))) == whole


async def test_parallel_calls_get_ids_of_their_own_where_gemini_gave_none() -> None:
    two = (calls("book_slot", {"day": "Tue"}), calls("book_slot", {"day": "Wed"}))
    async with (
        open_gemini(streams(parts(*two, finish="STOP")), streams(*says("Done."))) as far,
        model(far.url).open() as live,
    ):
        answered = await hear(live, tools=TOOLS)
        await hear(live, messages=history(answered, "first", "second"), tools=TOOLS)
    made = read_calls(answered)
    assert [call["arguments"] for call in made] == [{"day": "Tue"}, {"day": "Wed"}]
    assert len({call["id"] for call in made} - {""}) == 2
    _, called, answers = far.requests[1].body["contents"]
    # Vertex AI refuses ids that it did not give, and models before 3 any.
    assert called["parts"] == list(two)
    assert [part["functionResponse"] for part in answers["parts"]] == [
        {"name": "book_slot", "response": {"output": "first"}},
        {"name": "book_slot", "response": {"output": "second"}},
    ]


async def test_signatures_of_two_phone_calls_are_kept_apart() -> None:
    asks = [
        streams(parts(calls("get_hours", {}, sign, id="fc1"), finish="STOP"))
        for sign in ("c2lnMQ==", "c2lnMg==")
    ]
    async with (
        open_gemini(*asks, streams(*says("Done."))) as far,
        model(far.url, model="gemini-3.8-flash").open() as live,
    ):
        answered = {name: await hear(live, tools=TOOLS, call_id=name) for name in ("one", "two")}
        for name in ("one", "two", "three"):
            messages = history(answered.get(name, answered["one"]), "8 to 5")
            await hear(live, messages=messages, tools=TOOLS, call_id=name)
    signs = [request.body["contents"][1]["parts"][0]["thoughtSignature"] for request in far.requests[2:]]
    # A call that another model made has none; Google documents what stands in its place.
    assert signs == ["c2lnMQ==", "c2lnMg==", "skip_thought_signature_validator"]


async def test_an_answer_that_reached_its_limit_ends_as_far_as_it_goes() -> None:
    chunks = await ask(streams(parts({"text": "At ei"}, finish="MAX_TOKENS")))
    assert chunks == [LLMChunk("text", content="At ei"), LLMChunk("done")]


async def test_a_server_that_keeps_the_body_open_costs_its_connection_only() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(b"".join(says("At eight.")))
        await exchange.wait_gone()

    async with open_gemini(answer) as far, model(far.url).open() as live:
        await far.wait_warm()
        with trio.fail_after(3):
            assert text(await hear(live)) == "At eight."
            await far.wait_warm(2)
            assert text(await hear(live)) == "At eight."
    assert [request.connection for request in far.requests] == [1, 2]


# --- what goes wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["SAFETY", "MALFORMED_FUNCTION_CALL", "RECITATION", "NEW_REASON"])
async def test_an_answer_that_is_broken_off_is_an_error_after_what_was_said(reason: str) -> None:
    error, heard = await failure(streams(parts({"text": "Well"}, finish=reason, usageMetadata=COUNTS)))
    assert type(error) is LanguageModelError
    assert str(error) == f"Gemini broke off its answer: {reason}"
    assert text(heard) == "Well"
    assert [chunk.type for chunk in heard] == ["text", "usage"]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (503, "UNAVAILABLE", LanguageModelError),
        (429, "RESOURCE_EXHAUSTED", RateLimitError),
        (401, "UNAUTHENTICATED", AuthenticationError),
    ],
)
async def test_an_error_in_the_stream_comes_after_what_was_said(
    code: int, status: str, kind: type[PatterError]
) -> None:
    told = event({"error": {"code": code, "message": "Not\nnow", "status": status}})
    error, heard = await failure(streams(parts({"text": "We are "}), told))
    assert type(error) is kind
    if isinstance(error, LanguageModelError):
        assert error.temporary is (code >= 500)
    assert "\n" not in str(error)
    assert text(heard) == "We are "


@pytest.mark.parametrize("cleanly", [True, False])
async def test_a_stream_that_is_cut_is_an_error_after_what_was_said(cleanly: bool) -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(parts({"text": "We are "}))
        await (exchange.end() if cleanly else exchange.cut())

    error, heard = await failure(cut)
    assert type(error) is LanguageModelError
    assert ("stopped in the middle" if cleanly else "broke off") in str(error)
    assert text(heard) == "We are "


@pytest.mark.parametrize(
    "piece",
    [
        b"data: {nonsense\n\n",
        b'data: {"candidates": 7}\n\n',
        b'data: {"a": "\xff"}\n\n',
        b"data: []\n\n",
        b"<html>",
    ],
)
async def test_garbage_is_an_error_of_the_model(piece: bytes) -> None:
    error, heard = await failure(streams(piece))
    assert type(error) is LanguageModelError
    assert heard == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((400, LanguageModelError), (401, AuthenticationError), (403, AuthenticationError)),
        *(
            (404, LanguageModelError),
            (429, RateLimitError),
            (500, LanguageModelError),
            (302, LanguageModelError),
        ),
    ],
)
async def test_a_refused_request_says_why_in_one_line_without_the_key(
    status: int, kind: type[PatterError]
) -> None:
    body = {"error": {"code": status, "message": "Went\nhome.", "status": "ODD"}, "echo": "AIza-secret"}
    for written in (body, [body]):
        error, _ = await failure(refuses(status, json.dumps(written).encode()))
        assert type(error) is kind
        assert "AIza-secret" not in str(error)
        assert "\n" not in str(error)
        if kind is not AuthenticationError:
            assert "Went home. (ODD)" in str(error)
        if status == 404:
            assert "model='gemini-2.5-flash'" in str(error)


async def test_a_wrong_key_is_told_apart_from_a_wrong_request() -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    told = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [detail]}
    error, _ = await failure(refuses(400, json.dumps({"error": told}).encode()))
    assert type(error) is AuthenticationError


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b'"busy"', b"[1]", b"[]", b"\xff" * 100_000])
async def test_a_refusal_that_is_no_error_object_is_survived(body: bytes) -> None:
    error, _ = await failure(refuses(502, body))
    assert type(error) is LanguageModelError
    assert "502" in str(error)
    assert len(str(error)) < 1000


async def test_nobody_listening_is_said_with_the_address() -> None:
    async with open_gemini(streams(*says("x"))) as far:
        url = far.url
    async with model(url).open() as live:
        error = await fail(live)
    assert type(error) is LanguageModelError
    assert f"gemini-2.5-flash at {url} cannot be reached" in str(error)


# --- deadlines and cancelling -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "setting", "said"),
    [
        ("headers", "first_token_timeout", "said nothing for 0.1 s"),
        ("thought", "first_token_timeout", "said nothing for 0.1 s"),
        ("words", "first_token_timeout", "fell silent for 0.1 s within its answer"),
        ("words", "turn_timeout", "did not finish its answer within 0.1 s"),
        ("refusal", "first_token_timeout", "said nothing for 0.1 s"),
    ],
)
async def test_a_silent_server_is_given_up_and_hung_up_on(stage: str, setting: str, said: str) -> None:
    gone = trio.Event()

    async def answer(exchange: Exchange) -> None:
        if stage != "headers":
            await exchange.begin(500 if stage == "refusal" else 200)
        if stage == "thought":
            await exchange.send(parts({"text": "Hm.", "thought": True}))
        if stage == "words":
            await exchange.send(parts({"text": "Well"}))
        await exchange.wait_gone()
        gone.set()

    heard: list[LLMChunk] = []
    async with open_gemini(answer) as far, model(far.url, **{setting: 0.1}).open() as live:
        error = await fail(live, heard)
        with trio.fail_after(1):
            await gone.wait()
    assert type(error) is ModelTimeoutError
    assert said in str(error)
    assert text(heard) == ("Well" if stage == "words" else "")


async def test_the_connect_timeout_reaches_the_client() -> None:
    async with model(connect_timeout=0.25).open() as live:
        assert live.client.timeout.as_dict() == {"connect": 0.25, "read": None, "write": None, "pool": None}


@pytest.mark.parametrize("begun", [False, True], ids=["before headers", "in the stream"])
async def test_a_cancelled_answer_hangs_up_at_once_and_the_next_one_comes(begun: bool) -> None:
    asked, gone = trio.Event(), trio.Event()

    async def slow(exchange: Exchange) -> None:
        if begun:
            await exchange.begin()
            await exchange.send(parts({"text": "Well"}))
        asked.set()
        await exchange.wait_gone()
        gone.set()

    async with open_gemini(slow, streams(*says("At eight."))) as far, model(far.url).open() as live:
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
        await exchange.send(parts({"text": "Well"}))
        await exchange.wait_gone()

    async with open_gemini(slow) as far, model(far.url).open() as live:
        await far.wait_warm()
        for turn in range(3):
            async with live.stream(ASKED) as chunks:
                async for _chunk in chunks:
                    break
            await far.wait_warm(turn + 2)
        assert [request.connection for request in far.requests] == [1, 2, 3]
        assert {target for _, target in far.warmed} == {"/v1beta/models?pageSize=1"}
        await far.wait_until(lambda: far.open_now == 1)


async def test_vertex_ai_is_warmed_without_a_token() -> None:
    def token() -> str:
        raise AssertionError("asked for a token before there was a request")

    async with open_gemini(streams(*says("x"))) as far, vertex(far.url, access_token=token).open():
        await far.wait_warm()
    assert far.warmed == [(1, "/v1beta1/publishers/google/models?pageSize=1")]


async def test_answers_cancelled_at_random_moments_hang_up_and_leave_no_task() -> None:
    gone = 0

    async def slow(exchange: Exchange) -> None:
        nonlocal gone
        try:
            await trio.sleep(0.002)
            await exchange.begin()
            for letter in "abcdefghij":
                await exchange.send(parts({"text": letter}))
                await trio.sleep(0.001)
            await exchange.wait_gone()
        finally:
            gone += 1

    chance = random.Random(11)
    async with open_gemini(slow) as far, model(far.url).open() as live:
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


async def test_two_turns_share_a_connection_also_after_a_refused_one() -> None:
    answers = (streams(*says("One.")), refuses(503, b"{}"), streams(*says("Two.")))
    async with open_gemini(*answers) as far, model(far.url).open() as live:
        await far.wait_warm()
        assert text(await hear(live)) == "One."
        await fail(live)
        assert text(await hear(live)) == "Two."
    assert [request.connection for request in far.requests] == [1, 1, 1]


# --- what is sent -------------------------------------------------------------------------------------------


async def test_the_request_is_what_the_wire_asks_for() -> None:
    async with open_gemini(streams(*says("Yes."))) as far, model(f"{far.url}/").open() as live:
        await hear(live, tools=TOOLS)
    (request,) = far.requests
    assert request.target == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert request.headers["x-goog-api-key"] == "AIza-secret"
    schema = TOOLS[0]["function"]["parameters"]
    assert request.body == {
        "systemInstruction": {"parts": [{"text": "You answer for a bakery."}]},
        "contents": [{"role": "user", "parts": [{"text": "When are you open?"}]}],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "book_slot", "description": "Books a table.", "parametersJsonSchema": schema},
                    {"name": "get_hours", "description": ""},
                ]
            }
        ],
        "generationConfig": {"thinkingConfig": {"thinkingBudget": 0}},
    }


@pytest.mark.parametrize(
    ("setting", "value", "field"),
    [
        *(("temperature", 0.2, "temperature"), ("top_p", 0.9, "topP"), ("top_k", 5, "topK")),
        *(("max_output_tokens", 300, "maxOutputTokens"), ("stop_sequences", ["STOP"], "stopSequences")),
        ("thinking", {"thinkingLevel": "LOW"}, "thinkingConfig"),
    ],
)
async def test_a_setting_reaches_the_wire(setting: str, value: Any, field: str) -> None:
    assert (await sent(**{setting: value}))["generationConfig"][field] == value


@pytest.mark.parametrize(
    ("name", "thinking"),
    [
        ("gemini-2.5-flash-lite", {"thinkingBudget": 0}),
        ("gemini-3.8-flash", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-pro", None),
        ("my-gateway-model", None),
    ],
)
async def test_a_model_thinks_as_little_as_it_is_known_to_take(name: str, thinking: Any) -> None:
    assert (await sent(model=name)).get("generationConfig", {}).get("thinkingConfig") == thinking
    assert "generationConfig" not in await sent(model=name, thinking={})


async def test_whatever_else_the_wire_takes_can_be_added() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    body = await sent(temperature=0.1, extra_body={"safetySettings": safety, "generationConfig": {"seed": 7}})
    assert body["safetySettings"] == safety
    assert body["generationConfig"] == {
        "temperature": 0.1,
        "seed": 7,
        "thinkingConfig": {"thinkingBudget": 0},
    }


# --- Vertex AI ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_vertex_ai_is_asked_with_a_token_that_is_got_for_every_request(kind: str) -> None:
    given: list[str] = []

    def token() -> str:
        given.append(f"ya29.{len(given)}")
        return f"{given[-1]}\n"

    async def later() -> str:
        await trio.lowlevel.checkpoint()
        return token()

    async with open_gemini(streams(*says("Yes."))) as far:
        llm = vertex(far.url, location="europe-west1", access_token=token if kind == "sync" else later)
        async with llm.open() as live:
            await hear(live)
            await hear(live)
            assert "ya29" not in repr(live)
    assert [request.headers["authorization"] for request in far.requests] == [
        "Bearer ya29.0",
        "Bearer ya29.1",
    ]
    assert far.requests[0].target == (
        "/v1/projects/bakery/locations/europe-west1/publishers/google/models/gemini-2.5-flash"
        ":streamGenerateContent?alt=sse"
    )
    assert "x-goog-api-key" not in far.requests[0].headers


async def test_a_function_that_gives_no_token_is_an_error_of_authentication() -> None:
    async with (
        open_gemini(streams(*says("x"))) as far,
        vertex(far.url, access_token=lambda: "").open() as live,
    ):
        error = await fail(live)
    assert type(error) is AuthenticationError
    assert far.requests == []


@functools.cache
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def service_account(monkeypatch: pytest.MonkeyPatch, folder: Path, token_uri: str) -> None:
    """Puts a service account's file where google-auth looks for one."""
    file = folder / "account.json"
    account = {
        "type": "service_account",
        "project_id": "bakery",
        "private_key_id": "k1",
        "private_key": private_key(),
        "client_email": "desk@bakery.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
    file.write_text(json.dumps(account), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))


async def test_a_service_account_gets_its_token_before_the_first_turn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = (200, {"access_token": "ya29.account", "expires_in": 3600, "token_type": "Bearer"})
    async with open_token_server(token) as google, open_gemini(streams(*says("Yes."))) as far:
        service_account(monkeypatch, tmp_path, google.url)
        monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "paying")
        async with vertex(far.url).open() as live:
            assert len(google.asked) == 1
            assert text(await hear(live)) == "Yes."
            assert text(await hear(live)) == "Yes."
    (form,) = google.asked
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert form["assertion"][0].count(".") == 2
    headers = far.requests[0].headers
    assert headers["authorization"] == "Bearer ya29.account"
    assert headers["x-goog-user-project"] == "paying"


async def test_a_token_is_renewed_before_it_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("patter_trio._net.google_token._LOOK_SECONDS", 0.01)
    tokens = [
        (200, {"access_token": f"ya29.{name}", "expires_in": left})
        for name, left in (("old", 60), ("new", 3600))
    ]
    async with open_token_server(*tokens) as google, open_gemini(streams(*says("Yes."))) as far:
        service_account(monkeypatch, tmp_path, google.url)
        async with vertex(far.url).open() as live:
            with trio.fail_after(5):
                while len(google.asked) < 2:  # noqa: ASYNC110 (the far end is another task)
                    await trio.sleep(0.005)
                while True:
                    await hear(live)
                    if far.requests[-1].headers["authorization"] == "Bearer ya29.new":
                        break
                    await trio.sleep(0.005)
            await trio.sleep(0.05)
    assert len(google.asked) == 2


async def test_a_refused_service_account_is_said_before_the_first_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with open_token_server((400, {"error": "invalid_grant", "error_description": "Gone."})) as google:
        service_account(monkeypatch, tmp_path, google.url)
        with pytest.raises((AuthenticationError, BaseExceptionGroup), match=r"Gone|exceptions") as raised:
            async with vertex().open():
                pass
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(raised.value)


async def test_without_any_credentials_the_way_out_is_named() -> None:
    with pytest.raises(AuthenticationError, match="give access_token="):
        async with vertex().open():
            pass


async def test_without_google_auth_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(MissingExtraError, match=r"patter-trio\[google\]"):
        async with vertex().open():
            pass


@pytest.mark.parametrize(
    ("location", "base"),
    [
        ("global", "https://aiplatform.googleapis.com"),
        ("europe-west1", "https://europe-west1-aiplatform.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_a_location_has_its_address_as_in_the_sdk(location: str, base: str) -> None:
    from google import genai
    from google.auth.credentials import AnonymousCredentials

    llm = GoogleLLM(vertexai=True, project="bakery", location=location)
    assert llm._place.base == base
    credentials: Any = AnonymousCredentials
    sdk = genai.Client(vertexai=True, project="bakery", location=location, credentials=credentials())
    assert str(sdk._api_client._http_options.base_url).rstrip("/") == base


# --- settings -----------------------------------------------------------------------------------------------


async def test_the_key_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "AIza-second\n")
    async with open_gemini(streams(*says("Yes."))) as far:
        for name in ("second", "first"):
            llm = GoogleLLM(base_url=far.url)
            async with llm.open() as live:
                await hear(live)
                assert "AIza" not in repr(llm) + repr(live) + repr(model())
            assert far.requests[-1].headers["x-goog-api-key"] == f"AIza-{name}"
            monkeypatch.setenv("GEMINI_API_KEY", "AIza-first")


def test_project_and_location_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "from-env")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-east5")
    llm = GoogleLLM(vertexai=True)
    assert llm._place.url.startswith(
        "https://us-east5-aiplatform.googleapis.com/v1/projects/from-env/locations/us-east5/"
    )
    # They are Vertex AI's, and mean nothing to the Developer API.
    assert model()._place.project == ""


def test_the_defaults_are_the_public_contract() -> None:
    llm = GoogleLLM(api_key="AIza")
    assert (llm.name, llm.model) == ("google", "gemini-2.5-flash")
    assert llm._place.base == "https://generativelanguage.googleapis.com"
    assert GoogleLLM(api_key="AIza", model="models/gemini-3.8-flash")._place.path == (
        "v1beta/models/gemini-3.8-flash"
    )
    assert provider.LLM is GoogleLLM


@pytest.mark.parametrize(
    "setting",
    [
        *({"model": ""}, {"model": "../../x"}, {"model": "a?b"}, {"base_url": ""}, {"base_url": "localhost"}),
        *({"api_key": ""}, {"api_key": "A\r\nX-Evil: 1"}, {"api_key": "schlüssel"}, {"vertexai": "yes"}),
        *({"project": "bakery"}, {"location": "eu"}, {"access_token": lambda: "x"}),
        *(
            {"temperature": 2.5},
            {"top_p": 2},
            {"top_k": 0},
            {"max_output_tokens": 0},
            {"stop_sequences": "x"},
        ),
        *({"thinking": "off"}, {"extra_body": []}, {"extra_body": {"generationConfig": 1}}),
        *({"connect_timeout": 0}, {"first_token_timeout": "5"}, {"turn_timeout": -1}),
    ],
)
def test_settings_that_cannot_work_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError) as raised:
        model(**setting)
    assert next(iter(setting)) in str(raised.value)
    assert "X-Evil" not in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"api_key": "AIza"}, "api_key= is the Gemini Developer API's"),
        ({"project": None}, "set GOOGLE_CLOUD_PROJECT"),
        ({"project": "a/../b"}, "project="),
        ({"location": "x y"}, "location="),
        ({"access_token": "ya29"}, "access_token= is not a function"),
    ],
)
def test_settings_of_vertex_ai_that_cannot_work_are_refused(setting: dict[str, Any], said: str) -> None:
    with pytest.raises(PatterConfigError) as raised:
        vertex(**setting)
    assert said in str(raised.value)
    assert "ya29" not in str(raised.value)


def test_a_missing_key_names_the_way_out() -> None:
    with pytest.raises(PatterConfigError, match="set GEMINI_API_KEY or GOOGLE_API_KEY"):
        GoogleLLM()


def test_a_retired_model_is_accepted_and_its_successor_named_once(caplog: pytest.LogCaptureFixture) -> None:
    _models._warn.cache_clear()
    assert model(model="gemini-2.0-flash").model == model(model="gemini-2.0-flash").model
    (warned,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "its successor is gemini-3.8-flash" in warned


async def test_it_passes_the_conformance_check() -> None:
    async def slowly(exchange: Exchange) -> None:
        await exchange.begin()
        for piece in says("Very well, ", "thank you."):
            await exchange.send(piece)
            await trio.sleep(0.002)
        await exchange.end()

    async with open_gemini(slowly) as far:
        await check_llm(model(far.url))
