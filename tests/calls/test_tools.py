"""Tools in a call: what the caller hears meanwhile, what is remembered, and what an interruption leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from patter_trio import (
    Agent,
    CallControl,
    CompactionConfig,
    DefaultToolExecutor,
    Guardrail,
    Patter,
    PatterConfigError,
    PipelineHooks,
    Skill,
    Tool,
    Twilio,
    define_tool,
    tool,
)
from patter_trio.errors import ProviderError
from patter_trio.events import Message, ToolFinished, ToolStarted
from patter_trio.telephony import TransferOrder
from patter_trio.testing import (
    Caller,
    MemoryLine,
    Reply,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ToolUse,
    run_virtual,
)

from .ring import ACCOUNT, LONG, NUMBER, TOKEN, URL, Rung, agent, ring, twilio

GREETED = Caller().waits_for_agent()
ASKED = GREETED.says("Book me a table").waits_for_agent(quiet=2.5)
INTERRUPTED = GREETED.says("Book me a table").waits(1.2).says("No, cancel that").waits_for_agent(quiet=2.0)


class Bookings:
    """A desk's calendar, with a tool that is slow."""

    def __init__(self, takes: float = 0.0, fails: bool = False) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self.takes, self.fails = takes, fails

    def tool(self, **settings: Any) -> Tool:
        async def book(time: str) -> str:
            """Books a table.

            Args:
                time: when.
            """
            self.begun.append(time)
            await trio.sleep(self.takes)
            if self.fails:
                raise RuntimeError("the calendar is on fire")
            self.done.append(time)
            return f"Booked for {time}."

        made: Tool = tool(**settings)(book)
        return made


def books(then: str = "It is booked.", before: str = "") -> ScriptedLLM:
    """A model that books when it is asked, and speaks once it knows."""

    def answer(messages: Any) -> Reply:
        if messages[-1]["role"] == "tool":
            return Reply(then)
        if "cancel" in str(messages[-1]["content"]):
            return Reply("As you wish.")
        return Reply(before, tools=[ToolUse("book", {"time": "eight"})])

    return ScriptedLLM(answer, first_token_delay=0.1)


def asked(llm: ScriptedLLM, number: int) -> tuple[Message, ...]:
    return llm.requests[number].messages


# --- what the caller hears ----------------------------------------------------------------------------------


def test_the_result_of_a_tool_is_told_to_the_model_and_the_answer_to_the_caller() -> None:
    bookings, llm = Bookings(), books()
    rung = ring(agent(llm, tools=[bookings.tool()]), ASKED.hangs_up())
    assert bookings.done == ["eight"]
    call, result = asked(llm, 1)[-2:]
    assert call["tool_calls"][0]["function"] == {"name": "book", "arguments": '{"time": "eight"}'}
    assert (result["role"], result["content"]) == ("tool", "Booked for eight.")
    assert result["tool_call_id"] == call["tool_calls"][0]["id"]
    assert rung.said("assistant")[-1] == "It is booked."
    assert rung.turn_kinds == ["greeting", "reply"], "one turn"
    (started,), (finished,) = rung.of(ToolStarted), rung.of(ToolFinished)
    assert (started.tool, started.arguments, started.turn_idx) == ("book", '{"time": "eight"}', 1)
    assert finished.ok
    assert finished.result == "Booked for eight."


def test_what_was_written_before_a_tool_is_said_while_it_works() -> None:
    llm = books(before="One moment, I look.")
    patient = GREETED.says("Book me a table").waits_for_agent(quiet=5.0)
    rung = ring(agent(llm, tools=[Bookings(takes=4.0).tool()]), patient.hangs_up())
    reply = rung.outcome.replies[0].seconds
    assert reply is not None
    assert reply < 1.2
    assert rung.outcome.heard.endswith("One moment, I look. It is booked.")
    assert [entry.text for entry in rung.result.history[2:]] == ["One moment, I look.", "It is booked."]
    assert rung.result.history[2].tools[0].result == "Booked for eight."


