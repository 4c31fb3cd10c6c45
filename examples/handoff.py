"""A reception that gives calls about money to a colleague, who opens instructions when a refund is wanted.

The colleague has a prompt and tools of its own and takes the call over in the middle of an answer. The voice,
the recogniser and the model stay those of the agent that picked up.

    pip install 'patter-trio[local]'
    ollama serve & ollama pull llama3.2              # a model that can call tools
    export TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…
    export PHONE_NUMBER=+15550001234 PUBLIC_URL=https://phone.example.com
    python handoff.py
"""

from __future__ import annotations

import os

import trio

from patter_trio import Agent, HibariTTS, MoonshineSTT, OpenAICompatibleLLM, Patter, Skill, Twilio, tool

INVOICES = {"1001": "42 dollars, paid on Monday", "1002": "17 dollars, open"}

# A skill costs a line of the prompt until it is opened; what is rarely needed belongs into one.
REFUNDS = Skill(
    "refunds",
    "Giving money back for an invoice that is paid.",
    """Ask why before anything else. An invoice of less than {limit} dollars is refunded at once with
refund_invoice. Of a larger one, say that a person decides and calls back.""",
)


@tool
async def find_invoice(number: str) -> str:
    """Looks an invoice up.

    Args:
        number: four digits, printed at the top.
    """
    return INVOICES.get(number, "There is no such invoice.")


@tool(irreversible=True, on_barge_in="finish")
async def refund_invoice(number: str) -> str:
    """Gives back the money of an invoice.

    Args:
        number: four digits, printed at the top.
    """
    if "paid" not in INVOICES.get(number, ""):
        raise LookupError(f"invoice {number} is not paid")
    INVOICES[number] = "refunded"
    return "The money is on its way."


def billing() -> Agent:
    """The colleague. It takes over calls and answers none itself, so it needs no ears, model or voice."""
    return Agent(
        system_prompt="You do the invoices of a bakery. Ask for the number of the invoice.",
        handoff_description="Invoices, payments and refunds.",
        tools=[find_invoice, refund_invoice],
        skills=[REFUNDS],
        variables={"limit": 50},
    )


def make_reception(patter: Patter) -> Agent:
    """The agent that picks up."""
    return patter.agent(
        "You are the reception of a bakery. You know the hours: seven to six, closed on Sunday.",
        first_message="Hello, this is the bakery.",
        handoffs={"billing": billing()},
        llm=OpenAICompatibleLLM(
            base_url=os.environ.get("LLM_URL", "http://localhost:11434/v1"),
            model=os.environ.get("LLM_MODEL", "llama3.2"),
        ),
        stt=MoonshineSTT(),
        tts=HibariTTS(),
    )


def main() -> None:
    """Serves the number until the process is told to stop."""
    patter = Patter(Twilio(), os.environ["PHONE_NUMBER"], os.environ["PUBLIC_URL"])
    trio.run(patter.serve, make_reception(patter))


if __name__ == "__main__":
    main()
