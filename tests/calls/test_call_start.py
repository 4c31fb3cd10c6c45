"""What on_call_start may change about its call, and what it may not hold up."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

from patter_trio import Session
from patter_trio._callbacks import overridden
from patter_trio.errors import PatterConfigError
from patter_trio.testing import Caller, MemoryLine, ScriptedLLM, run_virtual

from .ring import NUMBER, URL, agent, patter, ring, twilio

GREETED = Caller().waits_for_agent()
SHORT = GREETED.hangs_up()


def test_it_is_told_who_calls() -> None:
    told: list[dict[str, Any]] = []
    rung = ring(agent(), SHORT, on_call_start=told.append)
    assert told == [
        {
            "call_id": rung.result.call_id,
            "caller": "+15557654321",
            "callee": NUMBER,
            "direction": "inbound",
            "custom_params": told[0]["custom_params"],
            "telephony_provider": "twilio",
        }
    ]


@pytest.mark.parametrize("is_async", [False, True])
def test_what_it_returns_are_settings_of_this_call(is_async: bool) -> None:
    def greet(event: dict[str, Any]) -> dict[str, Any]:
        return {"first_message": "Hello {name}, of {place}.", "variables": {"name": "Ada"}}

    async def greet_later(event: dict[str, Any]) -> dict[str, Any]:
        await trio.sleep(0.4)
        return greet(event)

    who = agent(variables={"place": "London", "name": "nobody"})
    rung = ring(who, SHORT, on_call_start=greet_later if is_async else greet)
    assert rung.said("assistant") == ["Hello Ada, of London."]


def test_the_prompt_of_one_call_is_not_that_of_the_next() -> None:
    llm = ScriptedLLM(["Yes."])
    prompts = iter([{"system_prompt": "You sell bread."}, None])

    async def main() -> None:
        async with patter().session(
            agent(llm), port=None, on_call_start=lambda event: next(prompts)
        ) as session:
            for caller in ("+15550000001", "+15550000002"):
                script = GREETED.says("Hello?").waits_for_agent().hangs_up()
                await twilio(caller).call(MemoryLine(session.app, URL), script)

    run_virtual(main)
    first, second = (str(request.messages[0]["content"]) for request in llm.requests)
    assert first.endswith("You sell bread.")
    assert second.endswith("You answer for a bakery.")


def test_it_may_listen_to_the_call_that_begins() -> None:
    heard: list[str] = []

    async def main() -> None:
        running: list[Session] = []

        def begin(event: dict[str, Any]) -> None:
            call = running[0].calls[event["call_id"]]
            call.on_agent_speech_started = lambda told: heard.append("speech")
            running[0].events.on("turn_ended", lambda told: heard.append("turn"))

        async with patter().session(agent(), port=None, on_call_start=begin) as session:
            running.append(session)
            await twilio().call(MemoryLine(session.app, URL), SHORT)

    run_virtual(main)
    assert heard == ["speech", "turn"]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"stt": None}, "cannot set stt for one call"),
        ({"first_mesage": "Hi."}, "cannot set first_mesage for one call"),
        ({"first_message": 3}, "first_message must be text"),
    ],
)
def test_settings_that_cannot_be_are_logged_and_the_call_goes_on(
    answer: dict[str, Any], complaint: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        rung = ring(agent(), SHORT, on_call_start=lambda event: answer)
    assert complaint in caplog.text
    assert rung.said("assistant") == ["Hello, this is the desk."]
    with pytest.raises(PatterConfigError, match=complaint):
        overridden(agent(), answer)


def greeting_began(**options: Any) -> float:
    return ring(agent(), SHORT, **options).outcome.ear.agent_speech[0].start


def test_a_callback_that_hangs_holds_the_greeting_up_for_a_second_at_most() -> None:
    async def hang(event: dict[str, Any]) -> None:
        await trio.sleep_forever()

    plain = greeting_began()
    assert greeting_began(on_call_start=lambda event: None) == plain
    assert greeting_began(on_call_start=hang) == pytest.approx(plain + 1.0, abs=0.03)


def test_settings_that_come_late_are_not_used_and_the_callback_may_finish(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[bool] = []

    async def slow(event: dict[str, Any]) -> dict[str, Any]:
        await trio.sleep(2.0)
        done.append(True)
        return {"first_message": "Too late."}

    with caplog.at_level(logging.WARNING):
        rung = ring(agent(), SHORT, on_call_start=slow)
    assert done
    assert rung.said("assistant") == ["Hello, this is the desk."]
    assert "came too late" in caplog.text
