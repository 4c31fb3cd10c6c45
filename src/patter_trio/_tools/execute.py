"""Carries out tool calls: arguments checked, time limited, failures told to the model, never raised."""

from __future__ import annotations

import copy
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import trio

from .._foreign import foreign
from ..errors import PatterConfigError, ToolError
from .breaker import CircuitBreaker, Refusal
from .contracts import Progress, ToolCall, ToolContext, ToolOutcome, WebhookTransport
from .definition import Tool
from .envelope import error_envelope, result_text
from .fit import misfit
from .function import TypedFunction
from .parameters import without_nulls

__all__ = ["DefaultToolExecutor"]

_log = logging.getLogger("patter_trio.tools")

ExecutorT = TypeVar("ExecutorT", bound="DefaultToolExecutor")

# Blocking functions that may run at once; a function that never returns keeps its place.
_THREADS = 32

_RESULT_CHARS = 20_000


class DefaultToolExecutor:
    """Carries out the tool calls of an agent's models.

    It lives as long as the session: the circuit breaker of each tool counts over all phone calls. Every
    tool call ends in a :class:`ToolOutcome`, whatever happened; only cancellation passes. A handler runs
    once per call and is never retried: what it had done before it failed, nobody here knows.

    A subclass may override :meth:`run_tool` (to add to every run, or answer in another way),
    :meth:`run_sync` (to run plain functions elsewhere) and :meth:`describe_failure` (to choose what a model
    learns of a failure).

    Args:
        tools: what the agent can do.
        webhooks: carries the calls of tools with a ``webhook_url``.
        failures: so many failures of a tool in a row leave it alone for a while.
        open_seconds: how long.
        max_result_chars: longer results are cut, and the model is told.

    Raises:
        PatterConfigError: two tools share a name, or a webhook may not be called.
    """

    def __init__(
        self,
        tools: Iterable[Tool] = (),
        *,
        webhooks: WebhookTransport | None = None,
        failures: int = 5,
        open_seconds: float = 30.0,
        max_result_chars: int = _RESULT_CHARS,
    ) -> None:
        if failures < 1 or not open_seconds > 0:
            raise PatterConfigError("failures must be at least 1, and open_seconds above 0")
        if max_result_chars < 1:
            raise PatterConfigError(f"max_result_chars must be at least 1, not {max_result_chars!r}")
        self._webhooks = webhooks
        self._max_result_chars = max_result_chars
        self._new_breaker = functools.partial(CircuitBreaker, failures, open_seconds)
        self._breakers: dict[str, CircuitBreaker] = {}
        self._threads = trio.CapacityLimiter(_THREADS)
        self._tools: dict[str, Tool] = {}
        self._add(tools)

    def _add(self, tools: Iterable[Tool]) -> None:
        for tool in tools:
            if not isinstance(tool, Tool):
                raise PatterConfigError(f"{tool!r} is not a tool", hint="make one with @tool or Tool(…)")
            if tool.name in self._tools:
                raise PatterConfigError(
                    f"two tools are named {tool.name!r}", hint="give one of them another name="
                )
            if tool.webhook_url:
                if self._webhooks is None:
                    raise PatterConfigError(
                        f"tool {tool.name!r} has a webhook_url and nothing to call it with",
                        hint="pass webhooks= to the executor",
                    )
                self._webhooks.check(tool.webhook_url)
            self._tools[tool.name] = tool

    def including(self: ExecutorT, tools: Iterable[Tool]) -> ExecutorT:
        """This executor with more tools, for one call; circuit breakers and threads are shared.

        Raises:
            PatterConfigError: a name is taken.
        """
        wider = copy.copy(self)
        wider._tools = dict(self._tools)
        wider._add(tools)
        return wider

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools by name."""
        return self._tools

    def definitions(self) -> list[dict[str, Any]]:
        """The tools as a model is told about them."""
        return [tool.definition() for tool in self._tools.values()]

    # --- for the loop ---------------------------------------------------------------------------------------

    async def execute(
        self,
        name: str,
        arguments_json: str,
        context: ToolContext,
        *,
        id: str = "",
        progress: Progress | None = None,
    ) -> ToolOutcome:
        """Carries out one call. ``id`` is the model's own id of it; a webhook is retried only with one."""
        return await self._outcome(ToolCall(id, name, arguments_json), context, progress)

    async def execute_all(
        self, calls: Sequence[ToolCall], context: ToolContext, *, progress: Progress | None = None
    ) -> list[ToolOutcome]:
        """Carries out the calls of one message, side by side; an outcome for each, in their order."""
        outcomes: dict[int, ToolOutcome] = {}

        async def one(number: int, call: ToolCall) -> None:
            outcomes[number] = await self._outcome(call, context, progress)

        async with trio.open_nursery() as nursery:
            for number, call in enumerate(calls):
                nursery.start_soon(one, number, call)
        return [outcomes[number] for number in range(len(calls))]

    async def _outcome(self, call: ToolCall, context: ToolContext, progress: Progress | None) -> ToolOutcome:
        began = trio.current_time()

        def refused(error: str, **more: Any) -> ToolOutcome:
            seconds = trio.current_time() - began
            return ToolOutcome(call.id, call.name, error_envelope(error, **more), False, error, seconds)

        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            return refused(f"there is no tool {call.name!r}; there is: {known}")
        arguments, wrong = _read_arguments(call.arguments, tool)
        if wrong:
            return refused(f"the arguments of {tool.name} do not fit: {wrong}")
        breaker = self._breakers.setdefault(tool.name, self._new_breaker())
        permit = breaker.admit(began)
        if isinstance(permit, Refusal):
            return refused(
                f"{tool.name} failed too often and is not tried for now",
                circuit_state=breaker.state,
                retry_after_ms=round(permit.retry_after * 1000),
            )
        try:
            content = await self._attempt(tool, call, arguments, context, progress)
        except _BadArgumentsError as error:
            return refused(f"the arguments of {tool.name} do not fit: {error}")
        except ToolError as error:
            _log.warning("call %s: %s", context.call_id, error, exc_info=error.__cause__)
            breaker.failed(permit, trio.current_time())
            more = {} if breaker.state == "closed" else {"circuit_state": breaker.state}
            return refused(self.describe_failure(tool, error), **more)
        else:
            breaker.succeeded(permit)
            return ToolOutcome(call.id, call.name, content, True, "", trio.current_time() - began)
        finally:
            # Of a call that was cancelled; the others have told already how they ended.
            breaker.given_up(permit, trio.current_time())

    async def _attempt(
        self,
        tool: Tool,
        call: ToolCall,
        arguments: dict[str, Any],
        context: ToolContext,
        progress: Progress | None,
    ) -> str:
        async def report(said: str) -> None:
            if progress is not None:
                await progress(call, said)

        try:
            with trio.move_on_after(tool.timeout), foreign(ToolError, tool.name):
                result = await self.run_tool(tool, arguments, context, id=call.id, report=report)
                return result_text(result, self._max_result_chars)
        except ToolError as error:
            if isinstance(error.__cause__, _BadArgumentsError):
                raise error.__cause__ from None
            raise
        raise ToolError(f"{tool.name} took longer than {tool.timeout:g} s")

    # --- for subclasses -------------------------------------------------------------------------------------

    async def run_tool(
        self,
        tool: Tool,
        arguments: dict[str, Any],
        context: ToolContext,
        *,
        id: str,
        report: Callable[[str], Awaitable[None]],
    ) -> Any:
        """Runs a tool whose arguments fit, within its time limit; whatever is raised is told to the model.

        ``id`` is the model's own id of the call; ``report`` tells what a handler yields as progress.
        """
        if tool.handler is None:
            assert self._webhooks is not None
            body = {
                "tool": tool.name,
                "arguments": arguments,
                "call_id": context.call_id,
                "caller": context.caller,
                "callee": context.callee,
            }
            key = quote(f"{context.call_id}:{id}", safe=":") if id else None
            return await self._webhooks.send(tool.webhook_url, body, idempotency_key=key)
        run = _bind(tool.handler, arguments, context)
        result = run() if _is_async(run) else await self.run_sync(run)
        if inspect.isasyncgen(result):
            return await _last_result(result, report)
        if inspect.isgenerator(result):
            result.close()
            raise ToolError(f"{tool.name} is a plain generator: make it an async one")
        return await result if inspect.isawaitable(result) else result

    async def run_sync(self, function: Callable[[], Any]) -> Any:
        """Runs a plain function: in a thread, for one that blocks would hold up every call of the process.

        A call that is cancelled, or out of time, goes on at once; the thread finishes on its own. Under a
        virtual clock threads take no time or all of it: simulations override this with
        ``return function()``.
        """
        # In a box, for trio refuses functions whose result is still to be awaited.
        box = await trio.to_thread.run_sync(
            lambda: (function(),), abandon_on_cancel=True, limiter=self._threads
        )
        return box[0]

    def describe_failure(self, tool: Tool, error: ToolError) -> str:
        """What the model is told of a failure; the exception of a handler is the error's cause."""
        return str(error)


