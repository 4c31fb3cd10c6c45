"""Answers a phone number with a language model on this machine, or anywhere that speaks the same protocol.

pip install 'patter-trio[local]'
ollama serve & ollama pull llama3.2              # or vLLM, llama.cpp, LM Studio, a gateway
export TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…
export PHONE_NUMBER=+15550001234 PUBLIC_URL=https://phone.example.com
python answer_with_a_model.py
"""

from __future__ import annotations

import os

import trio

from patter_trio import Agent, HibariTTS, MoonshineSTT, OpenAICompatibleLLM, Patter, Twilio

PROMPT = """You answer the phone of {shop}, a bakery. Be brief and friendly.
Hours: seven to six, closed on Sunday. A loaf of rye costs four dollars, a loaf of wheat three fifty.
If you do not know something, say so and offer to have somebody call back."""


def language_model() -> OpenAICompatibleLLM:
    """Where the answers come from."""
    return OpenAICompatibleLLM(
        base_url=os.environ.get("LLM_URL", "http://localhost:11434/v1"),
        model=os.environ.get("LLM_MODEL", "llama3.2"),
        extra_body={"temperature": 0.3},
    )


def make_agent(patter: Patter) -> Agent:
    """The agent, complete: whatever is wrong with a setting is said here, before any call."""
    return patter.agent(
        PROMPT,
        variables={"shop": "Corner Bakery"},
        first_message="Hello, this is {shop}. How can I help?",
        llm=language_model(),
        llm_error_message="Sorry, I lost my train of thought. Could you say that again?",
        stt=MoonshineSTT(),
        tts=HibariTTS(),
    )


def main() -> None:
    """Serves the number until the process is told to stop."""
    patter = Patter(Twilio(), os.environ["PHONE_NUMBER"], os.environ["PUBLIC_URL"])
    trio.run(patter.serve, make_agent(patter))


if __name__ == "__main__":
    main()
