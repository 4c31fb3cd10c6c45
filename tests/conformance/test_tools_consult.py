"""An agent that is consulted in the middle of a call, against a loopback endpoint."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from patter_trio._call.call import CallResult
from patter_trio._callbacks import call_end_payload
from patter_trio.errors import PatterConfigError, ProviderError, ToolError
from patter_trio.events import CallInfo
from patter_trio.tools import DefaultToolExecutor, ToolContext, ToolOutcome
from patter_trio.tools.consult import ConsultConfig
from patter_trio.tools.openclaw import openclaw_post_call_notifier

from .test_tools_webhook import Far, answer, hang_up, header, names

CONTEXT = ToolContext("CA1", "+15550001", "+15550002")
SORRY = "I cannot see our stock right now."


@asynccontextmanager
async def far_agent(*answers: Any, path: str = "/ask") -> AsyncIterator[tuple[Far, str]]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    far = Far(list(answers), port=listener.socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, far.serve, [listener])
        yield far, f"http://127.0.0.1:{far.port}{path}"
        nursery.cancel_scope.cancel()


async def consult(config: ConsultConfig, request: str = "Is rye bread in stock?") -> ToolOutcome:
    async with config.open() as agent:
        executor = DefaultToolExecutor(agent.tools())
        return await executor.execute(config.name, json.dumps({"request": request}), CONTEXT, id="call_1")


def local(url: str, **settings: Any) -> ConsultConfig:
    return ConsultConfig(url, allow_loopback=True, fallback_message=SORRY, **settings)


def chat_answer(content: str) -> bytes:
    return answer(json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}))


def told(outcome: ToolOutcome) -> str:
    """The error that the model reads, which must hold what the caller is told."""
    assert not outcome.ok
    envelope = json.loads(outcome.content)
    assert envelope["fallback"] is True
    assert f'tell the caller: "{SORRY}"' in envelope["error"]
    return str(envelope["error"])


# --- the tool -----------------------------------------------------------------------------------------------


async def test_a_model_sees_one_tool_that_takes_a_request() -> None:
    config = ConsultConfig(
        "https://agent.example/ask",
        name="ask_the_bakery",
        description="Knows the stock.",
        timeout_s=12,
        reassurance="Let me ask.",
    )
    async with config.open() as agent:
        (tool,) = agent.tools()
    function = tool.definition()["function"]
    assert (function["name"], function["description"]) == ("ask_the_bakery", "Knows the stock.")
    assert list(function["parameters"]["properties"]) == ["request"]
    assert function["parameters"]["required"] == ["request"]
    assert tool.reassurance is not None
    assert tool.reassurance.message == "Let me ask."
    # The consultation's own limit comes first: only it knows what the caller is told.
    assert tool.timeout == 13
    # What another agent was asked to do cannot be taken back.
    assert tool.irreversible


async def test_by_default_it_is_called_consult_agent_and_has_thirty_seconds() -> None:
    config = ConsultConfig("https://agent.example/ask")
    async with config.open() as agent:
        (tool,) = agent.tools()
    assert (tool.name, config.timeout_s) == ("consult_agent", 30.0)
    assert "another agent" in tool.description


async def test_an_empty_request_is_not_sent() -> None:
    async with far_agent(answer('"x"')) as (far, url):
        outcome = await consult(local(url), "")
    assert "do not fit" in outcome.error
    assert far.heads == []


# --- answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reply", "response", "text", "result", "answer", "message"])
async def test_an_endpoint_learns_the_call_and_its_words_are_the_result(name: str) -> None:
    async with far_agent(answer(json.dumps({name: "Two loaves."}))) as (far, url):
        outcome = await consult(local(url, headers={"X-Tenant": "bakery"}))
    assert (outcome.ok, outcome.content) == (True, "Two loaves.")
    assert json.loads(far.bodies[0]) == {
        "request": "Is rye bread in stock?",
        "call_id": "CA1",
        "caller": "+15550001",
        "callee": "+15550002",
    }
    assert far.heads[0].startswith("POST /ask HTTP/1.1")
    assert header(far.heads[0], "content-type") == "application/json"
    assert header(far.heads[0], "accept-encoding") == "identity"
    assert header(far.heads[0], "x-tenant") == "bakery"
    assert header(far.heads[0], "authorization") is None


async def test_the_words_may_be_elsewhere() -> None:
    async with far_agent(answer('{"reply": "no", "data": [{"words": "Two loaves."}]}')) as (_, url):
        assert (await consult(local(url, response_paths=["data.0.words"]))).content == "Two loaves."


async def test_chat_completions_are_asked_as_such() -> None:
    async with far_agent(chat_answer("Two loaves."), path="/v1/chat/completions") as (far, url):
        outcome = await consult(local(url, model="baker-1", api_key="sk-1\n"))
    assert outcome.content == "Two loaves."
    body = json.loads(far.bodies[0])
    assert (body["model"], body["stream"]) == ("baker-1", False)
    assert body["messages"][-1] == {"role": "user", "content": "Is rye bread in stock?"}
    assert "user" not in body
    assert header(far.heads[0], "authorization") == "Bearer sk-1"


async def test_a_call_is_told_by_user_and_header_where_that_is_asked_for() -> None:
    settings = {"model": "m", "session_user_prefix": "shop-", "session_id_header": "X-Session"}
    async with far_agent(chat_answer("x"), path="/chat/completions") as (far, url):
        await consult(local(url, **settings))
        async with local(url, **settings).open() as agent:
            await agent.ask("Is it open?", {})
            await agent.ask("Is it open?", {"call_id": "ü\r\n"})
    assert json.loads(far.bodies[0])["user"] == "shop-CA1"
    assert header(far.heads[0], "x-session") == "CA1"
    assert "user" not in json.loads(far.bodies[1])
    assert header(far.heads[1], "x-session") is None
    assert header(far.heads[2], "x-session") == "%C3%BC%0D%0A"


async def test_half_a_character_in_a_request_does_no_harm() -> None:
    async with far_agent(answer('"x"')) as (far, url), local(url).open() as agent:
        assert await agent.ask("a\ud83d", {}) == "x"
    assert b"\\ud83d" in far.bodies[0]


async def test_one_client_serves_all_calls_of_a_session() -> None:
    async with far_agent(answer('"x"')) as (far, url):
        async with local(url).open() as agent:
            for number in range(5):
                assert await agent.ask("?", {"call_id": f"CA{number}"}) == "x"
        assert agent.client.is_closed
    assert (far.connections, len(far.heads)) == (1, 5)


# --- failures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (answer("<html>"), "not JSON"),
        (answer(b"\xff\x00"), "not JSON"),
        (answer(b"", "204 No Content"), "not JSON"),
        (answer('{"error": "no such model"}'), "holds no words"),
        (answer('"' + "x" * (1024 * 1024) + '"'), "larger than 1048576 bytes"),
        (answer("{}", "302 Found", "Location: http://127.0.0.1:1/"), "redirect"),
        (answer("{}", "401 Unauthorized"), "refuses our key (status 401)"),
        (answer("{}", "403 Forbidden"), "refuses our key (status 403)"),
        (answer("{}", "404 Not Found"), "status 404"),
        (answer("{}", "429 Slow", "Retry-After: 1"), "status 429"),
        (answer("{}", "500 Oh"), "status 500"),
        (answer("{}", "503 Busy"), "status 503"),
        (answer("not gzip", "200 OK", "Content-Encoding: gzip"), "packed"),
        (hang_up, "cannot be reached"),
    ],
)
async def test_a_failure_is_told_with_words_for_the_caller_and_not_tried_again(
    said: Any, complaint: str
) -> None:
    async with far_agent(said) as (far, url):
        assert complaint in told(await consult(local(url, api_key="sk-secret")))
    assert len(far.heads) == 1


async def test_an_answer_without_end_is_cut_off() -> None:
    async def pour(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await stream.send_all(b"10000\r\n" + b" " * 65536 + b"\r\n")

    async with far_agent(pour) as (_, url):
        with trio.fail_after(5):
            assert "larger than" in told(await consult(local(url)))


async def dribble(stream: trio.SocketStream) -> None:
    """An answer of which a byte comes now and then, so that the line is never silent for long."""
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        await stream.send_all(b" ")
        await trio.sleep(1)


async def silent(stream: trio.SocketStream) -> None:
    assert await stream.receive_some(1) == b""


@pytest.mark.parametrize("slow", [silent, dribble])
async def test_the_time_limit_holds_over_the_whole_exchange(slow: Any, autojump_clock: MockClock) -> None:
    async with far_agent(slow) as (_, url):
        began = trio.current_time()
        assert "did not answer within 7 s" in told(await consult(local(url, timeout_s=7)))
        assert trio.current_time() - began == pytest.approx(7.0)


async def test_nobody_at_the_address_is_a_failure_like_others() -> None:
    async with far_agent(answer('"x"')) as (_, url):
        pass
    assert "cannot be reached" in told(await consult(local(url)))


async def test_an_agent_that_is_down_is_left_alone_for_a_while() -> None:
    async with far_agent(answer("{}", "500 Oh")) as (far, url), local(url).open() as agent:
        executor = DefaultToolExecutor(agent.tools(), failures=2)
        outcomes = [await executor.execute("consult_agent", '{"request": "?"}', CONTEXT) for _ in range(4)]
    assert len(far.heads) == 2
    assert json.loads(outcomes[-1].content)["circuit_state"] == "open"


async def test_cancelling_hangs_up_at_once_and_leaves_no_task() -> None:
    arrived, gone = trio.Event(), trio.Event()

    async def stall(stream: trio.SocketStream) -> None:
        arrived.set()
        assert await stream.receive_some(1) == b""
        gone.set()

    async with far_agent(stall, answer('"x"')) as (_, url), local(url).open() as agent:
        await trio.testing.wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent.ask, "?", {})
            await arrived.wait()
            nursery.cancel_scope.cancel()
        with trio.fail_after(2):
            await gone.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before
        assert await agent.ask("?", {}) == "x"


# --- where it may go ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("http://127.0.0.1/", {}),
        ("http://localhost:8080/", {}),
        ("http://0x7f.1/", {}),
        ("http://10.0.0.1/", {}),
        ("http://db.internal/", {}),
        ("http://169.254.169.254/", {"allow_private": True}),
        ("http://metadata.google.internal/", {"allow_loopback": True}),
        # This machine is not the network around it.
        ("http://10.0.0.1/", {"allow_loopback": True}),
        ("http://db.internal/", {"allow_loopback": True}),
    ],
)
def test_an_address_of_our_own_network_is_refused_when_written(url: str, settings: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError, match="may not be called"):
        ConsultConfig(url, **settings)


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("http://127.0.0.1/", {"allow_loopback": True}),
        ("http://[::1]:9/", {"allow_loopback": True}),
        ("http://localhost/", {"allow_loopback": True}),
        ("http://agent.localhost/", {"allow_loopback": True}),
        ("http://127.0.0.1/", {"allow_private": True}),
        ("http://10.0.0.1/", {"allow_private": True}),
        ("https://agent.example/", {"allow_loopback": True}),
    ],
)
def test_what_is_allowed_may_be_written(url: str, settings: dict[str, Any]) -> None:
    assert ConsultConfig(url, **settings).url == url


def test_the_hint_names_the_setting_that_helps() -> None:
    with pytest.raises(PatterConfigError, match="allow_loopback=True is for an agent on this machine"):
        ConsultConfig("http://127.0.0.1/")
    with pytest.raises(PatterConfigError, match="allow_private=True is for"):
        ConsultConfig("http://10.0.0.1/")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"])
async def test_a_name_that_leads_into_our_network_is_not_connected_to(address: str) -> None:
    # Not even with allow_loopback: the name does not say that it is this machine.
    config = ConsultConfig("http://agent.example/", allow_loopback=True, fallback_message=SORRY)
    with names([address]):
        error = told(await consult(config))
    assert "may not be called" in error
    assert address not in error


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"url": "agent.example"}, "url"),
        ({"url": "ftp://agent.example"}, "only http and https"),
        ({"url": 3}, "url= must be text"),
        ({"headers": []}, "headers"),
        ({"headers": {"A": "line\n"}}, "headers"),
        ({"api_key": 3}, "api_key= must be text"),
        ({"api_key": "schlüssel"}, "api_key= holds characters"),
        ({"api_key": "k", "headers": {"authorization": "Bearer x"}}, "both given"),
        ({"timeout_s": 0}, "timeout_s= must be"),
        ({"timeout_s": 300}, "timeout_s= must be"),
        ({"timeout_s": float("nan")}, "timeout_s= must be"),
        ({"timeout_s": True}, "timeout_s= must be"),
        ({"timeout_s": "3"}, "timeout_s= must be"),
        ({"fallback_message": " "}, "fallback_message= needs words"),
        ({"fallback_message": "x" * 301}, "at most 300"),
        ({"fallback_message": None}, "fallback_message= must be text"),
        ({"allow_loopback": 1}, "allow_loopback= must be True or False"),
        ({"allow_private": "no"}, "allow_private= must be True or False"),
        ({"name": "not a name"}, "cannot be the name of a tool"),
        ({"description": None}, "description"),
        ({"reassurance": 3}, "reassurance"),
        ({"response_paths": "reply"}, "response_paths"),
        ({"response_paths": []}, "response_paths"),
        ({"response_paths": [3]}, "response_paths"),
        ({"response_paths": [""]}, "response_paths"),
        ({"model": "m"}, "no other takes one"),
        ({"url": "https://a.example/v1/chat/completions"}, "needs model="),
        ({"session_user_prefix": "call-"}, "session_user_prefix= goes nowhere"),
        ({"session_id_header": "A B"}, "is not the name of a header"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PatterConfigError, match=complaint):
        ConsultConfig(**{"url": "https://agent.example/ask", **settings})


def test_secrets_are_not_shown() -> None:
    config = ConsultConfig(
        "https://agent.example/ask?key=s3cret", api_key="s3cret", headers={"X-Key": "s3cret"}
    )
    assert "s3cret" not in repr(config)
    mistakes: list[dict[str, Any]] = [{"api_key": "s3cret\x01x"}, {"headers": {"X-Key": "s3cret\n"}}]
    for settings in mistakes:
        with pytest.raises(PatterConfigError) as refused:
            ConsultConfig("https://agent.example/", **settings)
        assert "s3cret" not in str(refused.value)


# --- OpenClaw -----------------------------------------------------------------------------------------------


async def test_an_openclaw_agent_is_asked_in_the_session_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_API_KEY", "oc-key\n")
    async with far_agent(chat_answer("Two loaves."), path="/v1/") as (far, url):
        config = ConsultConfig.openclaw("front-desk", base_url=url)
        assert (await consult(config)).content == "Two loaves."
    body = json.loads(far.bodies[0])
    assert far.heads[0].startswith("POST /v1/chat/completions HTTP/1.1")
    assert (body["model"], body["user"]) == ("openclaw/front-desk", "patter-call-CA1")
    assert header(far.heads[0], "x-openclaw-session-key") == "CA1"
    assert header(far.heads[0], "authorization") == "Bearer oc-key"


def test_openclaw_is_on_this_machine_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENCLAW_API_KEY", raising=False)
    config = ConsultConfig.openclaw("agent:main")
    assert config.url == "http://127.0.0.1:18789/v1/chat/completions"
    assert (config.model, config.sends_key, config.timeout_s) == ("agent:main", False, 30.0)
    assert not ConsultConfig.openclaw("x", api_key="EMPTY").sends_key
    assert ConsultConfig.openclaw("x", name="ask_claw", timeout_s=60).timeout_s == 60
    with pytest.raises(PatterConfigError, match="is no agent"):
        ConsultConfig.openclaw("front desk")
    with pytest.raises(PatterConfigError, match="base_url= must be text"):
        ConsultConfig.openclaw("x", base_url=None)  # type: ignore[arg-type]
    with pytest.raises(PatterConfigError, match="may not be called"):
        ConsultConfig.openclaw("x", allow_loopback=False)


def ended() -> dict[str, Any]:
    """What ``on_call_end`` receives, as the session makes it."""
    transcript = ({"role": "user", "text": "Two rye loaves."}, {"role": "assistant", "text": "Done."})
    result = CallResult("CA1", "answered", "caller_hung_up", None, None, 9.0, transcript, (), (), {})
    return call_end_payload(CallInfo("CA1", "+15550001", "+15550002"), result)


async def test_openclaw_is_told_of_a_call_in_its_session() -> None:
    async with far_agent(chat_answer("Noted."), path="/v1") as (far, url):
        notify = openclaw_post_call_notifier(
            "front-desk", base_url=url, api_key="oc", headers={"X-Tenant": "bakery"}
        )
        await notify(ended())
    body = json.loads(far.bodies[0])
    assert (body["model"], body["user"]) == ("openclaw/front-desk", "patter-call-CA1")
    assert body["messages"][0]["content"].endswith("\n\nCaller: Two rye loaves.\nAgent: Done.")
    assert header(far.heads[0], "x-openclaw-session-key") == "CA1"
    assert header(far.heads[0], "authorization") == "Bearer oc"
    assert header(far.heads[0], "x-tenant") == "bakery"


async def test_that_openclaw_was_not_told_is_raised(autojump_clock: MockClock) -> None:
    async with far_agent(answer("{}", "401 No"), silent, path="/v1") as (_, url):
        notify = openclaw_post_call_notifier("x", base_url=url, api_key="", timeout_s=3)
        with pytest.raises(ProviderError, match="refuses our key") as refused:
            await notify(ended())
        assert not isinstance(refused.value, ToolError)
        with pytest.raises(ProviderError, match="within 3 s"):
            await notify(ended())


def test_a_notifier_that_cannot_work_is_refused_when_built() -> None:
    with pytest.raises(PatterConfigError, match="is no agent"):
        openclaw_post_call_notifier("front desk")
    with pytest.raises(PatterConfigError, match="may not be called"):
        openclaw_post_call_notifier("x", base_url="http://10.0.0.1/v1")
    assert callable(openclaw_post_call_notifier("x", base_url="http://10.0.0.1/v1", allow_private=True))
