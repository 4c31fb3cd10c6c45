"""Each provider of Chat Completions, through its vendor's SDK where it has one, on a loopback endpoint."""

from __future__ import annotations

import gc
import json
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from patter_trio.errors import (
    AuthenticationError,
    ErrorCode,
    LanguageModelError,
    MissingExtraError,
    ModelTimeoutError,
    PatterConfigError,
    RateLimitError,
)
from patter_trio.events import LLMChunk
from patter_trio.llm import (
    CerebrasLLM,
    GroqLLM,
    HermesLLM,
    OpenAICompatibleLLM,
    OpenAILLM,
    OpenAILLMProvider,
    OpenClawLLM,
    _chat,
    _line,
    _models,
)
from patter_trio.testing.checks import check_llm

from .answers import no_proxy, only, read_calls, text
from .chat_endpoint import (
    DONE,
    Exchange,
    delta,
    event,
    open_endpoint,
    refuses,
    replays,
    says,
    streams,
)
from .chat_providers import ASKED, PROVIDERS, TOOLS, fail, hear

Build = Callable[..., OpenAILLMProvider]

VECTORS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "chat_completions.json").read_text(encoding="utf-8")
)
GOOD = [name for name in VECTORS if "error_kind" not in VECTORS[name]["expect"]]
BAD = [name for name in VECTORS if "error_kind" in VECTORS[name]["expect"]]

every_provider = pytest.mark.parametrize("build", PROVIDERS.values(), ids=PROVIDERS)
with_a_client = pytest.mark.parametrize("name", ["openai", "groq"])


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)
    for kind in (OpenAILLM, GroqLLM, CerebrasLLM, OpenAICompatibleLLM, HermesLLM, OpenClawLLM):
        for name in kind.key_names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("API_SERVER_MODEL_NAME", raising=False)
    _models._warn.cache_clear()


# --- the vectors, through each ------------------------------------------------------------------------------


@every_provider
@pytest.mark.parametrize("name", GOOD)
async def test_answers_are_understood_as_the_vectors_say(name: str, build: Build) -> None:
    expect = VECTORS[name]["expect"]
    async with open_endpoint(replays(VECTORS[name]["frames"])) as far, build(far.url).open() as live:
        chunks = await hear(live)
    assert text(chunks) == expect.get("text", "") + expect.get("refusal", "")
    assert read_calls(chunks) == expect.get("tool_calls", [])
    assert [chunk.type for chunk in chunks].count("done") == 1
    assert chunks[-1] == LLMChunk("done")
    counted = [chunk for chunk in chunks if chunk.type == "usage"]
    if "usage" in expect:
        assert counted[0].input_tokens == expect["usage"]["input_uncached"]
        assert counted[0].output_tokens == expect["usage"]["output"]
    if expect.get("usage_estimated"):
        assert counted == []


@every_provider
@pytest.mark.parametrize("name", BAD)
async def test_failures_are_told_apart_as_the_vectors_say(name: str, build: Build) -> None:
    expect = VECTORS[name]["expect"]
    error, heard = await fail(build, replays(VECTORS[name]["frames"]))
    kinds = {"auth": AuthenticationError, "rate_limited": RateLimitError}
    assert type(error) is kinds.get(expect["error_kind"], LanguageModelError)
    assert text(heard) == expect.get("text", "")
    assert "done" not in [chunk.type for chunk in heard]
    if isinstance(error, RateLimitError) and "retry_after_s" in expect:
        assert error.retry_after == pytest.approx(expect["retry_after_s"])
    if type(error) is LanguageModelError:
        assert error.temporary


@every_provider
async def test_arguments_that_are_no_json_are_handed_on_as_they_came(build: Build) -> None:
    call = {"index": 0, "id": "a", "function": {"name": "hours", "arguments": '{"day": Tue'}}
    answer = streams(delta(tool_calls=[call]), delta("tool_calls"), DONE)
    async with open_endpoint(answer) as far, build(far.url).open() as live:
        (chunk, _done) = await hear(live, tools=TOOLS)
    assert chunk == LLMChunk("tool_call", id="a", name="hours", arguments='{"day": Tue')


@every_provider
async def test_they_pass_the_conformance_check(build: Build) -> None:
    async with open_endpoint(streams(*says("Very well, ", "thank you."))) as far:
        await check_llm(build(far.url))


