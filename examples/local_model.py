"""Answers what it knows at once, and asks a language model on this machine for the rest.

    pip install 'patter-trio[local]'
    ollama serve & ollama pull llama3.2              # or vLLM, llama.cpp, LM Studio
    export TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…
    export PHONE_NUMBER=+15550001234 PUBLIC_URL=https://phone.example.com
    python local_model.py

The function decides, so it gives each answer whole. Where the model should answer everything, give it as
``llm=`` (`answer_with_a_model.py`): then its first sentence is spoken while it still writes the next.
"""

from __future__ import annotations

import os
from typing import Any

import attrs
import trio

from patter_trio import HibariTTS, MoonshineSTT, OpenAICompatibleLLM, Patter, Twilio
from patter_trio.abc import LLMProvider
from patter_trio.events import Message

PROMPT = "You answer the phone of Corner Bakery. Be brief and friendly, and never invent a price."
HOURS = "We are open from seven in the morning to six in the evening, and closed on Sunday."


def language_model() -> OpenAICompatibleLLM:
    """A runtime on this machine needs no key."""
    return OpenAICompatibleLLM(
        base_url=os.environ.get("LLM_URL", "http://localhost:11434/v1"),
        model=os.environ.get("LLM_MODEL", "llama3.2"),
        max_tokens=120,
        first_token_timeout=5.0,
    )


@attrs.frozen
class Desk:
    """Who answers; one for all calls, the conversation comes with each question."""

    model: LLMProvider

    async def answer(self, event: dict[str, Any]) -> str:
        """One utterance of the caller in, one answer out. If they speak over it, the request is cancelled."""
        said = event["text"]
        if "open" in said.lower() or "hours" in said.lower():
            return HOURS
        before: list[Message] = [{"role": turn["role"], "content": turn["text"]} for turn in event["history"]]
        messages: list[Message] = [
            {"role": "system", "content": PROMPT},
            *before,
            {"role": "user", "content": said},
        ]
        async with self.model.stream(messages, call_id=event["call_id"]) as chunks:
            return "".join([chunk.content async for chunk in chunks])


async def serve() -> None:
    """Serves the number; the model's connections stay open between the calls."""
    patter = Patter(Twilio(), os.environ["PHONE_NUMBER"], os.environ["PUBLIC_URL"])
    async with language_model().open() as model:
        agent = patter.agent(
            first_message="Hello, this is Corner Bakery. How can I help?",
            on_message=Desk(model).answer,
            llm_error_message="Sorry, I did not catch that.",
            stt=MoonshineSTT(),
            tts=HibariTTS(),
        )
        await patter.serve(agent)


if __name__ == "__main__":
    trio.run(serve)
