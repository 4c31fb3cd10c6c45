"""Where a turn's words come from: a fixed text, the user's function, or a model."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

import attrs
import trio

from .._foreign import foreign, takes_call_id
from .._text.repetition import Repetition
from .._text.sentences import Break
from .._tools.contracts import ToolCall
from .._turns.history import UsedTool, tool_messages
from .._turns.usage import Tally
from ..abc import LLMProvider
from ..errors import LanguageModelError
from ..events import LLMChunk, Message
from .control import CallControl
from .toolbox import Toolbox
from .turn import Script, Turn

__all__ = ["Hedge", "Question", "fixed_script", "function_script", "model_script"]


# A model that calls tools in more rounds than this goes round in circles.
_ROUNDS = 10

# What may still come behind the last word: a count of tokens, the end of the body.
_AFTER_DONE_SECONDS = 0.25


def fixed_script(text: str) -> Script:
    """Says exactly this."""
    return Script(_fixed(text), "fixed", "fixed")


def function_script(
    function: Callable[..., Any], event: Mapping[str, Any], control: CallControl, told: str = ""
) -> Script:
    """Says what the user's ``on_message`` function returns or yields.

    Where that begins with the words of ``told``, which the caller has heard before, it is said from there on.
    """
    name = getattr(function, "__name__", type(function).__name__)
    return Script(_from_function(function, event, control, Repetition(told)), "on_message", name)


@attrs.frozen
class Hedge:
    """A second request, made when the first has not spoken ``after`` seconds; the first to speak answers."""

    model: LLMProvider
    after: float


@attrs.frozen
class Question:
    """What a model is asked.

    Args:
        call_id: for providers that want to know.
        messages: gives the messages before the first one of this turn's tools; asked anew in each round, for
            a tool may change the instructions.
        toolbox: what the model may do.
        hedge: how a slow model is asked twice.
    """

    call_id: str
    messages: Callable[[Sequence[Message]], Awaitable[Sequence[Message]]]
    toolbox: Toolbox
    hedge: Hedge | None = None


def model_script(model: LLMProvider, question: Question, turn: Turn) -> Script:
    """Says what the model answers, and does what it asks for in between."""
    return Script(_from_model(model, question, turn), model.name, model.model)


@trio.as_safe_channel
async def _fixed(text: str) -> AsyncGenerator[str, None]:
    yield text


@trio.as_safe_channel
async def _from_function(
    function: Callable[..., Any], event: Mapping[str, Any], control: CallControl, repetition: Repetition
) -> AsyncGenerator[str, None]:
    answer = function(event, control) if _takes_control(function) else function(event)
    if inspect.isasyncgen(answer):
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                yield repetition.feed(_text(piece))
    else:
        if inspect.isawaitable(answer):
            answer = await answer
        yield repetition.feed(_text(answer))
    yield repetition.flush()


@trio.as_safe_channel
async def _from_model(
    model: LLMProvider, question: Question, turn: Turn
) -> AsyncGenerator[str | Break, None]:
    done: list[Message] = []
    for _ in range(_ROUNDS):
        executor = await question.toolbox.executor()
        request = _Request(await question.messages(done), executor.definitions(), question.call_id)
        asked = _Asked()
        async with _open_answer(model, question.hedge, request, turn.tally) as chunks:
            async for chunk in chunks:
                if chunk.type == "usage":
                    turn.tally.used(chunk)
                elif chunk.type == "tool_call":
                    asked.feed(chunk)
                elif chunk.type == "text" and chunk.content:
                    turn.tally.pieces += 1
                    asked.text += chunk.content
                    yield chunk.content
        calls = asked.calls()
        if not calls:
            return
        # What was written before the tools is said while they work.
        yield Break()
        used: list[UsedTool] = []
        turn.steps.append(used)
        await question.toolbox.use(calls, executor, turn, used)
        done += tool_messages(asked.text, used)
    raise LanguageModelError(f"{model.name} called tools {_ROUNDS} times in one answer")


class _Asked:
    """The tool calls of one message, joined from the pieces in which they come."""

    def __init__(self) -> None:
        self.text = ""
        self._pieces: dict[int, list[LLMChunk]] = {}

    def feed(self, chunk: LLMChunk) -> None:
        """A piece of a call."""
        self._pieces.setdefault(chunk.index, []).append(chunk)

    def calls(self) -> list[ToolCall]:
        """The calls, each with an id of its own."""
        calls: list[ToolCall] = []
        for index, pieces in sorted(self._pieces.items()):
            known = {call.id for call in calls}
            given = next((piece.id for piece in pieces if piece.id), "")
            calls.append(
                ToolCall(
                    given if given and given not in known else f"call_{index}",
                    "".join(piece.name for piece in pieces),
                    "".join(piece.arguments for piece in pieces),
                )
            )
        return calls


@attrs.frozen
class _Request:
    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]]
    call_id: str


def _open_answer(
    model: LLMProvider, hedge: Hedge | None, request: _Request, tally: Tally
) -> AbstractAsyncContextManager[AsyncIterable[LLMChunk]]:
    if hedge is None:
        return _answer(model, request, tally)
    return _first_to_speak(model, hedge, request, tally)


@trio.as_safe_channel
async def _answer(model: LLMProvider, request: _Request, tally: Tally) -> AsyncGenerator[LLMChunk, None]:
    """One request's chunks up to ``done``, and the count of tokens that may come behind it."""
    tally.asked()
    known = {"call_id": request.call_id} if takes_call_id(model) else {}
    async with model.stream(request.messages, request.tools or None, **known) as chunks:
        async for chunk in chunks:
            yield chunk
            if chunk.type == "done":
                break
        # A stream that is left early costs its connection, but the last sentence does not wait for it.
        with trio.move_on_after(_AFTER_DONE_SECONDS):
            async for chunk in chunks:
                if chunk.type == "usage":
                    tally.used(chunk)