@every_provider
@pytest.mark.parametrize(
    ("status", "kind", "temporary"),
    [
        (302, LanguageModelError, False),
        (400, LanguageModelError, False),
        (401, AuthenticationError, None),
        (404, LanguageModelError, False),
        (429, RateLimitError, None),
        (503, LanguageModelError, True),
    ],
)
async def test_a_refused_request_says_why_without_the_key(
    status: int, kind: type[LanguageModelError], temporary: bool | None, build: Build
) -> None:
    body = json.dumps({"error": {"message": "The model\nwent home.", "code": "gone"}})
    error, _ = await fail(build, refuses(status, body.encode()), api_key="sk-secret")
    assert type(error) is kind
    assert "sk-secret" not in str(error)
    if isinstance(error, LanguageModelError):
        assert error.temporary is temporary
        assert "The model went home. (gone)" in str(error)


@every_provider
async def test_nobody_listening_is_said_with_the_address(build: Build) -> None:
    async with open_endpoint(streams(*says("x"))) as far:
        url = far.url
    async with build(url).open() as live:
        with pytest.raises((LanguageModelError, BaseExceptionGroup)) as raised:
            await hear(live)
    assert f"at {url}/chat/completions cannot be reached" in str(only(raised.value))


# --- what is sent -------------------------------------------------------------------------------------------

SAMPLING: dict[str, Any] = {
    "temperature": 0.2,
    "top_p": 0.9,
    "max_tokens": 50,
    "max_completion_tokens": 60,
    "seed": 7,
    "stop": ["\n", "###"],
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "logit_bias": {"50256": -100},
    "response_format": {"type": "json_object"},
    "tool_choice": {"type": "function", "function": {"name": "hours"}},
    "parallel_tool_calls": False,
    "reasoning_effort": "high",
    "verbosity": "low",
    "service_tier": "flex",
    "prompt_cache_key": "desk-3",
}


async def sent(build: Build, call_id: str | None = None, **settings: Any) -> Any:
    async with open_endpoint(streams(*says("Yes."))) as far, build(far.url, **settings).open() as live:
        await hear(live, tools=TOOLS, call_id=call_id)
    return far.requests[0]


@every_provider
@pytest.mark.parametrize("name", SAMPLING)
async def test_each_sampling_parameter_reaches_the_wire(name: str, build: Build) -> None:
    request = await sent(build, **{name: SAMPLING[name]})
    newer = build("http://localhost/v1").renames_max_tokens and name == "max_tokens"
    assert request.body["max_completion_tokens" if newer else name] == SAMPLING[name]
    if newer:
        assert "max_tokens" not in request.body


@pytest.mark.parametrize("name", ["openai", "groq", "cerebras", "compatible"])
async def test_a_user_reaches_the_wire(name: str) -> None:
    assert (await sent(PROVIDERS[name], user="desk")).body["user"] == "desk"


@every_provider
async def test_the_rest_of_a_request(build: Build) -> None:
    request = await sent(build, extra_headers={"X-Team": "desk"}, extra_body={"store": False, "stream": True})
    assert request.target == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.headers["x-team"] == "desk"
    assert request.body["tools"] == TOOLS
    assert request.body["messages"] == [{"role": "user", "content": "When are you open?"}]
    assert request.body["stream"] is True
    assert request.body["stream_options"]["include_usage"] is True
    assert request.body["store"] is False
    assert "temperature" not in request.body


@every_provider
async def test_parameters_about_tools_are_not_sent_without_tools(build: Build) -> None:
    llm = {"tool_choice": "auto", "parallel_tool_calls": True}
    async with open_endpoint(streams(*says("Yes."))) as far, build(far.url, **llm).open() as live:
        await hear(live)
    assert not {"tools", *llm} & set(far.requests[0].body)


@pytest.mark.parametrize(
    ("name", "effort"), [("openai", "none"), ("groq", "low"), ("cerebras", "low"), ("compatible", None)]
)
async def test_a_default_model_thinks_as_little_as_it_can(name: str, effort: str | None) -> None:
    assert (await sent(PROVIDERS[name])).body.get("reasoning_effort") == effort
    if name == "compatible":
        assert "reasoning_effort" not in (await sent(PROVIDERS[name], model="gpt-6-luna")).body
    assert "reasoning_effort" not in (await sent(PROVIDERS[name], model="other")).body


