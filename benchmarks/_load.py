"""The callers of a benchmark, in a process of their own so that their CPU is not the engine's.

Run as ``python _load.py URL KIND --calls N --seconds S``. It says ``ready`` when everything is rendered and
one short call has warmed the server, ``up`` when all callers are on the line, ``down`` after S seconds of
that, and then prints its records as one line of JSON. All times in it are the machine's monotonic clock.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import httpx2
import trio

from _caller import FRAME, Caller, CallRecord, Script, Sound, ring
from _report import clock_offset, percentile, waited_for_cpu
from patter_trio.testing import LoopbackLine, speak_words
from patter_trio.testing.line import WebhookAnswer
from patter_trio.testing.wordsound import noise

__all__ = ["LOAD_SCRIPT", "QUESTIONS", "delay_of", "scripts_for"]

LOAD_SCRIPT = str(Path(__file__))

# Callers begin spread over this time, and at different places of the 20 ms: people do not interrupt in step.
SPREAD = 4.0


def delay_of(number: int, calls: int) -> float:
    """When the caller of a number (from 0) begins."""
    return number * SPREAD / calls + number * 0.0137 % FRAME


QUESTIONS = (
    "Are you open on Saturday?",
    "How much does a cleaning cost?",
    "Do you have an appointment free next week?",
)


def _words(text: str) -> Sound:
    return Sound.of(text, speak_words(text))


def barge_in_script() -> Script:
    """The call of :func:`_speech.people_scripts` in word sound, with a cough for the backchannel."""
    question, sunday, monday = _words("Opening hours?"), _words("No, on Sunday!"), _words("And on Monday?")
    bye, cough = _words("Goodbye."), Sound.of("a cough", noise(0.15))

    def script(caller: Caller) -> Iterator[None]:
        yield from caller.waits_for_agent()
        yield from caller.says(question)
        yield from caller.barges_in(sunday, after=0.7)
        yield from caller.waits_into_speech(0.6)
        yield from caller.coughs(cough)
        yield from caller.barges_in(monday, after=1.8)
        yield from caller.waits_into_speech(0.3)
        yield from caller.waits_for_agent()
        yield from caller.says(bye)
        yield from caller.waits_for_agent()

    return script


def talking_script() -> Script:
    """Question and answer without end: caller and agent speak about half of the time each."""
    question = _words("tell me about the hours on Sunday please")

    def script(caller: Caller) -> Iterator[None]:
        while True:
            yield from caller.waits_for_agent()
            yield from caller.says(question)

    return script


def idle_script() -> Script:
    """Line open, nobody speaks, without end."""

    def script(caller: Caller) -> Iterator[None]:
        while True:
            yield

    return script


def human_scripts() -> Callable[[int], Script]:
    """Three questions in the voice of NanoTTS, the last one over the agent's answer.

    How soon the detector notices a voice depends on where its windows fall: each call pauses differently.
    """
    from _voice import spoken_mulaw

    sounds = [Sound.of(text, spoken_mulaw(text)) for text in QUESTIONS]

    def numbered(number: int) -> Script:
        more = number * 7 % 16 * FRAME

        def script(caller: Caller) -> Iterator[None]:
            yield from caller.waits_for_agent(quiet=0.5 + more)
            yield from caller.says(sounds[0])
            yield from caller.waits_for_agent(quiet=0.5)
            yield from caller.says(sounds[1])
            yield from caller.barges_in(sounds[2], after=1.3 + more)
            yield from caller.waits_for_agent(quiet=0.5)

        return script

    return numbered


def scripts_for(kind: str) -> Callable[[int], Script]:
    """The script of the call of a number, for a kind of load; what can be made before the call is."""
    if kind == "human":
        return human_scripts()
    if kind == "people":
        from _speech import people_scripts  # its recogniser needs more of the package than callers do

        return people_scripts()
    script = {"barge_in": barge_in_script, "talk": talking_script, "idle": idle_script}[kind]()
    return lambda number: script


# --- many calls ---------------------------------------------------------------------------------------------


class SharedLine(LoopbackLine):
    """A line whose webhooks share one HTTP client: making one takes 30 ms, in which no frame leaves."""

    def __init__(self, base_url: str, client: httpx2.AsyncClient) -> None:
        super().__init__(base_url)
        self._client = client

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        answer = await self._client.post(url, content=body, headers=dict(headers))
        return WebhookAnswer(answer.status_code, answer.content)


@attrs.define
class Load:
    """N callers that ring again until the time is over (or, where the script is endless, are cut off)."""

    line: SharedLine
    kind: str
    calls: int
    seconds: float
    scripts: Callable[[int], Script]
    offset: float
    records: list[CallRecord] = attrs.field(factory=list[CallRecord])
    numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))
    until: float = float("inf")
    cpu: float = 0.0
    waited: float = 0.0

    async def run(self) -> None:
        await ring(self.line, 0, lambda caller: caller.waits(0.2))
        print("ready", flush=True)
        endless = self.kind in ("talk", "idle")
        async with trio.open_nursery() as nursery:
            for number in range(self.calls):
                nursery.start_soon(self._ring, delay_of(number, self.calls))
            await trio.sleep(delay_of(self.calls - 1, self.calls) + 1.0)
            cpu, waited, began = time.process_time(), waited_for_cpu(), trio.current_time()
            print("up", flush=True)
            self.until = trio.current_time() + self.seconds
            await trio.sleep_until(self.until)
            print("down", flush=True)
            took = max(trio.current_time() - began, 1e-3)
            self.cpu, self.waited = (time.process_time() - cpu) / took, (waited_for_cpu() - waited) / took
            if endless:
                await trio.sleep(0.5)  # the server looks before the calls end
                nursery.cancel_scope.cancel()

    async def _ring(self, delay: float) -> None:
        await trio.sleep(delay)
        while True:
            number = next(self.numbers)
            record = await ring(self.line, number, self.scripts(number), self.offset)
            self.records.append(record)
            if trio.current_time() >= self.until or not record.ok:
                return


def report(load: Load) -> dict[str, Any]:
    """What the measured side needs to know, as plain values."""
    late = [value for record in load.records for value in record.late]
    return {
        "calls": [attrs.asdict(attrs.evolve(record, late=[])) for record in load.records],
        "late": [percentile(late, share) for share in (0.5, 0.99, 1.0)] if late else [],
        "cpu": load.cpu,
        "waited": load.waited,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("kind")
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    scripts = scripts_for(options.kind)

    async def run() -> Load:
        # Every call on a connection of its own, as from a carrier with many machines.
        limits = httpx2.Limits(max_keepalive_connections=0)
        async with httpx2.AsyncClient(limits=limits, timeout=15, trust_env=False) as client:
            line = SharedLine(options.url, client)
            load = Load(line, options.kind, options.calls, options.seconds, scripts, clock_offset())
            await load.run()
            return load

    print(json.dumps(report(trio.run(run))), flush=True)


if __name__ == "__main__":
    main()