def test_a_later_question_is_asked_with_the_tools_of_earlier_ones() -> None:
    llm = books(before="One moment.")
    caller = ASKED.says("Anything else, cancel it").waits_for_agent().hangs_up()
    ring(agent(llm, tools=[Bookings().tool()]), caller)
    roles = [message["role"] for message in asked(llm, 2)]
    assert roles == ["system", "assistant", "user", "assistant", "tool", "assistant", "user"]


def test_a_slow_tool_is_excused() -> None:
    who = agent(books(), tools=[Bookings(takes=3.0).tool(reassurance="Just a second please.")])
    rung = ring(who, ASKED.hangs_up())
    assert rung.outcome.heard.endswith("Just a second please. It is booked.")


def test_a_quick_tool_needs_no_excuse() -> None:
    who = agent(books(), tools=[Bookings().tool(reassurance="Just a second please.")])
    assert "second" not in ring(who, ASKED.hangs_up()).outcome.heard


def test_when_to_excuse_can_be_set() -> None:
    excuse = {"message": "Just a second please.", "after_ms": 5000}
    who = agent(books(), tools=[Bookings(takes=3.0).tool(reassurance=excuse)])
    assert "second" not in ring(who, ASKED.hangs_up()).outcome.heard


def test_what_a_tool_says_of_its_progress_is_said() -> None:
    async def search(arguments: dict[str, Any], context: dict[str, Any]) -> Any:
        yield {"progress": "Still looking."}
        await trio.sleep(2.0)
        yield {"result": "found"}

    llm = ScriptedLLM([Reply(tools=[ToolUse("search")]), "Here it is."])
    who = agent(llm, tools=[define_tool("search", "Searches.", {"type": "object", "properties": {}}, search)])
    assert ring(who, ASKED.hangs_up()).outcome.heard.endswith("Still looking. Here it is.")


def test_calls_of_one_message_run_side_by_side() -> None:
    at: dict[str, float] = {}

    async def look(place: str) -> str:
        await trio.sleep(2.0)
        at[place] = trio.current_time()
        return place

    uses = [ToolUse("look", {"place": place}) for place in ("north", "south", "west")]
    llm = ScriptedLLM([Reply(tools=uses), "Done."])
    ring(agent(llm, tools=[tool(look)]), ASKED.hangs_up())
    assert len(set(at.values())) == 1
    assert [message["content"] for message in asked(llm, 1)[-3:]] == ["north", "south", "west"]


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_w17_a_handler_that_fails_is_not_tried_again_and_the_model_is_told() -> None:
    """There: handlers are retried three times, and a booking is made three times."""
    bookings, llm = Bookings(fails=True), books(then="I am sorry, that did not work.")
    rung = ring(agent(llm, tools=[bookings.tool()]), ASKED.hangs_up())
    assert bookings.begun == ["eight"]
    told = asked(llm, 1)[-1]["content"]
    assert '"fallback":true' in told.replace(" ", "")
    assert "on fire" in told
    assert rung.said("assistant")[-1] == "I am sorry, that did not work."


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (ToolUse("book", '{"time": '), "not valid JSON"),
        (ToolUse("book", {}), "time"),
        (ToolUse("cook", {}), "no tool 'cook'"),
    ],
)
def test_w20_a_call_that_makes_no_sense_is_answered_and_never_carried_out(use: ToolUse, said: str) -> None:
    """There: tools that raise a TypeError, and a fallback that does not exist."""
    bookings = Bookings()
    llm = ScriptedLLM([Reply(tools=[use]), "Sorry?"])
    rung = ring(agent(llm, tools=[bookings.tool()]), ASKED.hangs_up())
    assert bookings.begun == []
    assert said in asked(llm, 1)[-1]["content"]
    assert rung.said("assistant")[-1] == "Sorry?"


def test_a_tool_that_takes_too_long_is_given_up() -> None:
    bookings, llm = Bookings(takes=60.0), books(then="It takes too long.")
    rung = ring(agent(llm, tools=[bookings.tool(timeout_s=2.0)]), ASKED.waits_for_agent(quiet=3.0).hangs_up())
    assert "longer than 2 s" in asked(llm, 1)[-1]["content"]
    assert rung.said("assistant")[-1] == "It takes too long."