@pytest.mark.parametrize(("gzipped", "packed"), [(True, True), (True, False), (False, True), (False, False)])
async def test_cerebras_requests_are_packed_as_set(gzipped: bool, packed: bool) -> None:
    long: dict[str, Any] = {"extra_body": {"metadata": {"note": "word " * 2000}}}
    request = await sent(PROVIDERS["cerebras"], gzip_compression=gzipped, msgpack_encoding=packed, **long)
    assert request.headers.get("content-encoding") == ("gzip" if gzipped else None)
    assert request.headers["content-type"] == ("application/vnd.msgpack" if packed else "application/json")
    assert (int(request.headers["content-length"]) < 2000) is gzipped
    assert request.body["metadata"] == {"note": "word " * 2000}
    short = await sent(PROVIDERS["cerebras"], gzip_compression=gzipped)
    assert "content-encoding" not in short.headers


async def test_hermes_is_told_the_session_by_headers() -> None:
    request = await sent(PROVIDERS["hermes"], "CA123", api_key="k", session_key="patter-caller-5f1c")
    assert request.headers["authorization"] == "Bearer k"
    assert request.headers["x-hermes-session-id"] == "patter-call-CA123"
    assert request.headers["x-hermes-session-key"] == "patter-caller-5f1c"
    assert request.body["user"] == "patter-call-CA123"
    assert request.body["model"] == "hermes-agent"
    plain = await sent(PROVIDERS["hermes"], session_key="")
    assert not {"x-hermes-session-id", "x-hermes-session-key"} & set(plain.headers)
    assert "user" not in plain.body


async def test_openclaw_is_told_the_session_by_user() -> None:
    request = await sent(PROVIDERS["openclaw"], "CA123", api_key="k")
    assert request.headers["x-openclaw-session-key"] == "CA123"
    assert request.body["user"] == "patter-call-CA123"
    assert request.body["model"] == "openclaw/front-desk"
    assert "x-openclaw-session-key" not in (await sent(PROVIDERS["openclaw"])).headers
    for whole in ("openclaw/night", "agent:night"):
        assert (await sent(PROVIDERS["openclaw"], model=whole)).body["model"] == whole


async def test_a_plain_runtime_is_told_nothing_of_the_call() -> None:
    request = await sent(PROVIDERS["compatible"], "CA123", api_key="EMPTY")
    assert "CA123" not in json.dumps([dict(request.headers), request.body])
    assert not {"authorization", "x-hermes-session-id", "x-openclaw-session-key"} & set(request.headers)
    assert set(request.body) == {"model", "messages", "stream", "stream_options", "tools"}


@pytest.mark.parametrize("signal", ["user", "id", "key", "extra"])
async def test_each_signal_of_the_session_stands_alone(signal: str) -> None:
    settings: dict[str, dict[str, Any]] = {
        "user": {"session_user_prefix": "p-"},
        "id": {"session_id_header": "X-Session", "session_id_prefix": "s-"},
        "key": {"session_key_header": "X-Memory", "session_key": "m"},
        "extra": {"extra_headers": {"X-Extra": "e"}},
    }
    request = await sent(PROVIDERS["compatible"], "7", **settings[signal])
    found = {
        "user": request.body.get("user") == "p-7",
        "id": request.headers.get("x-session") == "s-7",
        "key": request.headers.get("x-memory") == "m",
        "extra": request.headers.get("x-extra") == "e",
    }
    assert found == {name: name == signal for name in settings}


# --- settings -----------------------------------------------------------------------------------------------


