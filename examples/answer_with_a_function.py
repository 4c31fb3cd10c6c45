"""Answers a phone number with a plain function: no model and no account besides the number's.

    pip install 'patter-trio[local]'
    export TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…
    export PHONE_NUMBER=+15550001234 PUBLIC_URL=https://phone.example.com
    python answer_with_a_function.py

In Twilio's console, point the number's voice webhook (HTTP POST) at PUBLIC_URL/webhooks/twilio/voice.
"""

from __future__ import annotations

import os
from typing import Any

import trio

from patter_trio import CallControl, HibariTTS, MoonshineSTT, Patter, Twilio

GREETING = "Hello, this is Corner Bakery. Ask me for our hours or for the price of a loaf."


async def answer(event: dict[str, Any], call: CallControl) -> str:
    """One utterance of the caller in, one answer out. It is cancelled if the caller speaks over it."""
    said = event["text"].lower()
    if "bye" in said:
        await call.hangup()  # once these words were heard
        return "Thank you for calling. Goodbye."
    if "open" in said or "hours" in said or "close" in said:
        return "We are open from seven in the morning to six in the evening, and closed on Sunday."
    if "loaf" in said or "bread" in said or "price" in said:
        return "A loaf of rye is four dollars. A loaf of wheat is three fifty."
    return "I only know our hours and our prices. Which one would you like?"


def main() -> None:
    """Serves the number until the process is told to stop."""
    patter = Patter(Twilio(), os.environ["PHONE_NUMBER"], os.environ["PUBLIC_URL"])
    agent = patter.agent(first_message=GREETING, on_message=answer, stt=MoonshineSTT(), tts=HibariTTS())
    trio.run(patter.serve, agent)


if __name__ == "__main__":
    main()