def test_w23_a_tool_that_fails_again_and_again_is_left_alone_over_calls() -> None:
    """There: the circuit breaker lives in the call, so each call asks a dead system five times more."""
    bookings = Bookings(fails=True)
    executor = DefaultToolExecutor([bookings.tool()], failures=2, open_seconds=3600)
    who = agent(books(then="No."), tool_executor=executor)
    rungs = [ring(who, ASKED.hangs_up()) for _ in range(4)]
    assert len(bookings.begun) == 2
    assert "circuit_state" in rungs[-1].of(ToolFinished)[0].result


def test_a_model_that_goes_round_in_circles_is_stopped() -> None:
    llm = ScriptedLLM([Reply(tools=[ToolUse("book", {"time": "x"})])], first_token_delay=0.0)
    rung = ring(agent(llm, tools=[Bookings().tool()], llm_error_message="Sorry."), ASKED.hangs_up())
    assert len(llm.requests) == 10
    assert rung.said("assistant")[-1] == "Sorry."
    assert rung.result.turns[1].error_code == "llm_failed"


# --- interruptions ------------------------------------------------------------------------------------------


def test_w13_a_tool_is_cancelled_with_its_turn_and_holds_nothing_up() -> None:
    """There: interrupting a 4 s tool delays the next answer by 3.1 s."""
    bookings, llm = Bookings(takes=4.0), books()
    rung = ring(agent(llm, tools=[bookings.tool()]), INTERRUPTED.hangs_up())
    assert (bookings.begun, bookings.done) == (["eight"], [])
    assert rung.said("assistant")[-1] == "As you wish."
    reply = rung.outcome.replies[-1].seconds
    assert reply is not None
    assert reply < 1.2
    assert not any(message["role"] == "tool" for message in asked(llm, 1)), (
        "a call without its result is none"
    )
    assert not any("tool_calls" in message for message in asked(llm, 1))


def test_a_tool_that_must_finish_does_and_its_result_is_remembered() -> None:
    bookings, llm = Bookings(takes=4.0), books()
    caller = INTERRUPTED.waits(3.0).says("And cancel the other").waits_for_agent().hangs_up()
    rung = ring(agent(llm, tools=[bookings.tool(on_barge_in="finish")]), caller)
    assert bookings.done == ["eight"]
    assert any(entry.tools for entry in rung.result.history)
    results = [message["content"] for message in asked(llm, -1) if message["role"] == "tool"]
    assert results == ["Booked for eight."]
    assert rung.of(ToolFinished)[0].ok


def test_what_a_tool_has_done_is_remembered_when_its_answer_is_cut() -> None:
    llm = books(then=LONG)
    caller = (
        GREETED.says("Book me a table")
        .waits_until(lambda ear: "Monday" in ear.text())
        .says("Please cancel that")
        .waits_for_agent(quiet=2.0)
        .hangs_up()
    )
    ring(agent(llm, tools=[Bookings().tool()]), caller)
    assert [message["role"] for message in asked(llm, 2)][-4:] == ["assistant", "tool", "assistant", "user"]


def early(llm: ScriptedLLM, **settings: Any) -> Agent:
    return agent(llm, preemptive_generation=True, stt=ScriptedSTT(delay=1.0), **settings)


def test_an_irreversible_tool_waits_until_the_words_are_the_callers() -> None:
    began: list[float] = []

    async def pay() -> str:
        began.append(trio.current_time())
        return "paid"

    def answer(messages: Any) -> Reply:
        return Reply("Paid.") if messages[-1]["role"] == "tool" else Reply(tools=[ToolUse("pay")])

    who = early(ScriptedLLM(answer, first_token_delay=0.0), tools=[tool(irreversible=True)(pay)])
    rung = ring(who, GREETED.says("Pay it now.").waits_for_agent(quiet=2.0).hangs_up())
    committed = next(event.time for event in rung.events if event.name == "user_speech_eos")
    assert len(began) == 1
    assert began[0] >= committed