def test_the_runtimes_have_the_addresses_and_times_that_their_makers_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("API_SERVER_MODEL_NAME", "night-agent")
    hermes, openclaw = HermesLLM(), OpenClawLLM(model="main")
    assert (hermes.base_url, hermes.model) == ("http://127.0.0.1:8642/v1", "night-agent")
    assert openclaw.base_url == "http://127.0.0.1:18789/v1"
    assert (hermes.timeout, openclaw.timeout) == (120, 120)
    assert OpenAICompatibleLLM(base_url="http://localhost:1/v1", model="m").timeout == 60
    assert GroqLLM(api_key="k").base_url == "https://api.groq.com/openai/v1"
    assert CerebrasLLM(api_key="k").base_url == "https://api.cerebras.ai/v1"
    assert OpenAILLM(api_key="k").base_url == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("kind", "variable", "settings"),
    [
        (OpenAILLM, "OPENAI_API_KEY", {}),
        (GroqLLM, "GROQ_API_KEY", {}),
        (CerebrasLLM, "CEREBRAS_API_KEY", {}),
        (OpenAICompatibleLLM, "OPENAI_COMPATIBLE_API_KEY", {"model": "m"}),
        (HermesLLM, "API_SERVER_KEY", {}),
        (OpenClawLLM, "OPENCLAW_API_KEY", {"model": "m"}),
    ],
)
async def test_the_key_comes_from_the_environment_and_is_never_shown(
    kind: type[OpenAILLMProvider], variable: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "sk-env\n")
    async with open_endpoint(streams(*says("Yes."))) as far:
        llm = kind(base_url=far.url, extra_headers={"api-key": "sk-header"}, **settings)
        async with llm.open() as live:
            await hear(live)
            assert "sk-" not in repr(llm) + repr(live)
    assert far.requests[0].headers["authorization"] == "Bearer sk-env"


@pytest.mark.parametrize(
    ("kind", "variable"),
    [(OpenAILLM, "OPENAI_API_KEY"), (GroqLLM, "GROQ_API_KEY"), (CerebrasLLM, "CEREBRAS_API_KEY")],
)
def test_a_missing_key_names_its_variable(kind: type[OpenAILLMProvider], variable: str) -> None:
    with pytest.raises(PatterConfigError, match=f"set {variable} or pass api_key="):
        kind()


@pytest.mark.parametrize(
    "setting",
    [
        {"base_url": "localhost"},
        {"model": ""},
        {"api_key": "sk\r\nX-Evil: 1"},
        {"timeout": 0},
        {"connect_timeout": -1},
        {"first_token_timeout": 0},
        {"turn_timeout": "soon"},
        {"max_retries": -1},
        {"extra_headers": "x"},
        {"extra_body": 3},
        {"temperature": 3},
        {"temperature": "warm"},
        {"top_p": 1.5},
        {"max_tokens": 0},
        {"max_tokens": 5, "max_completion_tokens": 5},
        {"max_completion_tokens": True},
        {"seed": 1.5},
        {"stop": [1]},
        {"stop": ""},
        {"frequency_penalty": -3},
        {"presence_penalty": 2.5},
        {"response_format": "json"},
        {"logit_bias": 1},
        {"tool_choice": ""},
        {"parallel_tool_calls": "no"},
        {"reasoning_effort": 1},
        {"user": ""},
    ],
    ids=str,
)
@every_provider
def test_settings_that_cannot_work_are_refused(setting: dict[str, Any], build: Build) -> None:
    with pytest.raises(PatterConfigError) as raised:
        build(**{"url": "http://localhost:1/v1", **setting})
    assert "X-Evil" not in str(raised.value)


@pytest.mark.parametrize(
    "setting",
    [
        {"session_key": "k"},
        {"session_id_prefix": "p"},
        {"session_key_header": "X", "session_key": "a\nb"},
        {"session_user_prefix": "p", "user": "u"},
        {"session_id_header": ""},
    ],
    ids=str,
)
def test_signals_of_the_session_that_go_nowhere_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        PROVIDERS["compatible"]("http://localhost:1/v1", **setting)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (lambda: OpenAICompatibleLLM(model="small"), "base_url="),
        (lambda: OpenAICompatibleLLM(base_url="http://localhost:1/v1"), "model= is missing"),
        (OpenClawLLM, "no agent of OpenClaw"),
    ],
    ids=["no address", "no model", "no agent"],
)
def test_what_has_no_default_must_be_given(kind: Callable[[], Any], said: str) -> None:
    with pytest.raises(PatterConfigError, match=said):
        kind()


@pytest.mark.parametrize("agent", ["", "two words", "a\nb", "päron"])
def test_an_agent_that_openclaw_cannot_have_is_refused(agent: str) -> None:
    with pytest.raises(PatterConfigError, match="no agent of OpenClaw"):
        OpenClawLLM(model=agent)


