"""A phone line as one part of a trio program: your nursery, your tasks, and a session that lives in a block.

The service answers calls, and another of its tasks files what was said. A memory channel links the two: a
callback that only sends never holds a call up.

    pip install 'patter-trio[local]'
    export TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…
    export PHONE_NUMBER=+15550001234 PUBLIC_URL=https://phone.example.com
    python embed_in_a_trio_service.py
"""

from __future__ import annotations

import os
from typing import Any

import trio

from patter_trio import Agent, HibariTTS, MoonshineSTT, Patter, Session, Twilio


async def file_calls(ended: trio.MemoryReceiveChannel[dict[str, Any]], filed: list[str]) -> None:
    """Your own work, at your own pace; here it keeps one line for each call."""
    async for call in ended:
        said = " / ".join(f"{entry['role']}: {entry['text']}" for entry in call["transcript"])
        filed.append(f"{call['caller']}: {said}")


async def run_service(
    patter: Patter,
    agent: Agent,
    filed: list[str],
    *,
    port: int | None = 8000,
    task_status: trio.TaskStatus[Session] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Runs until cancelled; calls that are running then are ended with it."""
    to_filing, ended = trio.open_memory_channel[dict[str, Any]](100)
    async with trio.open_nursery() as nursery, to_filing:
        nursery.start_soon(file_calls, ended, filed)
        async with patter.session(agent, port=port, on_call_end=to_filing.send) as session:
            task_status.started(session)
            await trio.sleep_forever()


async def main() -> None:
    """The whole program: a phone line beside a clock that says how busy it is."""
    patter = Patter(Twilio(), os.environ["PHONE_NUMBER"], os.environ["PUBLIC_URL"])
    agent = patter.agent(
        first_message="Hello, please leave a message.",
        on_message=lambda event: "I wrote that down. Anything else?",
        stt=MoonshineSTT(),
        tts=HibariTTS(),
    )
    filed: list[str] = []
    async with trio.open_nursery() as nursery:
        session = await nursery.start(run_service, patter, agent, filed)
        while True:
            await trio.sleep(60)
            print(f"{len(session.calls)} calls now, {len(filed)} filed")


if __name__ == "__main__":
    trio.run(main)