class _BadArgumentsError(Exception):
    """The arguments fit the schema but not the types."""


def _read_arguments(text: str, tool: Tool) -> tuple[dict[str, Any], str]:
    """The arguments, and what is wrong with them. Models write nothing at all for no arguments."""
    try:
        arguments = msgspec.json.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return {}, f"not valid JSON: {error}"
    if not isinstance(arguments, dict):
        return {}, f"they must be a JSON object, not {type(arguments).__name__}"
    if tool.strict:
        arguments = without_nulls(arguments, tool.parameters)
    return arguments, misfit(arguments, tool.parameters) or ""


def _bind(
    handler: Callable[..., Any], arguments: dict[str, Any], context: ToolContext
) -> functools.partial[Any]:
    if not isinstance(handler, TypedFunction):
        return functools.partial(handler, arguments, context.as_mapping())
    try:
        return handler.bind(arguments, context)
    except msgspec.ValidationError as error:
        raise _BadArgumentsError(str(error)) from error


def _is_async(run: functools.partial[Any]) -> bool:
    """Whether calling it gives something to await, and so does not block."""
    function: Any = run.func
    while isinstance(function, functools.partial):
        function = function.func
    called = getattr(type(function), "__call__", None)  # noqa: B004 (the method of an object that is called)
    return any(
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in (function, called)
    )


async def _last_result(steps: Any, report: Callable[[str], Awaitable[None]]) -> Any:
    """The result of a handler that yields its progress."""
    result = None
    async with aclosing(steps):
        async for step in steps:
            if isinstance(step, Mapping) and set(step) == {"progress"}:
                said = step["progress"]
                await report(said if isinstance(said, str) else msgspec.json.encode(said).decode())
            elif isinstance(step, Mapping) and set(step) == {"result"}:
                result = step["result"]
            else:
                raise ToolError(
                    "a handler that yields gives {'progress': …} or {'result': …}, not "
                    f"{type(step).__name__}"
                )
    return result