def test_an_irreversible_tool_never_runs_for_words_that_changed() -> None:
    paid: list[str] = []

    async def pay(sum: str) -> str:
        paid.append(sum)
        return "paid"

    def answer(messages: Any) -> Reply:
        if messages[-1]["role"] == "tool":
            return Reply("Paid.")
        return Reply(tools=[ToolUse("pay", {"sum": str(messages[-1]["content"])})])

    llm = ScriptedLLM(answer, first_token_delay=0.0)
    caller = GREETED.says("Pay five.").waits(0.15).says("No, six.").waits_for_agent(quiet=2.0).hangs_up()
    ring(early(llm, tools=[tool(irreversible=True)(pay)]), caller)
    assert paid == ["Pay five. No, six."]


def test_a_tool_that_can_be_undone_may_run_early() -> None:
    bookings = Bookings()
    rung = ring(
        early(books(), tools=[bookings.tool()]), GREETED.says("Book it.").waits_for_agent().hangs_up()
    )
    assert bookings.done[0] == "eight"
    assert rung.said("assistant")[-1] == "It is booked."


@pytest.mark.parametrize("settings", [{}, {"on_barge_in": "finish"}])
def test_the_very_first_question_is_not_carried_out_twice(settings: dict[str, Any]) -> None:
    # The caller speaks over the answer before any of it is heard; the booking is made by then, or soon after.
    bookings = Bookings(takes=0.3 if not settings else 1.5)

    def answer(messages: Any) -> Reply:
        if any(message["role"] == "tool" for message in messages):
            return Reply("It is booked.")
        return Reply(tools=[ToolUse("book", {"time": "eight"})])

    llm = ScriptedLLM(answer, first_token_delay=0.2)
    caller = (
        Caller()
        .waits(0.5)
        .says("Book me a table")
        .waits(1.1)
        .says("Are you still there?")
        .waits_for_agent(quiet=2.5)
        .hangs_up()
    )
    who = agent(llm, tools=[bookings.tool(**settings)], tts=ScriptedTTS(delay=1.5), first_message="")
    ring(who, caller)
    assert bookings.done == ["eight"]
    roles = [message["role"] for message in asked(llm, -1)]
    assert roles.index("user") < roles.index("tool")


def test_an_excuse_goes_through_the_transforms() -> None:
    who = agent(
        books(),
        tools=[Bookings(takes=3.0).tool(reassurance="Just a second please.")],
        text_transforms=[lambda text: text.replace("second", "moment")],
    )
    assert "Just a moment please." in ring(who, ASKED.hangs_up()).outcome.heard


# --- what is built in ---------------------------------------------------------------------------------------


def test_the_model_can_end_the_call_and_its_goodbye_is_heard() -> None:
    llm = ScriptedLLM([Reply(tools=[ToolUse("end_call", {"reason": "done"})]), "Goodbye then."])
    rung = ring(agent(llm), GREETED.says("That was all").waits_for_hang_up())
    assert rung.outcome.heard.endswith("Goodbye then.")
    assert rung.result.reason == "agent_hung_up"


def test_what_is_built_in_can_be_left_out_or_replaced() -> None:
    plain = ScriptedLLM(["Yes."])
    ring(agent(plain, builtin_tools=False), ASKED.hangs_up())
    assert plain.requests[0].tools == ()

    async def end_call() -> str:
        return "mine"

    own = ScriptedLLM([Reply(tools=[ToolUse("end_call")]), "Done."])
    ring(agent(own, tools=[tool(end_call)]), ASKED.hangs_up())
    assert asked(own, 1)[-1]["content"] == "mine"


def test_a_tool_may_act_on_the_call() -> None:
    async def whisper(call: CallControl) -> str:
        await call.say("I have a note for you.")
        return call.caller

    llm = ScriptedLLM([Reply(tools=[ToolUse("whisper")]), "That was it."])
    rung = ring(agent(llm, tools=[tool(whisper)]), ASKED.hangs_up())
    assert rung.outcome.heard.endswith("I have a note for you. That was it.")
    assert asked(llm, 1)[-1]["content"] == "+15557654321"