@pytest.mark.parametrize(
    ("kind", "old", "successor"),
    [
        (OpenAILLM, "gpt-4o-mini", "gpt-6-luna"),
        (GroqLLM, "llama-3.3-70b-versatile", "openai/gpt-oss-120b"),
        (CerebrasLLM, "llama3.1-8b", "gpt-oss-120b"),
    ],
)
def test_a_retired_model_is_taken_with_one_warning(
    kind: type[OpenAILLMProvider], old: str, successor: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "patter_trio.llm"):
        assert kind(api_key="k").model == successor
        assert caplog.records == []
        assert [kind(api_key="k", model=old).model for _ in range(2)] == [old, old]
    (record,) = caplog.records
    assert f"pass model='{successor}'" in record.getMessage()


def test_a_row_of_retired_models_is_known_by_how_their_names_begin() -> None:
    table = _models.ANTHROPIC
    for served in ("claude-haiku-4-5-20251001", "claude-haiku-5-5", "claude"):
        assert _models.retirement(served, table) is None
    found = _models.retirement("claude-sonnet-4-20250514", table)
    assert found == _models.Retired("2026-06-15", "claude-sonnet-5-5")
    assert _models.retirement("claude-sonnet-4-0-x", table) is None
    assert _models.retirement("gemini-2.5-flash", _models.GOOGLE) is None


@pytest.mark.parametrize(
    ("name", "model", "hint"),
    [
        ("cerebras", "gpt-7", "gpt-oss-120b, gemma-4-31b"),
        ("groq", "llama-3.1-8b-instant", "pass model='openai/gpt-oss-120b'"),
        ("openai", "gpt-7", "/models lists the models"),
    ],
)
async def test_a_model_that_is_not_there_comes_with_a_hint(name: str, model: str, hint: str) -> None:
    body = b'{"message": "Model does not exist", "type": "not_found_error", "code": "model_not_found"}'
    error, _ = await fail(PROVIDERS[name], refuses(404, body), model=model)
    assert hint in str(error)
    error, _ = await fail(PROVIDERS[name], refuses(400, b'{"error": {"code": "model_decommissioned"}}'))
    assert error.hint


# --- a client of one's own ----------------------------------------------------------------------------------


def _client(name: str, url: str) -> Any:
    if name == "groq":
        import groq

        return groq.AsyncGroq(api_key="sk-mine", base_url=url.removesuffix("/v1"), max_retries=3)
    if name == "cerebras":
        cerebras = pytest.importorskip("cerebras.cloud.sdk")
        # The constructor would make a blocking request.
        return cerebras.AsyncCerebras(
            api_key="k", base_url=url.removesuffix("/v1"), warm_tcp_connection=False
        )
    import openai

    return openai.AsyncOpenAI(api_key="sk-mine", base_url=url, max_retries=3)


@with_a_client
async def test_a_ready_client_makes_the_requests_and_stays_open(name: str) -> None:
    kind = {"openai": OpenAILLM, "groq": GroqLLM}[name]
    async with open_endpoint(streams(*says("Yes.")), refuses(500, b"{}")) as far:
        async with _client(name, far.url) as client:
            async with kind(client=client, extra_headers={"X-Team": "desk"}).open() as live:
                assert text(await hear(live)) == "Yes."
                with pytest.raises((LanguageModelError, BaseExceptionGroup)):
                    await hear(live)
            assert not client.is_closed()
        assert [request.headers["authorization"] for request in far.requests] == ["Bearer sk-mine"] * 2
        assert far.requests[0].headers["x-team"] == "desk"
        prefix = "/openai/v1" if name == "groq" else "/v1"
        assert {request.target for request in far.requests} == {f"{prefix}/chat/completions"}
        assert {target for _, target in far.warmed} <= {f"{prefix}/models"}


