"""The examples work: each one is imported as a user would run it, and holds a call in virtual time."""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
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
from patter_trio.testing import (
    AnsweringMachine,
    Busy,
    Caller,
    CallOutcome,
    MemoryLine,
    Person,
    Reply,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    SimulatedTwilio,
    ToolUse,
    run_virtual,
)

from ..calls.exchanged import VENDORS, House, at_the_exchange
from ..conformance.answers import hear, no_proxy, text
from ..conformance.chat_endpoint import open_endpoint, says, streams

EXAMPLES = Path(__file__).parents[2] / "examples"
URL = "https://phone.example.test"
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _straight_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)
    for name in ("LLM_URL", "LLM_MODEL", "OPENAI_COMPATIBLE_API_KEY", "API_SERVER_MODEL_NAME"):
        monkeypatch.delenv(name, raising=False)


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


def acted(agent: Agent, model: ScriptedLLM) -> Agent:
    """An example's agent with everything of its own but ears, model and voice."""
    return attrs.evolve(agent, stt=ScriptedSTT(), llm=model, tts=ScriptedTTS(), vad=ScriptedVAD())


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
    async with open_endpoint(streams(*says("Four ", "dollars."))) as runtime:
        monkeypatch.setenv("LLM_URL", runtime.url)
        async with example("answer_with_a_model").language_model().open() as live:
            chunks = await hear(live, messages=[{"role": "user", "content": "A loaf?"}])
    assert text(chunks) == "Four dollars."
    assert runtime.requests[0].body["model"] == "llama3.2"
    assert runtime.requests[0].body["temperature"] == 0.3


