"""Where a turn's words come from: a fixed text, the user's function, or a model."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import trio

from .._text.repetition import Repetition
from ..abc import LLMProvider
from ..errors import LanguageModelError
from ..events import Message
from .control import CallControl
from .turn import Script

__all__ = ["fixed_script", "function_script", "model_script"]


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


def model_script(model: LLMProvider, messages: Sequence[Message], call_id: str) -> Script:
    """Says what the model answers."""
    return Script(_from_model(model, messages, call_id), model.name, model.model)


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
    model: LLMProvider, messages: Sequence[Message], call_id: str
) -> AsyncGenerator[str, None]:
    async with model.stream(messages, None, call_id=call_id) as chunks:
        async for chunk in chunks:
            if chunk.type == "text":
                yield chunk.content
            elif chunk.type == "done":
                break
        # A stream that is left early costs its connection, but the last sentence does not wait for it.
        with trio.move_on_after(_AFTER_DONE_SECONDS):
            async for _ in chunks:
                pass


def _takes_control(function: Callable[..., Any]) -> bool:
    """Whether it has two parameters that must be given; one with a default is the function's own affair."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return sum(p.kind in kinds and p.default is p.empty for p in parameters) >= 2


def _text(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    raise LanguageModelError(f"on_message gave {type(answer).__name__} where text was expected")
