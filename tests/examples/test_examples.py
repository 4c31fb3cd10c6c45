"""The examples work: each one is imported as a user would run it, and holds a call in virtual time."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from trio.testing import wait_all_tasks_blocked

from patter_trio import Agent, Patter, Session, Twilio
from patter_trio.events import LLMChunk
from patter_trio.testing import (
    Caller,
    CallOutcome,
    MemoryLine,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    SimulatedTwilio,
    run_virtual,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
URL = "https://phone.example.test"
TOKEN = "0123456789abcdef0123456789abcdef"


def example(name: str) -> ModuleType:
    """The example as a module; importing it must start nothing."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def patter(url: str = URL) -> Patter:
    return Patter(Twilio(auth_token=TOKEN), "+15550001234", url)


def scripted(**settings: Any) -> Agent:
    return patter().agent(stt=ScriptedSTT(), tts=ScriptedTTS(), vad=ScriptedVAD(), **settings)


async def call(app: Any, caller: Caller, url: str = URL) -> CallOutcome:
    return await SimulatedTwilio(auth_token=TOKEN).call(MemoryLine(app, url), caller)


def ring(agent: Agent, caller: Caller) -> CallOutcome:
    """One call to an agent, in virtual time."""

    async def main() -> CallOutcome:
        async with patter().session(agent, port=None) as session:
            return await call(session.app, caller)

    outcome = run_virtual(main, seed=1)
    assert outcome.ok, outcome
    return outcome


def test_every_example_is_exercised_here() -> None:
    written = Path(__file__).read_text(encoding="utf-8")
    for file in EXAMPLES.glob("*.py"):
        assert f'example("{file.stem}")' in written, f"{file.name} has no test"


def test_answer_with_a_function() -> None:
    bakery = example("answer_with_a_function")
    outcome = ring(
        scripted(first_message=bakery.GREETING, on_message=bakery.answer),
        Caller()
        .waits_for_agent()
        .says("When are you open?")
        .waits_for_agent()
        .says("And a loaf of bread?")
        .waits_for_agent()
        .says("Goodbye!")
        .waits_for_hang_up(),
    )
    assert outcome.ended_by == "agent"
    assert "closed on Sunday." in outcome.heard
    assert "three fifty." in outcome.heard
    assert outcome.heard.endswith("Goodbye.")


def test_the_prompt_of_answer_with_a_model_reaches_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    bakery = example("answer_with_a_model")
    monkeypatch.setattr(bakery, "MoonshineSTT", ScriptedSTT)
    monkeypatch.setattr(bakery, "HibariTTS", ScriptedTTS)
    model = ScriptedLLM(["Four dollars."])
    agent = attrs.evolve(bakery.make_agent(patter()), llm=model, vad=ScriptedVAD())
    outcome = ring(agent, Caller().waits_for_agent().says("And a loaf?").waits_for_agent().hangs_up())
    assert outcome.heard == "Hello, this is Corner Bakery. How can I help? Four dollars."
    system = model.requests[0].messages[0]["content"]
    assert "You answer the phone of Corner Bakery" in system


async def test_the_model_of_answer_with_a_model_speaks_to_a_local_runtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with runtime(["Four ", "dollars."]) as (url, requests):
        monkeypatch.setenv("LLM_URL", url)
        model = example("answer_with_a_model").language_model()
        async with (
            model.open() as live,
            live.stream([{"role": "user", "content": "A loaf?"}]) as stream,
        ):
            chunks: list[LLMChunk] = [chunk async for chunk in stream]
    assert "".join(chunk.content for chunk in chunks) == "Four dollars."
    assert requests[0]["model"] == "llama3.2"
    assert requests[0]["temperature"] == 0.3


@asynccontextmanager
async def runtime(tokens: list[str]) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A local model runtime of one answer, on a real socket: Chat Completions as server-sent events."""
    requests: list[dict[str, Any]] = []

    async def answer(stream: trio.SocketStream) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            received += await stream.receive_some()
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while len(body) < int(lengths[0].partition(b":")[2]):
            body += await stream.receive_some()
        requests.append(json.loads(body))
        events = [json.dumps({"choices": [{"delta": {"content": token}}]}) for token in tokens]
        events += [json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]}), "[DONE]"]
        sent = "".join(f"data: {event}\n\n" for event in events).encode()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        await stream.send_all(b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(sent), sent))

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, [listener])
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}/v1", requests
        nursery.cancel_scope.cancel()


def test_embed_in_a_trio_service() -> None:
    service = example("embed_in_a_trio_service")
    filed: list[str] = []
    agent = scripted(on_message=lambda event: "I wrote that down.")

    async def main() -> Session:
        async with trio.open_nursery() as nursery:
            run: Callable[..., Awaitable[None]] = service.run_service
            session: Session = await nursery.start(
                lambda **how: run(patter(), agent, filed, port=None, **how)
            )
            outcome = await call(
                session.app, Caller().says("Please call me back").waits_for_agent().hangs_up()
            )
            assert outcome.ok, outcome
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        return session

    session = run_virtual(main)
    assert filed == ["+15557654321: user: Please call me back / assistant: I wrote that down."]
    assert not session.calls


def test_mount_in_asgi_takes_calls_under_its_prefix() -> None:
    mounted = example("mount_in_asgi")
    agent = scripted(first_message="Hello, this is Corner Bakery.", on_message=lambda event: "From seven.")

    async def main() -> CallOutcome:
        async with patter(f"{URL}/phone").session(agent, port=None) as session:
            website = mounted.website(session)
            caller = Caller().waits_for_agent().says("When?").waits_for_agent().hangs_up()
            return await call(website, caller, f"{URL}/phone")

    outcome = run_virtual(main)
    assert outcome.ok, outcome
    assert outcome.heard == "Hello, this is Corner Bakery. From seven."


async def test_mount_in_asgi_is_served_by_hypercorn() -> None:
    mounted = example("mount_in_asgi")
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.loglevel = "ERROR"
    agent = scripted(on_message=lambda event: "Yes.")
    async with patter(f"{URL}/phone").session(agent, port=None) as session, trio.open_nursery() as nursery:
        addresses: list[str] = await nursery.start(serve, mounted.website(session), config)
        host, port = addresses[0].rpartition("/")[2].split(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(b"GET /phone/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            received = b"".join([data async for data in stream])
        nursery.cancel_scope.cancel()
    health: Mapping[str, Any] = json.loads(received.partition(b"\r\n\r\n")[2])
    assert (health["status"], health["calls"]) == ("ok", 0)


@pytest.mark.parametrize(
    "name", [name for name in vars(example("test_your_agent")) if name.startswith("test_")]
)
def test_the_tests_to_copy_pass(name: str) -> None:
    getattr(example("test_your_agent"), name)()


def test_your_own_providers_conform(capsys: pytest.CaptureFixture[str]) -> None:
    example("your_own_providers").main()
    assert capsys.readouterr().out == "all four conform\n"


def test_your_own_providers_hold_a_call() -> None:
    mine = example("your_own_providers")
    agent = patter().agent(
        vad=mine.MyVAD(), stt=mine.MySTT(mine.read_word_sound), llm=mine.MyLLM(), tts=mine.MyTTS()
    )
    outcome = ring(agent, Caller().says("Good morning").waits_for_agent().hangs_up())
    # "You said: Good morning" has 19 signs, hummed at a twentieth of a second each.
    hummed = sum(span.end - span.start for span in outcome.ear.agent_speech)
    assert hummed == pytest.approx(19 / 20, abs=0.1)
