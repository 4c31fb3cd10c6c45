"""The models of the benchmark: each asked through us and through its vendor's bare SDK, on trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import attrs

from patter_trio import AnthropicLLM, GoogleLLM, GroqLLM, OpenAICompatibleLLM, OpenAILLM
from patter_trio.abc import Opens

__all__ = ["PAIRS", "Answer", "Pair", "open_pair", "question"]

KEY = "sk-benchmark"

# Asks for an answer of so many tokens, and gives their number.
Answer = Callable[[int], Awaitable[int]]


def question(tokens: int) -> str:
    """What makes the endpoint answer with that many."""
    return f"Say {tokens} tokens."


@attrs.frozen
class Pair:
    """A provider of ours and its vendor's client, both for one address."""

    name: str
    ours: Callable[[str], Opens[Any]]
    bare: Callable[[AsyncExitStack, str], Awaitable[Answer]]


async def _bare_openai(stack: AsyncExitStack, url: str) -> Answer:
    import openai

    sdk = openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
    return _chat(await stack.enter_async_context(sdk), "gpt-6-luna")


async def _bare_groq(stack: AsyncExitStack, url: str) -> Answer:
    import groq

    sdk = groq.AsyncGroq(api_key=KEY, base_url=url, max_retries=0)
    return _chat(await stack.enter_async_context(sdk), "openai/gpt-oss-120b")


def _chat(sdk: Any, model: str) -> Answer:
    async def answer(tokens: int) -> int:
        asked = [{"role": "user", "content": question(tokens)}]
        heard = 0
        async with await sdk.chat.completions.create(model=model, messages=asked, stream=True) as stream:
            async for chunk in stream:
                heard += bool(chunk.choices and chunk.choices[0].delta.content)
        return heard

    return answer


async def _bare_anthropic(stack: AsyncExitStack, url: str) -> Answer:
    import anthropic

    sdk = await stack.enter_async_context(anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0))

    async def answer(tokens: int) -> int:
        heard = 0
        async with await sdk.messages.create(
            model="claude-haiku-4-5-20251001",
            max_tokens=1024,
            messages=[{"role": "user", "content": question(tokens)}],
            stream=True,
        ) as stream:
            async for event in stream:
                heard += event.type == "content_block_delta" and event.delta.type == "text_delta"
        return heard

    return answer


async def _bare_gemini(stack: AsyncExitStack, url: str) -> Answer:
    import httpx2
    from google import genai
    from google.genai import types

    # Without a client of this library it may take one that lives on asyncio only.
    client = await stack.enter_async_context(httpx2.AsyncClient())
    sdk = genai.Client(
        api_key=KEY,
        vertexai=False,
        http_options=types.HttpOptions(base_url=url, api_version="v1beta", httpx_async_client=client),
    )

    async def answer(tokens: int) -> int:
        heard = 0
        async for response in await sdk.aio.models.generate_content_stream(
            model="gemini-2.5-flash", contents=question(tokens)
        ):
            heard += bool(response.text)
        return heard

    return answer


PAIRS = (
    Pair("openai", lambda url: OpenAILLM(api_key=KEY, base_url=f"{url}/v1"), _bare_openai),
    Pair("groq", lambda url: GroqLLM(api_key=KEY, base_url=f"{url}/openai/v1"), _bare_groq),
    Pair("anthropic", lambda url: AnthropicLLM(api_key=KEY, base_url=url), _bare_anthropic),
    Pair("gemini", lambda url: GoogleLLM(api_key=KEY, base_url=url), _bare_gemini),
    # No SDK of ours here: what the plain HTTP line costs beside the same vendor's SDK.
    Pair(
        "compatible",
        lambda url: OpenAICompatibleLLM(api_key=KEY, base_url=f"{url}/v1", model="small"),
        _bare_openai,
    ),
)


@asynccontextmanager
async def open_pair(pair: Pair, url: str) -> AsyncIterator[tuple[Answer, Answer]]:
    """Ours and theirs, connected."""
    async with pair.ours(url).open() as live, AsyncExitStack() as stack:

        async def ours(tokens: int) -> int:
            heard = 0
            async with live.stream([{"role": "user", "content": question(tokens)}]) as chunks:
                async for chunk in chunks:
                    heard += chunk.type == "text"
            return heard

        yield ours, await pair.bare(stack, url)