def names_offered(llm: ScriptedLLM, number: int = 0) -> list[str]:
    return [offered["function"]["name"] for offered in llm.requests[number].tools]


# --- skills and hand-offs ----------------------------------------------------------------------------------


def test_a_skill_is_opened_when_it_is_needed() -> None:
    skill = Skill("refunds", "Giving money back.", "Refunds need the number of the receipt, {name}.")
    llm = ScriptedLLM([Reply(tools=[ToolUse("use_skill", {"skill_name": "refunds"})]), "Your receipt?"])
    ring(agent(llm, skills=[skill], variables={"name": "Robin"}), ASKED.hangs_up())
    before, after = asked(llm, 0)[0]["content"], asked(llm, 1)[0]["content"]
    assert "Giving money back" in before
    assert "number of the receipt" not in before
    assert "number of the receipt, Robin." in after


def test_a_colleague_takes_over_in_the_middle_of_the_answer() -> None:
    bookings = Bookings()
    billing = Agent(
        system_prompt="You do the bills.",
        tools=[bookings.tool()],
        guardrails=[],
        handoff_description="Everything about money.",
    )
    llm = ScriptedLLM(
        [
            Reply(
                "I give you to billing.",
                tools=[ToolUse("handoff_to", {"name": "billing", "reason": "a bill"})],
            ),
            "Billing here.",
            "Yes.",
        ]
    )
    who = agent(llm, handoffs={"billing": billing})
    rung = ring(who, ASKED.says("Are you billing?").waits_for_agent().hangs_up())
    assert "Everything about money." in asked(llm, 0)[0]["content"]
    assert "book" not in names_offered(llm, 0)
    for number in (1, 2):
        system = asked(llm, number)[0]["content"]
        assert "You do the bills." in system
        assert "You answer for a bakery." not in system
        assert "a bill" in system
        assert "book" in names_offered(llm, number)
        assert "handoff_to" not in names_offered(llm, number)
    assert rung.outcome.heard.endswith("I give you to billing. Billing here. Yes.")


def test_a_colleagues_guardrails_hold_from_the_moment_of_the_hand_off() -> None:
    billing = Agent(
        system_prompt="You do the bills.",
        guardrails=[Guardrail("secrets", blocked_terms=["secret"], replacement="I may not say.")],
    )
    hand_over = ToolUse("handoff_to", {"name": "billing", "reason": "a bill"})
    llm = ScriptedLLM([Reply("No secret here.", tools=[hand_over]), "The secret is out."])
    rung = ring(agent(llm, handoffs={"billing": billing}), ASKED.hangs_up())
    assert rung.outcome.heard.endswith("No secret here. I may not say.")


# --- long conversations -------------------------------------------------------------------------------------


def test_the_older_part_of_a_long_call_is_summarised_while_it_goes_on() -> None:
    def answer(messages: Any) -> str:
        return (
            "NOTES: they like bread." if "notes" in str(messages[0]["content"]) else "Yes, " + "bread " * 60
        )

    llm = ScriptedLLM(answer, first_token_delay=0.0, token_delay=0.0)
    who = agent(llm, compaction=CompactionConfig(trigger_tokens=200, target_tokens=50, keep_last_turns=1))
    caller = GREETED
    for number in range(4):
        caller = caller.says(f"Question {number}").waits_for_agent(quiet=1.0)
    rung = ring(who, caller.hangs_up())
    last = llm.requests[-1].messages
    assert any("NOTES: they like bread." in str(message["content"]) for message in last[:3])
    assert "Question 0" not in str(last)
    assert "Question 0" in rung.said("user"), "callbacks and records have all of it"


