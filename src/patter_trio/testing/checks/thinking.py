"""What a language model must do."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import trio

from ...abc import LLMProvider, Opens
from ...events import LLMChunk, Message
from ._conduct import CALL, conduct, expect, expect_name, no_task_left, opened

__all__ = ["check_llm"]

MESSAGES: tuple[Message, ...] = (
    {"role": "system", "content": "You are on the phone. Answer in one short sentence."},
    {"role": "user", "content": "Good morning! How are you?"},
)


async def check_llm(
    provider: LLMProvider | Opens[LLMProvider],
    *,
    messages: Sequence[Message] = MESSAGES,
    timeout: float = 30.0,
) -> None:
    """Checks a language model.

    An answer is text (or tool calls) and then ``done``, once, at its end; the messages are left as they
    were; an answer can be left after its first chunk or before it, without a task left; two answers at once
    are two.

    Args:
        provider: settings of the model.
        messages: what it is asked.
        timeout: seconds for each part.

    Raises:
        AssertionError: it does not conform.
    """
    async with opened(provider) as live:
        expect(
            isinstance(live, LLMProvider), "an LLMProvider has a name, a model and stream(messages, tools)"
        )
        expect_name(live.name)

        async def answers() -> None:
            given = copy.deepcopy(list(messages))
            _judge(await _answer(live, given))
            expect(given == list(messages), "stream() changes the messages it was given")

        async def may_be_left_early() -> None:
            async with live.stream(messages, call_id=CALL.call_id) as chunks:
                async for _chunk in chunks:
                    break

        async def may_be_left_at_once() -> None:
            async with live.stream(messages, call_id=CALL.call_id):
                await trio.lowlevel.checkpoint()

        async def may_be_cancelled() -> None:
            with trio.move_on_after(0.001):
                await _answer(live, messages)

        async def answers_two() -> None:
            answered: list[list[LLMChunk]] = []

            async def answer() -> None:
                answered.append(await _answer(live, messages))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer)
                nursery.start_soon(answer)
            for chunks in answered:
                _judge(chunks)

        await conduct("an answer", answers, timeout)
        for what, leave in (
            ("leaving an answer after its first chunk", may_be_left_early),
            ("leaving an answer before its first chunk", may_be_left_at_once),
            ("cancelling an answer", may_be_cancelled),
        ):
            async with no_task_left(what):
                await conduct(what, leave, timeout)
        await conduct("two answers at once", answers_two, timeout)


async def _answer(provider: LLMProvider, messages: Sequence[Message]) -> list[LLMChunk]:
    async with provider.stream(messages, call_id=CALL.call_id) as chunks:
        return [chunk async for chunk in chunks]


def _judge(chunks: Sequence[LLMChunk]) -> None:
    for chunk in chunks:
        expect(isinstance(chunk, LLMChunk), f"stream() gives LLMChunk, not {type(chunk).__name__}")
    kinds = [chunk.type for chunk in chunks]
    expect(kinds and kinds[-1] == "done", f"an answer ends with done, not with {kinds[-1:] or 'nothing'}")
    expect(kinds.count("done") == 1, "an answer says done once")
    said = any(chunk.type == "tool_call" or (chunk.type == "text" and chunk.content) for chunk in chunks)
    expect(said, "an answer has text or a tool call")
