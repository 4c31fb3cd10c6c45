"""Tool calls carried out, in virtual time: what the model is told, and that nothing is ever raised."""

from __future__ import annotations

import enum
import functools
import json
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from patter_trio import CallControl, CallInfo
from patter_trio.errors import PatterConfigError, ToolError
from patter_trio.tools import (
    DefaultToolExecutor,
    Tool,
    ToolCall,
    ToolContext,
    ToolExecutor,
    ToolOutcome,
    define_tool,
    tool,
)

CONTROL = CallControl(CallInfo("CA1", "+15550001", "+15550002"))
CONTEXT = ToolContext("CA1", "+15550001", "+15550002", CONTROL)


class Size(enum.Enum):
    SMALL = "small"


@attrs.frozen
class Line:
    item: str
    count: int = 1


@tool
async def double(number: int) -> int:
    return 2 * number


def raw(handler: Any, name: str = "ask", **settings: Any) -> Tool:
    return define_tool(name, "Asks.", {"type": "object"}, handler, **settings)


async def run(made: Tool, arguments: str = "{}", **settings: Any) -> ToolOutcome:
    return await DefaultToolExecutor([made], **settings).execute(made.name, arguments, CONTEXT)


def envelope(outcome: ToolOutcome) -> dict[str, Any]:
    """The failure as the model reads it."""
    assert not outcome.ok
    told: dict[str, Any] = json.loads(outcome.content)
    assert told["fallback"] is True
    assert outcome.error
    return told


# --- results ------------------------------------------------------------------------------------------------


async def test_a_call_gives_its_result() -> None:
    executor: ToolExecutor = DefaultToolExecutor([double])
    (outcome,) = await executor.execute_all([ToolCall("call_1", "double", '{"number": 4}')], CONTEXT)
    assert (outcome.id, outcome.name, outcome.content, outcome.ok) == ("call_1", "double", "8", True)
    assert executor.definitions() == [double.definition()]


