"""Calls people from a list, one sentence each, by whichever carrier your account is at.

    pip install 'patter-trio[local]'
    export CARRIER=twilio TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…     (or telnyx, or plivo: see the docs)
    export PHONE_NUMBER=+15550001234 PUBLIC_URL=https://phone.example.com
    python call_out.py +15557654321 +15557654322

Whoever picks up is told that their order is ready and may ask about it; a machine is left a message; who is
busy or does not answer is told of at the end.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import trio

from patter_trio import Agent, CallResult, HibariTTS, MoonshineSTT, Patter, Plivo, Session, Telnyx, Twilio

CARRIERS = {"twilio": Twilio, "telnyx": Telnyx, "plivo": Plivo}


async def answer(event: dict[str, Any]) -> str:
    """What the agent knows of the order."""
    if "when" in event["text"].lower():
        return "You can fetch it until six in the evening."
    return "I only know that your order is ready, and until when you can fetch it."


def caller(patter: Patter) -> Agent:
    """Who talks; {name} comes from each call."""
    return patter.agent(
        first_message="Hello {name}, this is Corner Bakery. Your order is ready.",
        on_message=answer,
        stt=MoonshineSTT(),
        tts=HibariTTS(),
        away_after_s=6.0,
        away_hangup_after_s=2.0,
    )


async def call_all(session: Session, names: dict[str, str]) -> dict[str, CallResult]:
    """Calls everybody at once, as fast as the carrier lets us; returns what became of each call."""
    results: dict[str, CallResult] = {}

    async def call(number: str, name: str) -> None:
        outgoing = await session.call(
            number,
            variables={"name": name},
            voicemail_message="This is Corner Bakery. Your order is ready. Goodbye.",
        )
        results[number] = await outgoing

    async with trio.open_nursery() as nursery:
        for number, name in names.items():
            nursery.start_soon(call, number, name)
    return results


async def main(numbers: list[str]) -> None:
    """Opens the session for as long as the calls take."""
    carrier = CARRIERS[os.environ.get("CARRIER", "twilio")]()
    patter = Patter(carrier, os.environ["PHONE_NUMBER"], os.environ["PUBLIC_URL"])
    async with patter.session(caller(patter)) as session:
        results = await call_all(session, dict.fromkeys(numbers, "there"))
    for number, result in results.items():
        print(number, result.outcome, "(message left)" if result.message_left else "")


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])