async def test_an_openai_client_on_the_older_http_library_works_too() -> None:
    import httpx
    import openai

    async def cut(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(delta(content="Well"))
        await exchange.cut()

    async with open_endpoint(streams(*says("Yes.")), cut) as far, httpx.AsyncClient() as http:
        older: Any = http
        client = openai.AsyncOpenAI(api_key="k", base_url=far.url, http_client=older)
        async with OpenAILLM(client=client).open() as live:
            assert text(await hear(live)) == "Yes."
            with pytest.raises((LanguageModelError, BaseExceptionGroup)) as raised:
                await hear(live)
            assert "broke off" in str(only(raised.value))


@pytest.mark.parametrize("setting", [{"api_key": "k"}, {"base_url": "http://x/v1"}, {"timeout": 3.0}])
def test_a_client_and_what_it_brings_are_not_both_taken(setting: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError, match="are both given"):
        OpenAILLM(client=_client("openai", "http://localhost:1/v1"), **setting)
    with pytest.raises(PatterConfigError, match="no client of the groq package"):
        GroqLLM(client=object())


async def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'patter-trio\[nowhere\]'"):
        await _line.load_sdk("nowhere")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("name", "vector"),
    [
        ("openai", "llm.openai.text_then_parallel_tools"),
        ("groq", "llm.openai.text_then_parallel_tools"),
        ("cerebras", "llm.cerebras.tool_call_no_index"),
    ],
)
async def test_the_vendors_own_reading_agrees(name: str, vector: str) -> None:
    """The endpoint of these tests is judged by those who did not write it."""
    said, named = "", []
    async with open_endpoint(replays(VECTORS[vector]["frames"])) as far, _client(name, far.url) as client:
        chunks = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "x"}], stream=True
        )
        async for chunk in chunks:
            for choice in chunk.choices:
                said += choice.delta.content or ""
                named += [call.function.name for call in choice.delta.tool_calls or () if call.function.name]
    expect = VECTORS[vector]["expect"]
    assert said == expect.get("text", "")
    assert named == [call["name"] for call in expect["tool_calls"]]
    gc.collect()  # what the SDKs leave to the collector is not the next test's


# --- asking again -------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_chat, "_FIRST_RETRY_WAIT", 0.001)


@pytest.mark.usefixtures("impatient")
@every_provider
async def test_a_request_that_failed_for_now_is_made_again(build: Build) -> None:
    busy = refuses(
        429, b"{}", {"x-ratelimit-remaining-tokens-minute": "0", "x-ratelimit-reset-tokens-minute": "0"}
    )
    answers = (busy, refuses(503, b"{}"), streams(*says("Yes.")))
    async with open_endpoint(*answers) as far, build(far.url, max_retries=2).open() as live:
        assert text(await hear(live)) == "Yes."
    assert len(far.requests) == 3


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (refuses(429, b"{}", {"retry-after": "0"}), 2),
        (refuses(500, b"{}"), 2),
        (refuses(429, b"{}", {"retry-after": "2"}), 1),
        (refuses(400, b"{}"), 1),
        (refuses(401, b"{}"), 1),
        (streams(delta(content="Well")), 1),
    ],
    ids=["rate limit", "overload", "a long rate limit", "bad request", "bad key", "words were given"],
)
async def test_cerebras_is_asked_once_more_if_that_can_help(answer: Any, asked: int) -> None:
    async with open_endpoint(answer) as far, CerebrasLLM(base_url=far.url, api_key="k").open() as live:
        with pytest.raises((Exception, BaseExceptionGroup)) as raised:
            await hear(live)
        only(raised.value)
    assert len(far.requests) == asked


def test_the_wait_is_never_shorter_than_the_endpoint_asks() -> None:
    for asked in (0.0, 0.3, 1.5):
        wait = _chat._retry_wait(RateLimitError("busy", retry_after=asked), 0)
        assert wait is not None
        assert max(asked, 0.2) <= wait <= max(asked + 0.1, 0.3)
    assert _chat._retry_wait(RateLimitError("busy", retry_after=1.6), 0) is None
    assert _chat._retry_wait(LanguageModelError("no"), 0) is None
    later = _chat._retry_wait(LanguageModelError("no", temporary=True), 2)
    assert later is not None
    assert 0.8 <= later <= 1.2


# --- deadlines ----------------------------------------------------------------------------------------------


async def _silent(exchange: Exchange) -> None:
    await exchange.wait_gone()


