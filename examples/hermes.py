"""Answers a phone number with an agent that runs behind a gateway: Hermes, or OpenClaw.

    pip install 'patter-trio[local]'
    export TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…
    export PHONE_NUMBER=+15550001234 PUBLIC_URL=https://phone.example.com
    export API_SERVER_KEY=…                      # Hermes, on 127.0.0.1:8642
    export OPENCLAW_AGENT=front-desk OPENCLAW_API_KEY=…   # or OpenClaw, on 127.0.0.1:18789
    python hermes.py

The gateway keeps what its agent knows, uses its tools and remembers its callers. Each request says which call
it belongs to, so that the turns of a call are one conversation over there too.
"""

from __future__ import annotations

import os

import trio

from patter_trio import Agent, HermesLLM, HibariTTS, MoonshineSTT, OpenClawLLM, Patter, Twilio


def gateway() -> HermesLLM | OpenClawLLM:
    """Where the agent is; making this needs no network."""
    agent = os.environ.get("OPENCLAW_AGENT")
    if agent:
        return OpenClawLLM(model=agent, base_url=os.environ.get("OPENCLAW_URL", "http://127.0.0.1:18789/v1"))
    return HermesLLM(
        base_url=os.environ.get("HERMES_URL", "http://127.0.0.1:8642/v1"),
        session_key=os.environ.get("HERMES_SESSION_KEY"),
    )


def make_agent(patter: Patter) -> Agent:
    """An agent that may run tools before its first word says so, if that takes longer than a caller waits."""
    return patter.agent(
        "You are speaking on the telephone. Answer in one or two short sentences, without lists or markup.",
        first_message="Hello, this is the front desk.",
        llm=gateway(),
        long_turn_message="One moment, I am looking that up.",
        llm_error_message="Sorry, I cannot reach my notes right now. Could you call again later?",
        stt=MoonshineSTT(),
        tts=HibariTTS(),
    )


def main() -> None:
    """Serves the number until the process is told to stop."""
    patter = Patter(Twilio(), os.environ["PHONE_NUMBER"], os.environ["PUBLIC_URL"])
    trio.run(patter.serve, make_agent(patter))


if __name__ == "__main__":
    main()