class _Race:
    """Two requests, of which the first to say anything goes on and the other one is cancelled."""

    def __init__(self, request: _Request, tally: Tally) -> None:
        self._request = request
        self._tally = tally
        self._scopes = (trio.CancelScope(), trio.CancelScope())
        self._winner: int | None = None
        self._decided = trio.Event()
        self.failures: list[LanguageModelError] = []
        self.broke_off = False

    async def run(self, number: int, model: LLMProvider, outlet: trio.MemorySendChannel[LLMChunk]) -> None:
        """Makes a request and gives its chunks from the moment it has won."""
        with outlet, self._scopes[number]:
            try:
                with foreign(LanguageModelError, model.name):
                    async with _answer(model, self._request, self._tally) as answer:
                        async for chunk in answer:
                            if self._winner is None:
                                self._win(number)
                            await outlet.send(chunk)
            except LanguageModelError as error:
                self.failures.append(error)
                self.broke_off = self._winner == number
                self._decided.set()
        if self._winner != number:
            self._tally.lost()

    def _win(self, number: int) -> None:
        self._winner = number
        self._decided.set()
        self._scopes[1 - number].cancel()
        self._tally.hedges_won += number

    async def run_second(self, hedge: Hedge, outlet: trio.MemorySendChannel[LLMChunk]) -> None:
        """Makes the second request if the first is late or has failed."""
        with outlet:
            with trio.move_on_after(hedge.after):
                await self._decided.wait()
            if self._winner is None:
                self._tally.hedges += 1
                await self.run(1, hedge.model, outlet)


@trio.as_safe_channel
async def _first_to_speak(
    model: LLMProvider, hedge: Hedge, request: _Request, tally: Tally
) -> AsyncGenerator[LLMChunk, None]:
    race = _Race(request, tally)
    to_us, chunks = trio.open_memory_channel[LLMChunk](0)
    async with trio.open_nursery() as nursery:
        with to_us:
            nursery.start_soon(race.run, 0, model, to_us.clone())
            nursery.start_soon(race.run_second, hedge, to_us.clone())
        async for chunk in chunks:
            yield chunk
    if race.broke_off:
        raise race.failures[-1]
    if len(race.failures) == 2:
        raise race.failures[0]


def _takes_control(function: Callable[..., Any]) -> bool:
    """Whether it has two parameters that must be given; one with a default is the function's own affair."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return sum(p.kind in kinds and p.default is p.empty for p in parameters) >= 2


def _text(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    raise LanguageModelError(f"on_message gave {type(answer).__name__} where text was expected")