@pytest.mark.parametrize(
    ("result", "content"),
    [
        ("plain words", "plain words"),
        ('{"already": "json"}', '{"already": "json"}'),
        (None, "null"),
        ({"a": [1, 2.5, True]}, '{"a":[1,2.5,true]}'),
        (Size.SMALL, '"small"'),
        (Line("cake"), '{"count":1,"item":"cake"}'),
        ("half \ud83d", "half ?"),
    ],
)
async def test_text_is_told_as_it_is_and_the_rest_as_json(result: Any, content: str) -> None:
    async def ask(arguments: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
        return result

    assert (await run(raw(ask))).content == content


async def test_a_result_that_is_no_json_is_a_failure() -> None:
    async def ask(arguments: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
        return object()

    assert "object" in envelope(await run(raw(ask)))["error"]


async def test_too_long_a_result_is_cut_and_the_model_is_told() -> None:
    async def ask(arguments: Mapping[str, Any], context: Mapping[str, Any]) -> str:
        return "x" * 300

    told = json.loads((await run(raw(ask), max_result_chars=100)).content)
    assert told == {"result": "x" * 100, "truncated": True, "characters": 300}
    assert (await run(raw(ask), max_result_chars=300)).content == "x" * 300


async def test_a_raw_handler_learns_whose_call_it_is() -> None:
    seen: list[Any] = []

    async def ask(arguments: dict[str, Any], context: dict[str, Any]) -> None:
        seen.append((arguments, context))

    await run(raw(ask), '{"a": 1}')
    facts = {"call_id": "CA1", "caller": "+15550001", "callee": "+15550002", "control": CONTROL}
    assert seen == [({"a": 1}, facts)]


async def test_a_typed_function_gets_its_types_its_defaults_and_the_call() -> None:
    seen: list[Any] = []

    @tool(strict=True)
    async def order(
        lines: list[Line],
        line: CallControl,
        size: Size = Size.SMALL,
        count: float = 2.0,
        note: str | None = "-",
    ) -> None:
        seen.append((lines, line, size, count, note))

    arguments = {"lines": [{"item": "cake", "count": None}], "size": None, "count": 3, "note": None}
    assert (await run(order, json.dumps(arguments))).ok
    assert seen == [([Line("cake", 1)], CONTROL, Size.SMALL, 3.0, None)]


async def test_no_arguments_at_all_are_no_arguments() -> None:
    @tool
    async def hello() -> str:
        return "hello"

    for nothing in ("", "  ", "{}"):
        assert (await run(hello, nothing)).content == "hello"


# --- plain functions ----------------------------------------------------------------------------------------


async def test_a_plain_function_runs_in_a_thread() -> None:
    @tool
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert (await run(where)).content == "false"


async def test_a_blocking_function_holds_up_nobody_and_is_left_when_its_time_is_over() -> None:
    free, entered = threading.Event(), threading.Event()

    @tool(timeout_s=0.1)
    def block() -> None:
        entered.set()
        free.wait(10)

    try:
        with trio.fail_after(5):
            outcome = await run(block)
        assert entered.is_set()
        assert "longer than 0.1 s" in envelope(outcome)["error"]
    finally:
        free.set()


async def test_a_subclass_may_run_plain_functions_elsewhere() -> None:
    class Inline(DefaultToolExecutor):
        async def run_sync(self, function: Any) -> Any:
            return function()

    @tool
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert (await Inline([where]).execute("where", "", CONTEXT)).content == "true"


async def test_async_is_found_under_a_partial_and_in_an_object() -> None:
    main = threading.main_thread()

    async def ask(extra: int, arguments: Any, context: Any) -> bool:
        return threading.current_thread() is main

    class Asks:
        async def __call__(self, arguments: Any, context: Any) -> bool:
            return threading.current_thread() is main

    for handler in (functools.partial(ask, 1), Asks(), lambda arguments, context: ask(1, arguments, context)):
        assert (await run(raw(handler))).content == "true"


# --- failures -----------------------------------------------------------------------------------------------


async def test_an_unknown_tool_is_named_with_the_known_ones() -> None:
    outcome = await DefaultToolExecutor([double]).execute("halve", "{}", CONTEXT)
    assert "'halve'" in envelope(outcome)["error"]
    assert "double" in outcome.content


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ('{"number": ', "not valid JSON"),
        ("[1]", "must be a JSON object, not list"),
        ("{}", "number missing"),
        ('{"number": "4"}', "number must be integer, not '4'"),
        ('{"number": 4, "more": 1}', "'more' is unknown"),
        ('{"number": ' + "[" * 100_000, "not valid JSON"),
        ("\ud800", "not valid JSON"),
    ],
)
async def test_arguments_that_do_not_fit_run_nothing(arguments: str, complaint: str) -> None:
    assert complaint in envelope(await run(double, arguments))["error"]


async def test_arguments_that_fit_the_schema_but_not_the_type_run_nothing() -> None:
    @tool
    async def move(place: tuple[int, str]) -> None:
        raise AssertionError("it ran")

    told = envelope(await run(move, '{"place": [1, 2]}'))
    assert "do not fit" in told["error"]
    assert "circuit_state" not in told


async def test_what_a_handler_raises_is_told_and_stays_here(caplog: pytest.LogCaptureFixture) -> None:
    async def ask(arguments: Any, context: Any) -> None:
        raise ValueError("no order 7")

    assert envelope(await run(raw(ask)))["error"] == "ask failed: ValueError('no order 7')"
    assert "no order 7" in caplog.text


