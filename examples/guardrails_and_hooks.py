"""A clinic's reception that never gives medical advice and never learns a card number.

Guardrails block sentences before they are spoken; hooks stand between the stages of a call and change what
goes through; text transforms say how things are pronounced.

    pip install 'patter-trio[local]'
    ollama serve & ollama pull llama3.2
    export TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…
    export PHONE_NUMBER=+15550001234 PUBLIC_URL=https://phone.example.com
    python guardrails_and_hooks.py
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from typing import Any

import trio

from patter_trio import (
    Agent,
    Guardrail,
    HibariTTS,
    HookContext,
    MoonshineSTT,
    OpenAICompatibleLLM,
    Patter,
    PipelineHooks,
    Twilio,
)

PROMPT = "You answer the phone of a clinic. You make appointments, and you are no doctor."

_CARD = re.compile(r"\b(?:\d[ -]?){12,18}\d\b")
_NUMBER = re.compile(r"\b\d{3}-\d{4}\b")
_PROMISE = re.compile(r"\b(?:guarantee|promise|definitely)\b", re.IGNORECASE)

GUARDRAILS = [
    Guardrail(
        "medical advice",
        blocked_terms=["milligram", "dosage", "diagnosis"],
        replacement="A nurse will call you back about that.",
    ),
    # A function may judge as well; with an empty replacement the sentence is just left out.
    Guardrail("promises", check=lambda sentence: bool(_PROMISE.search(sentence)), replacement=""),
]


def hide_cards(text: str, ctx: HookContext) -> str:
    """What the caller said, without card numbers: neither the model nor the history has one.

    That is so for committed words; preemptive_generation, which asks about others, stays off here.
    """
    return _CARD.sub("(a card number)", text)


def spell_numbers(sentence: str) -> str:
    """Says 555-0100 digit by digit, as people do."""
    return _NUMBER.sub(lambda number: ", ".join(" ".join(part) for part in number[0].split("-")), sentence)


def make_hooks(waiting_minutes: Callable[[], int], log: logging.Logger) -> PipelineHooks:
    """Functions between the stages. One that fails or hangs is passed over; the call goes on."""

    async def add_waiting_time(messages: list[dict[str, Any]], ctx: HookContext) -> list[dict[str, Any]]:
        now = {"role": "system", "content": f"The wait is {waiting_minutes()} minutes at the moment."}
        return [messages[0], now, *messages[1:]]

    def write_down(sentence: str, ctx: HookContext) -> None:
        # None keeps the sentence; what is logged is what the model wrote, before any guardrail.
        log.info("call %s: %s", ctx.call_id, sentence)

    return PipelineHooks(
        after_transcribe=hide_cards,
        before_llm=add_waiting_time,
        after_llm={"on_sentence": write_down},
    )


def make_agent(patter: Patter, hooks: PipelineHooks) -> Agent:
    """The agent, complete."""
    return patter.agent(
        PROMPT,
        first_message="Hello, this is the clinic.",
        guardrails=GUARDRAILS,
        hooks=hooks,
        text_transforms=[spell_numbers],
        llm=OpenAICompatibleLLM(
            base_url=os.environ.get("LLM_URL", "http://localhost:11434/v1"),
            model=os.environ.get("LLM_MODEL", "llama3.2"),
        ),
        stt=MoonshineSTT(),
        tts=HibariTTS(),
    )


def main() -> None:
    """Serves the number until the process is told to stop."""
    logging.basicConfig(level=logging.INFO)
    patter = Patter(Twilio(), os.environ["PHONE_NUMBER"], os.environ["PUBLIC_URL"])
    hooks = make_hooks(lambda: 20, logging.getLogger("clinic"))
    trio.run(patter.serve, make_agent(patter, hooks))


if __name__ == "__main__":
    main()