@pytest.mark.parametrize(
    ("address", "settings", "signals"),
    [
        (
            "HERMES_URL",
            {"HERMES_SESSION_KEY": "front-desk"},
            {"x-hermes-session-id": "patter-call-CA1", "x-hermes-session-key": "front-desk"},
        ),
        ("OPENCLAW_URL", {"OPENCLAW_AGENT": "front-desk"}, {"x-openclaw-session-key": "CA1"}),
    ],
    ids=["hermes", "openclaw"],
)
async def test_hermes_tells_the_gateway_which_call_it_is(
    monkeypatch: pytest.MonkeyPatch, address: str, settings: dict[str, str], signals: dict[str, str]
) -> None:
    desk = example("hermes")
    monkeypatch.setattr(desk, "MoonshineSTT", ScriptedSTT)
    monkeypatch.setattr(desk, "HibariTTS", ScriptedTTS)
    for name in ("HERMES_URL", "HERMES_SESSION_KEY", "OPENCLAW_URL", "OPENCLAW_AGENT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    async with open_endpoint(streams(*says("Room ", "four."))) as far:
        monkeypatch.setenv(address, far.url)
        agent = desk.make_agent(patter())
        async with agent.llm.open() as live:
            assert text(await hear(live, call_id="CA1")) == "Room four."
    (request,) = far.requests
    assert request.body["user"] == "patter-call-CA1"
    assert {name: request.headers.get(name) for name in signals} == signals


def test_hermes_holds_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = example("hermes")
    monkeypatch.setattr(desk, "MoonshineSTT", ScriptedSTT)
    monkeypatch.setattr(desk, "HibariTTS", ScriptedTTS)
    agent = attrs.evolve(desk.make_agent(patter()), llm=ScriptedLLM(["Room four."]), vad=ScriptedVAD())
    outcome = ring(agent, Caller().waits_for_agent().says("Which room?").waits_for_agent().hangs_up())
    assert outcome.heard == "Hello, this is the front desk. Room four."


def test_local_model_answers_what_it_knows_and_asks_for_the_rest() -> None:
    bakery = example("local_model")
    model = ScriptedLLM(["A loaf is four dollars."])
    agent = scripted(on_message=bakery.Desk(model).answer)
    outcome = ring(
        agent,
        Caller()
        .says("When are you open?")
        .waits_for_agent()
        .says("And a loaf of rye?")
        .waits_for_agent()
        .hangs_up(),
    )
    assert outcome.heard == f"{bakery.HOURS} A loaf is four dollars."
    (request,) = model.requests
    assert [message["content"] for message in request.messages] == [
        bakery.PROMPT,
        "When are you open?",
        bakery.HOURS,
        "And a loaf of rye?",
    ]


async def test_local_model_asks_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    bakery = example("local_model")
    async with open_endpoint(streams(*says("Four ", "dollars."))) as runtime:
        monkeypatch.setenv("LLM_URL", runtime.url)
        async with bakery.language_model().open() as live:
            event = {"text": "And a loaf?", "history": [], "call_id": "CA1"}
            assert await bakery.Desk(live).answer(event) == "Four dollars."
    assert runtime.requests[0].body["max_tokens"] == 120
    assert "authorization" not in runtime.requests[0].headers


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


# --- tools --------------------------------------------------------------------------------------------------


def told(model: ScriptedLLM, number: int) -> list[str]:
    """The results of tools with which the model was asked, the last one last."""
    return [m["content"] for m in model.requests[number].messages if m["role"] == "tool"]


def test_tools_book_a_table_and_confirm_it() -> None:
    bookings = example("tools")
    system = bookings.BookingSystem()
    model = ScriptedLLM(
        [
            Reply(tools=[ToolUse("find_times", {"party": 4})]),
            "We have six and nine.",
            Reply(tools=[ToolUse("book_table", {"time": "eight", "party": 4, "name": "Robin"})]),
            Reply(tools=[ToolUse("book_table", {"time": "nine", "party": 4, "name": "Robin"})]),
            Reply(tools=[ToolUse("text_confirmation", {"booking_number": 1})]),
            "It is booked, and you have a message.",
        ]
    )
    outcome = ring(
        acted(bookings.make_agent(patter(), system), model),
        Caller()
        .waits_for_agent()
        .says("A table for four please")
        .waits_until(lambda ear: "six and nine." in ear.text())
        .waits_for_agent()
        .says("Nine, for Robin, and text me")
        .waits_until(lambda ear: "message." in ear.text())
        .hangs_up(),
    )
    assert "Let me look at the book. We have six and nine." in outcome.heard
    assert system.booked == ["nine, 4, Robin"]
    assert system.texts == ["+15557654321: Your table is booked. Number 1."]
    first, refused, booked, sent = told(model, 5)
    assert first == '["six","nine"]'
    assert "only 0 seats are left at eight" in refused
    assert (booked, sent) == ('{"booking_number":1}', "sent")


def test_the_booking_of_tools_finishes_when_the_caller_speaks_over_it() -> None:
    bookings = example("tools")
    system = bookings.BookingSystem()
    model = ScriptedLLM(
        [
            "For whom?",
            Reply(tools=[ToolUse("book_table", {"time": "nine", "party": 2, "name": "Robin"})]),
            "Yes.",
        ]
    )
    ring(
        acted(bookings.make_agent(patter(), system), model),
        Caller()
        .waits_for_agent()
        .says("Two people at nine")
        .waits_for_agent()
        .says("For Robin")
        .waits(1.0)
        .says("Are you still there?")
        .waits_for_agent(quiet=2.0)
        .says("Is it booked?")
        .waits_for_agent()
        .hangs_up(),
    )
    assert system.booked == ["nine, 2, Robin"]
    assert told(model, -1) == ['{"booking_number":1}']


def test_guardrails_and_hooks_stand_between_the_stages(caplog: pytest.LogCaptureFixture) -> None:
    clinic = example("guardrails_and_hooks")
    caplog.set_level("INFO", "clinic")
    model = ScriptedLLM(
        ["Take ten milligrams of that. We promise you a doctor today. Call 555-0100 for the nurse."]
    )
    hooks = clinic.make_hooks(lambda: 35, logging.getLogger("clinic"))
    outcome = ring(
        acted(clinic.make_agent(patter(), hooks), model),
        Caller().waits_for_agent().says("My card is 4111 1111 1111 1111").waits_for_agent().hangs_up(),
    )
    said = "A nurse will call you back about that. Call 5 5 5, 0 1 0 0 for the nurse."
    assert outcome.heard == f"Hello, this is the clinic. {said}"
    messages = model.requests[0].messages
    assert messages[1]["content"] == "The wait is 35 minutes at the moment."
    assert messages[-1]["content"] == "My card is (a card number)"
    assert "Take ten milligrams of that." in caplog.text


def test_handoff_gives_the_call_to_billing_which_opens_its_skill() -> None:
    bakery = example("handoff")
    model = ScriptedLLM(
        [
            Reply(
                "I give you to billing.",
                tools=[ToolUse("handoff_to", {"name": "billing", "reason": "Wants 42 dollars back."})],
            ),
            "Billing here. Which invoice is it?",
            Reply(tools=[ToolUse("use_skill", {"skill_name": "refunds"})]),
            "Why do you want the money back?",
            Reply(tools=[ToolUse("refund_invoice", {"number": "1001"})]),
            "It is on its way.",
        ]
    )
    outcome = ring(
        acted(bakery.make_reception(patter()), model),
        Caller()
        .waits_for_agent()
        .says("I want my money back")
        .waits_for_agent()
        .says("Number 1001")
        .waits_for_agent()
        .says("The bread was hard")
        .waits_for_agent()
        .hangs_up(),
    )
    assert "I give you to billing. Billing here." in outcome.heard
    assert bakery.INVOICES["1001"] == "refunded"
    prompts = [request.messages[0]["content"] for request in model.requests]
    assert "billing: Invoices, payments and refunds." in prompts[0]
    assert "Wants 42 dollars back." in prompts[1]
    assert "Ask why" not in prompts[2]
    assert "less than 50 dollars" in prompts[3]
    assert told(model, 5)[-1] == "The money is on its way."


async def test_mcp_tools_are_those_of_a_server_that_the_call_starts() -> None:
    """In real time, for no clock of ours moves another process."""
    pytest.importorskip("mcp")
    shop, server = example("mcp_tools"), example("mcp_tools_server")
    model = ScriptedLLM(
        [Reply(tools=[ToolUse("price_of", {"item": "cheese"})]), "Nine dollars."], first_token_delay=0.0
    )
    agent = attrs.evolve(acted(shop.make_agent(patter()), model), first_message="")
    async with patter().session(agent, port=None) as session:
        outcome = await call(session.app, Caller().says("Cheese?").waits_for_agent().hangs_up())
    assert outcome.ok, outcome
    assert [tool["function"]["name"] for tool in model.requests[0].tools] == [
        "end_call",
        "send_dtmf",
        "transfer_call",
        "price_of",
    ]
    assert told(model, 1) == [server.PRICES["cheese"]]
    assert outcome.heard == "Nine dollars."


def test_call_out_tells_people_and_machines_and_says_what_became_of_each() -> None:
    module = example("call_out")
    person, machine, busy = "+15550000011", "+15550000012", "+15550000013"
    tape = AnsweringMachine("nobody is here")
    way = next(way for way in VENDORS if way.name == "telnyx")
    who = attrs.evolve(module.caller(patter()), stt=ScriptedSTT(), tts=ScriptedTTS(), vad=ScriptedVAD())

    async def body(house: House) -> None:
        house.exchange.book |= {
            person: Person(
                Caller().waits(0.4).says("hello").waits_for_agent().says("until when").waits_for_hang_up()
            ),
            machine: tape,
            busy: Busy(),
        }
        results = await module.call_all(house.session, {person: "Ada", machine: "Bob", busy: "Eve"})
        assert {number: result.outcome for number, result in results.items()} == {
            person: "answered",
            machine: "voicemail",
            busy: "busy",
        }
        heard = house.exchange.outcomes[results[person].call_id].heard
        assert heard.startswith("Hello Ada, this is Corner Bakery.")
        assert "until six in the evening." in heard

    at_the_exchange(way, body, who)
    assert tape.messages == ["This is Corner Bakery. Your order is ready. Goodbye."]


def test_route_calls_chooses_by_number_and_closes_at_night(monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("route_calls")
    switchboard = module.Switchboard(patter())
    hour = 9
    monkeypatch.setattr(switchboard, "now", lambda: datetime(2026, 3, 2, hour, tzinfo=UTC))
    ears = {"stt": ScriptedSTT(), "tts": ScriptedTTS(), "vad": ScriptedVAD()}
    switchboard.by_number = {
        number: attrs.evolve(agent, **ears) for number, agent in switchboard.by_number.items()
    }

    async def body(house: House) -> None:
        nonlocal hour
        house.exchange.book["+15550009999"] = Busy()
        script = (
            Caller()
            .waits_for_agent()
            .says("a person please")
            .waits_until(lambda ear: "Nobody is at the desk." in ear.text(), timeout=60)
            .waits_for_agent()
            .hangs_up()
        )
        outcome = await house.exchange.call(script, to="+15550000002")
        assert outcome.ok, outcome.steps
        assert outcome.heard.startswith("Service, good day.")
        hour = 22
        outcome = await house.exchange.call(Caller().waits(8).hangs_up(), to="+15550000001")
        assert outcome.ear.text() == "We are closed. Please call between eight and six."

    exchange_of_two_numbers(body, switchboard.route)


def exchange_of_two_numbers(body: Callable[[House], Awaitable[None]], route: Callable[..., Any]) -> None:
    way = next(way for way in VENDORS if way.name == "twilio")

    async def numbered(house: House) -> None:
        for number in ("+15550000001", "+15550000002"):
            house.exchange.skin.add_number(number, f"{house.session.url}/webhooks/twilio/voice")  # type: ignore[attr-defined]
        await body(house)

    at_the_exchange(way, numbered, on_call=route)
