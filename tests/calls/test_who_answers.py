"""Who thinks for an agent: a model, an address, a function, or OpenAI's model where nobody was named."""

from __future__ import annotations

import pytest

from patter_trio import Agent, CustomLLM, PatterConfigError
from patter_trio.testing import Caller, ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedVAD

from ..conformance.answers import no_proxy
from ..conformance.chat_endpoint import open_endpoint, refuses
from .ring import agent, patter, ring


def voiced(**settings: object) -> Agent:
    return patter().agent("You answer.", stt=ScriptedSTT(), tts=ScriptedTTS(), vad=ScriptedVAD(), **settings)


async def test_an_address_answers_what_the_function_would_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)
    async with open_endpoint(refuses(200, b'{"text": "At eight."}')) as far:
        who = voiced(on_message=CustomLLM(far.url, allow_private=True))
        async with patter().session(who, port=None) as session:
            live = await session._office.providers.live_agent(who)
            event = {"text": "When?", "call_id": "CA1", "caller": "+1", "callee": "+2", "history": []}
            assert [piece async for piece in live.on_message(event)] == ["At eight."]
    assert far.requests[0].body == event


@pytest.mark.parametrize("url", ["http://localhost:8080/answer", "http://169.254.169.254/", "ws://10.0.0.1/"])
async def test_an_address_inside_our_own_network_must_be_allowed(url: str) -> None:
    with pytest.raises(PatterConfigError, match="url"):
        async with patter().session(voiced(on_message=url), port=None):
            pass


async def test_where_nobody_was_named_and_a_key_is_set_openai_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    no_proxy(monkeypatch)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    who = voiced()
    async with patter().session(who, port=None) as session:
        assert session._office.agent is not None
        live = await session._office.providers.live_agent(session._office.agent)
        assert live.llm is not None
        assert getattr(live.llm, "name", "") == "openai"
    async with patter().session(who, port=None, on_message=lambda event: "I answer.") as session:
        assert session._office.agent is not None
        assert session._office.agent.llm is None, "a function that was given answers by itself"


async def test_without_any_of_them_the_agent_takes_no_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(PatterConfigError, match="llm"):
        async with patter().session(voiced(), port=None):
            pass


def test_a_model_that_knows_no_calls_is_not_told_of_any() -> None:
    scripted = ScriptedLLM(["Yes."])

    class Plain:
        name, model = "plain", "p1"

        def stream(self, messages: object, tools: object = None) -> object:
            return scripted.stream(messages, tools)  # type: ignore[arg-type]

    rung = ring(agent(Plain()), Caller().waits_for_agent().says("Hello?").waits_for_agent().hangs_up())
    assert rung.said("assistant")[-1] == "Yes."
    assert scripted.requests[0].call_id is None