async def _begins(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.send(delta(content="Well"))
    await exchange.wait_gone()


@every_provider
@pytest.mark.parametrize(
    ("answer", "settings", "said"),
    [
        (_silent, {"timeout": 0.05}, "was silent for too long"),
        (_begins, {"timeout": 0.05}, "was silent for too long"),
        (_silent, {"first_token_timeout": 0.05}, "said nothing for 0.05 s (first_token_timeout=)"),
    ],
    ids=["silence", "silence inside", "first words"],
)
async def test_a_deadline_that_passes_is_named(
    answer: Any, settings: dict[str, Any], said: str, build: Build
) -> None:
    error, _ = await fail(build, answer, **settings)
    assert type(error) is ModelTimeoutError
    assert error.code is ErrorCode.LLM_TIMEOUT
    assert said in str(error)


async def test_connecting_has_a_deadline_of_its_own() -> None:
    # A listener whose queue is full answers no handshake.
    with trio.socket.socket() as listener:
        await listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        waiting = [trio.socket.socket() for _ in range(3)]
        try:
            for one in waiting:
                with trio.move_on_after(0.02):
                    await one.connect(listener.getsockname())
            llm = PROVIDERS["openai without sdk"](url, connect_timeout=0.05)
            async with llm.open() as live:
                with pytest.raises((ModelTimeoutError, BaseExceptionGroup)) as raised:
                    await hear(live)
            assert "could not be connected to in time" in str(only(raised.value))
        finally:
            for one in waiting:
                one.close()


@attrs.define
class SlowLine:
    """A far end in virtual time: each piece comes after so many seconds."""

    pieces: list[tuple[float, bytes]]
    warmed: int = 0
    warming: int = 0
    most: int = 0

    @asynccontextmanager
    async def post(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> AsyncIterator[_line.Reply]:
        yield _line.Reply(200, {}, self._come())

    async def _come(self) -> AsyncIterator[bytes]:
        for seconds, piece in self.pieces:
            await trio.sleep(seconds)
            yield piece

    async def warm(self) -> None:
        self.warming += 1
        self.most = max(self.most, self.warming)
        await trio.sleep(1)
        self.warming -= 1
        self.warmed += 1


THINKING = delta(role="assistant", content="", reasoning_content="Hm.")
WORDS = delta(content="Well. ")
CALLS = delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}])
END = delta("stop") + DONE


@pytest.mark.parametrize(
    ("pieces", "settings", "said"),
    [
        (
            [(1, THINKING), (3, WORDS), (0, END)],
            {"first_token_timeout": 3},
            "said nothing for 3 s (first_token_timeout=)",
        ),
        ([(1, WORDS), (9, END)], {"turn_timeout": 9}, "did not finish its answer within 9 s"),
        ([(5, WORDS)], {"turn_timeout": 4}, "did not finish its answer within 4 s"),
        ([(5, WORDS)], {"turn_timeout": 4, "first_token_timeout": 6}, "did not finish its answer within 4 s"),
        ([(1, WORDS), (9, END)], {"turn_timeout": 11, "first_token_timeout": 2}, None),
        ([(1, CALLS), (9, END)], {"first_token_timeout": 2}, None),
        ([(100, WORDS), (900, END)], {}, None),
    ],
    ids=[
        "thinking is no word",
        "whole",
        "nothing",
        "the shorter one",
        "in time",
        "a call is a beginning",
        "none",
    ],
)
async def test_deadlines_are_those_that_were_set(
    pieces: list[tuple[float, bytes]],
    settings: dict[str, Any],
    said: str | None,
    autojump_clock: trio.testing.MockClock,
) -> None:
    llm = PROVIDERS["openai without sdk"]("http://localhost/v1", **settings)
    line = SlowLine(pieces)
    async with _chat.open_chat(llm, line) as live:
        if said is None:
            assert (await hear(live))[-1] == LLMChunk("done")
        else:
            with pytest.raises((ModelTimeoutError, BaseExceptionGroup)) as raised:
                await hear(live)
            assert said in str(only(raised.value))
            await trio.sleep(2)
            assert line.warmed == 2  # the connection was lost with the answer


@pytest.mark.parametrize("taking", [0.0, 60.0])
async def test_the_time_in_which_nobody_takes_the_words_is_not_the_models(
    taking: float, autojump_clock: trio.testing.MockClock
) -> None:
    llm = PROVIDERS["openai without sdk"]("http://localhost/v1", turn_timeout=5)
    line = SlowLine([(2, WORDS), (2, WORDS), (2, END)])
    heard: list[LLMChunk] = []

    async def speak() -> None:
        async with live.stream(ASKED) as chunks:
            async for chunk in chunks:
                heard.append(chunk)
                await trio.sleep(taking)  # the voice is speaking

    async with _chat.open_chat(llm, line) as live:
        with pytest.raises((ModelTimeoutError, BaseExceptionGroup)) as raised:
            await speak()
    assert "did not finish its answer within 5 s" in str(only(raised.value))
    assert text(heard) == "Well. Well. "


