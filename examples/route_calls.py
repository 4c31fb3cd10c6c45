"""One process behind several numbers: who takes a call depends on the number that was called, and the time.

    pip install 'patter-trio[local]'
    export TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…
    export PHONE_NUMBER=+15550000001 PUBLIC_URL=https://phone.example.com
    python route_calls.py

Point the voice webhook of every number at PUBLIC_URL/webhooks/twilio/voice.
"""

from __future__ import annotations

import os
from datetime import datetime

import trio

from patter_trio import Agent, CallControl, CallInfo, HibariTTS, MoonshineSTT, Patter, Refusal, Twilio

DESK = "+15550009999"


class Switchboard:
    """Chooses the agent of each call."""

    def __init__(self, patter: Patter) -> None:
        self.sales = self._agent(patter, "Sales, good day.")
        self.service = self._agent(patter, "Service, good day.")
        self.by_number = {"+15550000001": self.sales, "+15550000002": self.service}

    def _agent(self, patter: Patter, greeting: str) -> Agent:
        return patter.agent(
            first_message=greeting,
            on_message=self.answer,
            stt=MoonshineSTT(),
            tts=HibariTTS(),
            transfer_failed_message="Nobody is at the desk. What can I do for you?",
        )

    async def answer(self, event: dict[str, str], call: CallControl) -> str:
        """Gives the caller to a human being who asks for one; comes back when nobody takes the call."""
        if "person" in event["text"].lower():
            await call.transfer(DESK, mode="warm")
            return ""
        return "Say that you want a person, and I connect you."

    def now(self) -> datetime:
        """The time at the office."""
        return datetime.now().astimezone()

    def route(self, info: CallInfo) -> Agent | Refusal | None:
        """Called for each incoming call."""
        if not 8 <= self.now().hour < 18:
            return Refusal("said", "We are closed. Please call between eight and six.")
        return self.by_number.get(info.callee)


def main() -> None:
    """Serves all numbers until the process is told to stop."""
    patter = Patter(Twilio(), os.environ["PHONE_NUMBER"], os.environ["PUBLIC_URL"])
    switchboard = Switchboard(patter)

    async def serve() -> None:
        await patter.serve(switchboard.sales, on_call=switchboard.route)

    trio.run(serve)


if __name__ == "__main__":
    main()