# --- mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (lambda: {"tools": [print]}, "is not a tool"),
        (lambda: {"tools": [Bookings().tool(), Bookings().tool()]}, "two tools are named 'book'"),
        (lambda: {"tools": [Bookings().tool()], "tool_executor": DefaultToolExecutor()}, "both say"),
        (lambda: {"tools": [Bookings().tool()], "on_message": print}, "offered no tools"),
        (lambda: {"skills": [Skill("x", "y", "z")], "on_message": print}, "offered no tools"),
        (lambda: {"handoffs": {"a": "b"}}, "must be an Agent"),
        (lambda: {"handoffs": [Agent(system_prompt="x")]}, 'like handoffs={"billing": agent}'),
        (
            lambda: {"handoffs": {"a": Agent(system_prompt="x", hooks=PipelineHooks())}},
            "stay those of the agent that answers",
        ),
        (
            lambda: {
                "hooks": PipelineHooks(after_transcribe=lambda text: text),
                "preemptive_generation": True,
            },
            "before after_transcribe",
        ),
        (lambda: {"mcp_servers": ["x"]}, "not a list of MCP servers"),
        (lambda: {"tool_webhooks": "secret"}, "a session can open"),
        (lambda: {"tool_executor": print}, "carries out no tools"),
        (lambda: {"compaction": 5}, "CompactionConfig"),
        (lambda: {"hooks": {}}, "PipelineHooks"),
    ],
)
def test_mistakes_are_told_when_the_agent_is_made(settings: Callable[[], dict[str, Any]], said: str) -> None:
    with pytest.raises(PatterConfigError, match=said):
        Agent(system_prompt="x", **settings())


# --- the carrier --------------------------------------------------------------------------------------------


class Exchange(Twilio):
    """A carrier that connects callers to others, or refuses."""

    def __init__(self, refuses: bool = False) -> None:
        super().__init__(account_sid=ACCOUNT, auth_token=TOKEN)
        object.__setattr__(self, "connected", [])
        object.__setattr__(self, "refuses", refuses)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        async with super().open() as live:
            yield Switchboard(self, live)


class Switchboard:
    def __init__(self, exchange: Exchange, live: Any) -> None:
        self._exchange = exchange
        self.answer = live.answer

    async def transfer(self, call_id: str, order: TransferOrder) -> None:
        if self._exchange.refuses:  # type: ignore[attr-defined]
            raise ProviderError("Twilio: 21220, the call is not in progress")
        self._exchange.connected.append((order.number, trio.current_time()))  # type: ignore[attr-defined]


def transferring(exchange: Exchange, llm: ScriptedLLM) -> Rung:
    async def main() -> Rung:
        events: list[Any] = []
        house = Patter(exchange, NUMBER, URL)
        who = agent(llm)
        async with house.session(who, port=None, on_event=events.append) as session:
            caller = GREETED.says("Give me a person").waits_for_agent(quiet=1.5).hangs_up()
            outcome = await twilio().call(MemoryLine(session.app, URL), caller)
            return Rung(outcome, events, list(session.results))

    return run_virtual(main)


def test_the_model_can_transfer_the_call_where_the_carrier_can() -> None:
    llm = ScriptedLLM(
        [Reply("I connect you.", tools=[ToolUse("transfer_call", {"number": "+15550009999"})]), "Goodbye."]
    )
    exchange = Exchange()
    rung = transferring(exchange, llm)
    ((number, at),) = exchange.connected  # type: ignore[attr-defined]
    assert number == "+15550009999"
    spoken = rung.outcome.ear.agent_speech[1]
    assert at >= rung.events[0].time + spoken.start + 1.0, "what it says about it is heard first"
    (used,) = rung.result.history[-1].tools
    assert used.result == "The caller is being connected to +15550009999."
    assert len(llm.requests) == 1, "there is nobody any more to say anything to"
    assert rung.result.reason == "transferred"


def test_w18_the_model_is_told_what_the_carrier_really_answered() -> None:
    """There: results are not checked, and the agent says "transferring" while nothing happens."""
    llm = ScriptedLLM(
        [Reply(tools=[ToolUse("transfer_call", {"number": "+15550009999"})]), "I am sorry, I cannot."]
    )
    rung = transferring(Exchange(refuses=True), llm)
    told = asked(llm, 1)[-1]["content"]
    assert "not in progress" in told
    assert "fallback" in told
    assert rung.said("assistant")[-1] == "I am sorry, I cannot."
    assert rung.result.reason == "caller_hung_up"
