"""Every provider that speaks Chat Completions, as the tests build them, and what they do with an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from patter_trio.errors import PatterError
from patter_trio.events import LLMChunk, Message
from patter_trio.llm import (
    CerebrasLLM,
    GroqLLM,
    HermesLLM,
    OpenAICompatibleLLM,
    OpenAILLM,
    OpenAILLMProvider,
    OpenClawLLM,
)

from . import answers
from .answers import only
from .chat_endpoint import Answer, open_endpoint

ASKED: tuple[Message, ...] = ({"role": "user", "content": "When are you open?"},)
TOOLS = [{"type": "function", "function": {"name": "hours", "parameters": {"type": "object"}}}]


def _builds(kind: Callable[..., OpenAILLMProvider], **defaults: Any) -> Callable[..., OpenAILLMProvider]:
    def build(url: str, **settings: Any) -> OpenAILLMProvider:
        return kind(**{"base_url": url, "api_key": "sk-test", "max_retries": 0, **defaults, **settings})

    return build


PROVIDERS: dict[str, Callable[..., OpenAILLMProvider]] = {
    "openai": _builds(OpenAILLM),
    "openai without sdk": _builds(OpenAILLMProvider),
    "groq": _builds(GroqLLM),
    "cerebras": _builds(CerebrasLLM),
    "compatible": _builds(OpenAICompatibleLLM, model="small"),
    "hermes": _builds(HermesLLM),
    "openclaw": _builds(OpenClawLLM, model="front-desk"),
}


async def hear(live: Any, heard: list[LLMChunk] | None = None, **asked: Any) -> list[LLMChunk]:
    """All chunks of one answer; ``heard`` keeps those before a failure too."""
    return await answers.hear(live, heard, ASKED, **asked)


async def fail(
    build: Callable[..., Any], answer: Answer, **settings: Any
) -> tuple[PatterError, list[LLMChunk]]:
    """How asking fails, out of its group, and what was heard before."""
    heard: list[LLMChunk] = []
    async with open_endpoint(answer) as far, build(far.url, **settings).open() as live:
        with trio.fail_after(5):
            try:
                await hear(live, heard)
            except (PatterError, BaseExceptionGroup) as raised:
                return only(raised), heard
    raise AssertionError(f"no failure, but {heard}")
