"""Answers for a restaurant with tools: the model looks up tables, books one, and sends a confirmation.

pip install 'patter-trio[local]'
ollama serve & ollama pull llama3.2              # a model that can call tools
export TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…
export PHONE_NUMBER=+15550001234 PUBLIC_URL=https://phone.example.com
python tools.py
"""

from __future__ import annotations

import os
from typing import Literal

import attrs
import trio

from patter_trio import (
    Agent,
    CallControl,
    HibariTTS,
    MoonshineSTT,
    OpenAICompatibleLLM,
    Patter,
    Tool,
    Twilio,
    tool,
)

PROMPT = """You take the bookings of {restaurant}. Look for a table before you promise one, say the time once
more before you book it, and offer a confirmation by text message afterwards."""

Time = Literal["six", "seven", "eight", "nine"]


@attrs.define
class BookingSystem:
    """Stands for the restaurant's own system, which takes its time as such systems do."""

    seats: dict[str, int] = attrs.field(factory=lambda: {"six": 6, "seven": 2, "eight": 0, "nine": 4})
    booked: list[str] = attrs.field(factory=list[str])
    texts: list[str] = attrs.field(factory=list[str])

    async def free(self, party: int) -> list[str]:
        """The times at which so many people find a table."""
        await trio.sleep(2.5)
        return [time for time, seats in self.seats.items() if seats >= party]

    async def book(self, time: str, party: int, name: str) -> int:
        """Takes the seats, then writes the booking down; stopped in between it would leave a mess."""
        if self.seats[time] < party:
            raise LookupError(f"only {self.seats[time]} seats are left at {time}")
        self.seats[time] -= party
        await trio.sleep(1.5)
        self.booked.append(f"{time}, {party}, {name}")
        return len(self.booked)

    async def send_text(self, number: str, text: str) -> None:
        """Sends a text message; nobody gets it back."""
        await trio.sleep(0.2)
        self.texts.append(f"{number}: {text}")


def make_tools(system: BookingSystem) -> list[Tool]:
    """What the model may do. Names, hints and docstrings are what it is told."""

    # It takes its time, so the caller hears something meanwhile. If they speak, it is simply cancelled.
    @tool(reassurance={"message": "Let me look at the book.", "after_ms": 500})
    async def find_times(party: int) -> list[str]:
        """Finds the times of this evening at which a table is free.

        Args:
            party: how many people come.
        """
        return await system.free(party)

    # Half a booking is worse than none: once begun it finishes, also when the caller speaks over it. What
    # it raises is told to the model, which finds another way; it is never run a second time by itself.
    @tool(on_barge_in="finish", timeout_s=20)
    async def book_table(time: Time, party: int, name: str) -> dict[str, int]:
        """Books a table for this evening.

        Args:
            time: one of the times that were free.
            party: how many people come.
            name: the name of the caller.
        """
        return {"booking_number": await system.book(time, party, name)}

    # A message cannot be taken back: it waits until it is certain that the caller said what was understood.
    @tool(irreversible=True)
    async def text_confirmation(booking_number: int, call: CallControl) -> str:
        """Sends a confirmation to the telephone that the caller uses.

        Args:
            booking_number: as the booking gave it.
        """
        await system.send_text(call.caller, f"Your table is booked. Number {booking_number}.")
        return "sent"

    return [find_times, book_table, text_confirmation]


def make_agent(patter: Patter, system: BookingSystem) -> Agent:
    """The agent, complete."""
    return patter.agent(
        PROMPT,
        variables={"restaurant": "The Olive Tree"},
        first_message="Hello, this is {restaurant}. Would you like a table?",
        tools=make_tools(system),
        llm=OpenAICompatibleLLM(
            base_url=os.environ.get("LLM_URL", "http://localhost:11434/v1"),
            model=os.environ.get("LLM_MODEL", "llama3.2"),
        ),
        llm_error_message="Sorry, I lost my train of thought. Could you say that again?",
        stt=MoonshineSTT(),
        tts=HibariTTS(),
    )


def main() -> None:
    """Serves the number until the process is told to stop."""
    patter = Patter(Twilio(), os.environ["PHONE_NUMBER"], os.environ["PUBLIC_URL"])
    trio.run(patter.serve, make_agent(patter, BookingSystem()))


if __name__ == "__main__":
    main()