async def test_a_house_that_hangs_up_at_once_does_not_storm_the_endpoint(
    autojump_clock: trio.testing.MockClock,
) -> None:
    line = SlowLine([(1, WORDS), (900, END)])
    async with _chat.open_chat(PROVIDERS["openai without sdk"]("http://localhost/v1"), line) as live:
        await trio.sleep(5)
        async with trio.open_nursery() as calls_of_the_house:
            for _ in range(50):
                calls_of_the_house.start_soon(hear, live)
            await trio.sleep(2)
            calls_of_the_house.cancel_scope.cancel()
        await trio.sleep(5)
    assert (line.most, line.warmed) == (4, 5)


# --- cancelling ---------------------------------------------------------------------------------------------


async def _talks_on(exchange: Exchange) -> None:
    """Words without end, as fast as they are taken, until the client has gone."""
    await exchange.begin()
    while True:
        await exchange.send(delta(content="on and "))


@every_provider
async def test_a_cancelled_answer_hangs_up_before_the_first_byte_too(build: Build) -> None:
    async with open_endpoint(_silent, streams(*says("At eight."))) as far, build(far.url).open() as live:
        await far.wait_warm()
        async with trio.open_nursery() as turn:
            turn.start_soon(hear, live)
            await far.wait_until(lambda: len(far.requests) == 1)
            turn.cancel_scope.cancel()
        await far.wait_warm(2)  # which is the spare connection
        await far.wait_until(lambda: far.open_now == 1)
        assert text(await hear(live)) == "At eight."
        assert far.requests[1].connection == far.warmed[1][0] != far.requests[0].connection


@every_provider
@pytest.mark.parametrize("seed", range(3))
async def test_cancelled_at_any_moment_the_far_end_sees_it_and_no_task_is_left(
    seed: int, build: Build
) -> None:
    moment = random.Random(seed)

    def own_tasks() -> int:
        return trio.lowlevel.current_statistics().tasks_living - far.open_now

    async with open_endpoint(_talks_on) as far, build(far.url).open() as live:
        await far.wait_warm()
        before = own_tasks()
        for _ in range(5):
            with trio.move_on_after(moment.uniform(0, 0.012)):
                await hear(live)
            await far.wait_idle()
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert own_tasks() == before
        # Each connection that is left is a warm one.
        assert far.open_now <= len(far.warmed)


@every_provider
async def test_leaving_an_answer_early_costs_one_connection_and_opens_one(build: Build) -> None:
    async with open_endpoint(_begins) as far, build(far.url).open() as live:
        await far.wait_warm()
        for turn in range(3):
            async with live.stream(({"role": "user", "content": "x"},)) as chunks:
                async for _chunk in chunks:
                    break
            await far.wait_warm(turn + 2)
        assert len(far.warmed) == 4
        assert [request.connection for request in far.requests] == [1, 2, 3]
        await far.wait_until(lambda: far.open_now == 1)


@every_provider
async def test_turns_share_a_connection(build: Build) -> None:
    async with open_endpoint(streams(*says("One."))) as far, build(far.url).open() as live:
        await far.wait_warm()
        for _ in range(3):
            await hear(live)
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert far.connections == 1


@every_provider
async def test_a_far_end_that_cannot_be_warmed_does_no_harm(build: Build) -> None:
    async with open_endpoint(streams(*says("x"))) as far:
        url = far.url
    async with build(url).open():
        await trio.testing.wait_all_tasks_blocked(0.02)


async def test_a_failure_of_the_owner_is_one_exception() -> None:
    async with open_endpoint(streams(*says("x"))) as far:
        with pytest.raises(KeyError, match="mine"):
            async with PROVIDERS["openai without sdk"](far.url).open():
                raise KeyError("mine")


async def test_an_answer_that_outlives_its_provider_opens_no_spare(
    autojump_clock: trio.testing.MockClock,
) -> None:
    line = SlowLine([(1, WORDS), (900, END)])
    async with trio.open_nursery() as nursery:
        async with _chat.open_chat(PROVIDERS["openai without sdk"]("http://localhost/v1"), line) as live:
            nursery.start_soon(hear, live)
            await trio.sleep(5)
        nursery.cancel_scope.cancel()
    await trio.sleep(5)
    assert (line.warmed, line.warming) == (1, 0)


def test_events_of_the_endpoint_are_what_these_tests_say() -> None:
    assert event({"a": "ü"}) == 'data: {"a": "ü"}\n\n'.encode()