async def test_a_group_of_failures_is_one_failure() -> None:
    async def ask(arguments: Any, context: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            await trio.sleep_forever()

    async def fail() -> None:
        raise KeyError("x")

    assert "KeyError" in envelope(await run(raw(ask)))["error"]


async def test_a_tool_error_is_told_in_its_own_words() -> None:
    async def ask(arguments: Any, context: Any) -> None:
        raise ToolError("we are closed on Mondays")

    assert envelope(await run(raw(ask)))["error"] == "we are closed on Mondays"


async def test_a_tool_that_takes_too_long_is_ended(autojump_clock: MockClock) -> None:
    ended: list[str] = []

    async def ask(arguments: Any, context: Any) -> None:
        try:
            await trio.sleep(100)
        finally:
            ended.append("here")

    outcome = await run(raw(ask, timeout_s=3))
    assert "longer than 3 s" in envelope(outcome)["error"]
    assert outcome.seconds == pytest.approx(3.0)
    assert ended == ["here"]
    assert (await run(raw(ask))).seconds == pytest.approx(10.0)


async def test_a_subclass_chooses_what_the_model_learns_of_a_failure() -> None:
    class Discreet(DefaultToolExecutor):
        def describe_failure(self, tool: Tool, error: ToolError) -> str:
            return f"{tool.name} is not available"

    async def ask(arguments: Any, context: Any) -> None:
        raise ValueError("password=hunter2")

    outcome = await Discreet([raw(ask)]).execute("ask", "", CONTEXT)
    assert envelope(outcome)["error"] == "ask is not available"
    assert "hunter2" not in outcome.content


async def test_a_subclass_may_answer_for_a_tool() -> None:
    class Cached(DefaultToolExecutor):
        async def run_tool(self, tool: Tool, arguments: dict[str, Any], context: Any, **more: Any) -> Any:
            if arguments.get("number") == 1:
                return "cached"
            return await super().run_tool(tool, arguments, context, **more)

    executor = Cached([double])
    assert (await executor.execute("double", '{"number": 1}', CONTEXT)).content == "cached"
    assert (await executor.execute("double", '{"number": 2}', CONTEXT)).content == "4"


# --- progress -----------------------------------------------------------------------------------------------


async def test_progress_is_told_while_the_tool_works_and_the_result_at_the_end() -> None:
    told: list[tuple[str, str]] = []

    @tool
    async def search(word: str) -> AsyncIterator[dict[str, Any]]:
        yield {"progress": f"looking for {word}"}
        yield {"progress": {"done": 1}}
        yield {"result": {"found": 3}}

    async def progress(call: ToolCall, said: str) -> None:
        told.append((call.id, said))

    executor = DefaultToolExecutor([search])
    outcome = await executor.execute("search", '{"word": "cake"}', CONTEXT, id="c1", progress=progress)
    assert outcome.content == '{"found":3}'
    assert told == [("c1", "looking for cake"), ("c1", '{"done":1}')]
    assert (await run(search, '{"word": "cake"}')).ok


async def test_a_step_that_is_neither_is_a_failure_and_the_generator_is_closed() -> None:
    closed: list[bool] = []

    @tool
    async def search() -> AsyncIterator[Any]:
        try:
            yield "almost"
        finally:
            closed.append(True)

    assert "{'progress': …}" in envelope(await run(search))["error"]
    assert closed == [True]


# --- several calls, cancellation ----------------------------------------------------------------------------


async def test_the_calls_of_one_message_run_side_by_side_and_are_answered_in_order(
    autojump_clock: MockClock,
) -> None:
    @tool
    async def wait(seconds: float) -> float:
        await trio.sleep(seconds)
        if seconds == 2:
            raise ValueError("two")
        return seconds

    calls = [ToolCall(f"c{n}", "wait", json.dumps({"seconds": n})) for n in (3, 2, 1)]
    calls.append(ToolCall("c0", "nothing"))
    began = trio.current_time()
    outcomes = await DefaultToolExecutor([wait]).execute_all(calls, CONTEXT)
    assert trio.current_time() - began == pytest.approx(3.0)
    assert [outcome.id for outcome in outcomes] == ["c3", "c2", "c1", "c0"]
    assert [outcome.ok for outcome in outcomes] == [True, False, True, False]
    assert await DefaultToolExecutor([wait]).execute_all([], CONTEXT) == []


async def test_cancelling_the_turn_ends_the_tool_at_once(autojump_clock: MockClock) -> None:
    ended: list[float] = []

    @tool
    async def book() -> None:
        try:
            await trio.sleep(5)
        finally:
            ended.append(trio.current_time())

    began = trio.current_time()
    with trio.move_on_after(1) as turn:
        await DefaultToolExecutor([book]).execute_all([ToolCall("c", "book")], CONTEXT)
    assert turn.cancelled_caught
    assert ended == [pytest.approx(began + 1)]


# --- W17, W23: never run twice, and the breaker outlives the call -------------------------------------------


async def test_w17_a_handler_that_fails_has_run_once(autojump_clock: MockClock) -> None:
    bookings: list[str] = []

    async def book(arguments: Any, context: Any) -> None:
        bookings.append(context["call_id"])
        raise TimeoutError("the answer was lost, the booking was not")

    envelope(await run(raw(book)))
    assert bookings == ["CA1"]


async def test_w23_the_breaker_counts_over_calls(autojump_clock: MockClock) -> None:
    runs: list[str] = []
    healthy = False

    async def ask(arguments: Any, context: Any) -> str:
        runs.append(context["call_id"])
        if not healthy:
            raise ConnectionError("down")
        return "up"

    session = DefaultToolExecutor([raw(ask), double])

    async def one(number: int) -> ToolOutcome:
        # Each call has tools of its own beside those of the session.
        executor = session.including([raw(ask, name=f"of_call_{number}")])
        return await executor.execute("ask", "", ToolContext(f"CA{number}"))

    told = [envelope(await one(number)) for number in range(5)]
    assert told[-1]["circuit_state"] == "open"
    again = envelope(await one(6))
    assert again["circuit_state"] == "open"
    assert again["retry_after_ms"] == 30_000
    assert len(runs) == 5
    assert (await session.execute("double", '{"number": 1}', CONTEXT)).ok

    await trio.sleep(30)
    healthy = True
    assert (await one(7)).content == "up"
    assert (await one(8)).ok


async def test_arguments_of_the_model_do_not_open_the_breaker() -> None:
    executor = DefaultToolExecutor([double], failures=1)
    for _ in range(3):
        envelope(await executor.execute("double", "{}", CONTEXT))
    assert (await executor.execute("double", '{"number": 1}', CONTEXT)).ok


async def test_a_probe_that_a_barge_in_cancels_does_not_close_the_tool_for_ever(
    autojump_clock: MockClock,
) -> None:
    async def ask(arguments: Any, context: Any) -> str:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, arguments["seconds"])
        if arguments.get("fail"):
            raise ValueError
        return "done"

    executor = DefaultToolExecutor([raw(ask)], failures=1, open_seconds=4)
    envelope(await executor.execute("ask", '{"seconds": 0, "fail": true}', CONTEXT))
    await trio.sleep(4)
    with trio.move_on_after(1):
        await executor.execute("ask", '{"seconds": 5}', CONTEXT)
    assert (await executor.execute("ask", '{"seconds": 0}', CONTEXT)).ok


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: DefaultToolExecutor([double, double]), "two tools are named 'double'"),
        (lambda: DefaultToolExecutor([double]).including([double]), "two tools are named 'double'"),
        (lambda: DefaultToolExecutor([cast("Tool", {"name": "x"})]), "is not a tool"),
        (lambda: DefaultToolExecutor([Tool("x", webhook_url="https://example.com")]), "webhooks="),
        (lambda: DefaultToolExecutor(failures=0), "failures"),
        (lambda: DefaultToolExecutor(open_seconds=0), "open_seconds"),
        (lambda: DefaultToolExecutor(max_result_chars=0), "max_result_chars"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(make: Any, complaint: str) -> None:
    with pytest.raises(PatterConfigError, match=complaint):
        make()


def test_more_tools_for_one_call_are_not_the_sessions() -> None:
    session = DefaultToolExecutor([double])
    wider = session.including([Tool("ask", handler=lambda arguments, context: None)])
    assert set(wider.tools) == {"double", "ask"}
    assert set(session.tools) == {"double"}


@given(st.text(), st.text())
def test_whatever_a_model_writes_there_is_an_outcome(name: str, arguments: str) -> None:
    @tool
    async def ask(them: list[int]) -> int:
        return sum(them)

    async def main() -> None:
        executor = DefaultToolExecutor([ask])
        for called in (name, "ask"):
            outcome = await executor.execute(called, arguments, CONTEXT)
            assert outcome.ok or envelope(outcome)

    trio.run(main, clock=MockClock(autojump_threshold=0))
