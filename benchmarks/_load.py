"""The callers of a benchmark, in a process of their own so that their CPU is not the engine's.

Run as ``python _load.py URL KIND --calls N --seconds S``. It says ``ready`` when everything is rendered and one
short call has warmed the server, ``up`` when all callers are on the line, ``down`` after S seconds of that, and
then prints its records as one line of JSON. All times in it are the machine's monotonic clock.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from _report import clock_offset, percentile, waited_for_cpu
from patter_trio.testing import Caller, CallOutcome, Ear, Line, LoopbackLine, SimulatedTwilio
from patter_trio.testing.line import LineSocket, WebhookAnswer

__all__ = ["ACCOUNT", "NUMBER", "TOKEN", "CallRecord", "Recorded", "barge_in_caller", "ring_recorded"]

ACCOUNT, TOKEN, NUMBER = "AC" + "0" * 31 + "1", "0123456789abcdef0123456789abcdef", "+15550001234"
FRAME = 0.02

# Callers begin this far apart, so that their frames are spread over the 20 ms as real callers' are.
_APART = 0.0137


@attrs.define
class Recorded:
    """A line that notes when each message really passed: the line's own times are those of the script."""

    line: Line
    sent: list[float] = attrs.field(factory=list[float])
    frames: list[float] = attrs.field(factory=list[float])
    clears: list[float] = attrs.field(factory=list[float])

    @property
    def public_url(self) -> str:
        return self.line.public_url

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        return await self.line.post(url, headers, body)

    @asynccontextmanager
    async def open_media(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[LineSocket]:
        async with self.line.open_media(url, headers) as socket:
            yield _RecordedSocket(socket, self)


@attrs.frozen
class _RecordedSocket:
    socket: LineSocket
    record: Recorded

    async def send(self, message: str) -> None:
        if '"event":"media"' in message:
            self.record.sent.append(trio.current_time())
        await self.socket.send(message)

    async def receive(self) -> str | bytes:
        message = await self.socket.receive()
        said = str(message)
        if '"event":"media"' in said:
            self.record.frames.append(trio.current_time())
        elif '"event":"clear"' in said:
            self.record.clears.append(trio.current_time())
        return message

    def abort(self) -> None:
        self.socket.abort()


# --- what became of a call ----------------------------------------------------------------------------------


@attrs.define
class Spoken:
    """Something the caller said: when its first and last frame were sent, and when the agent fell silent."""

    text: str
    over_agent: bool
    first: float
    last: float
    silent: float | None


@attrs.define
class CallRecord:
    """One call as the caller's side saw it; times in seconds of the machine's clock."""

    call_id: str
    ok: bool
    note: str
    frames_after_clear: int
    spoken: list[Spoken]
    coughs: list[float]
    resume_gaps: list[float]
    frames: list[float]
    clears: list[float]
    late: list[float]

    @classmethod
    def of(cls, outcome: CallOutcome, line: Recorded, offset: float) -> CallRecord:
        sent = [at + offset for at in line.sent]

        def at(seconds: float) -> float:
            return sent[min(len(sent) - 1, round(seconds / FRAME))]

        spoken: list[Spoken] = []
        for said in outcome.utterances:
            silent = outcome.ear.agent_silent_from(said.start) if said.over_agent else None
            last = at(said.end - FRAME)
            heard = None if silent is None else at(silent)
            spoken.append(Spoken(said.text, said.over_agent, at(said.start), last, heard))
        coughs = [step.started for step in outcome.steps if "coughs" in step.step and step.ok]
        failed = [f"{step.step}: {step.note}" for step in outcome.steps if not step.ok]
        failed += [f"{violation.kind}: {violation.detail}" for violation in outcome.violations]
        return cls(
            call_id=outcome.call_sid,
            ok=outcome.ok,
            note=outcome.refusal or "; ".join(failed),
            frames_after_clear=outcome.frames_after_clear,
            spoken=spoken,
            coughs=[at(cough) for cough in coughs],
            resume_gaps=[gap for cough in coughs if (gap := _gap(outcome.ear, cough)) is not None],
            frames=[at + offset for at in line.frames],
            clears=[at + offset for at in line.clears],
            late=_lateness(sent),
        )


def _gap(ear: Ear, cough: float) -> float | None:
    """The silence that a cough made in the agent's speech, as heard."""
    silent = ear.agent_silent_from(cough, for_seconds=0.04)
    again = None if silent is None else ear.first_agent_sound(silent)
    return None if silent is None or again is None else again - silent


def _lateness(sent: list[float]) -> list[float]:
    """How late each frame left, against the pace of the call's most punctual one."""
    drift = [at - number * FRAME for number, at in enumerate(sent)]
    return [late - min(drift) for late in drift] if drift else []


async def ring_recorded(
    twilio: SimulatedTwilio, line: Line, caller: Caller, offset: float = 0.0
) -> CallRecord:
    """Places one call and records it."""
    recorded = Recorded(line)
    outcome = await twilio.call(recorded, caller)
    return CallRecord.of(outcome, recorded, offset)


# --- the scripts --------------------------------------------------------------------------------------------


def _speaking(seconds: float) -> Callable[[Ear], bool]:
    return lambda ear: ear.agent_since is not None and ear.now - ear.agent_since >= seconds


def barge_in_caller() -> Caller:
    """Greeting, question, barge-in, a cough that must not interrupt, second barge-in, goodbye: about 10 s."""
    return (
        Caller()
        .waits_for_agent(quiet=0.3)
        .says("Opening hours?")
        .barges_in("No, on Sunday!", after=0.7)
        .waits_until(_speaking(0.6), what="the agent speaking")
        .coughs(0.15)
        .barges_in("And on Monday?", after=1.8)
        .waits_until(_speaking(0.3), what="the agent speaking")
        .waits_for_agent(quiet=0.3)
        .says("Goodbye.")
        .waits_for_agent(quiet=0.3)
        .hangs_up()
    )


def talking_caller(seconds: float) -> Caller:
    """Question and answer for as long as it takes: caller and agent speak about half of the time each."""
    caller = Caller().waits_for_agent(quiet=0.3)
    for _ in range(int(seconds / 6) + 2):
        caller = caller.says("tell me about the hours on Sunday please").waits_for_agent(quiet=0.3)
    return caller.hangs_up()


def idle_caller(seconds: float) -> Caller:
    """Line open, nobody speaks."""
    return Caller().waits(seconds + 60).hangs_up()


QUESTIONS = (
    "What are your opening hours on Saturday?",
    "How much is a check up?",
    "Do you have an appointment free next week?",
)


def human_caller() -> Caller:
    """Three questions in the voice of NanoTTS, the last one over the agent's answer."""
    from _voice import spoken_mulaw

    sounds = {text: spoken_mulaw(text) for text in QUESTIONS}
    caller = Caller(voice=sounds.__getitem__).waits_for_agent(quiet=0.5)
    return (
        caller.says(QUESTIONS[0])
        .waits_for_agent(quiet=0.5)
        .says(QUESTIONS[1])
        .barges_in(QUESTIONS[2], after=1.5)
        .waits_for_agent(quiet=0.5)
        .hangs_up()
    )


def caller_for(kind: str, seconds: float) -> Caller:
    """The (rendered) script of a kind of load."""
    if kind == "barge_in":
        return barge_in_caller().rendered()
    if kind == "talk":
        return talking_caller(seconds).rendered()
    if kind == "idle":
        return idle_caller(seconds)
    return human_caller().rendered()


# --- many calls ---------------------------------------------------------------------------------------------


@attrs.define
class _Load:
    """N callers that ring again until the time is over (or, where the script is endless, are cut off)."""

    url: str
    kind: str
    calls: int
    seconds: float
    caller: Caller
    offset: float
    records: list[CallRecord] = attrs.field(factory=list[CallRecord])
    twilio: SimulatedTwilio = attrs.field(factory=lambda: SimulatedTwilio(ACCOUNT, TOKEN, number=NUMBER))
    until: float = float("inf")
    cpu: float = 0.0

    async def run(self) -> None:
        await ring_recorded(self.twilio, LoopbackLine(self.url), Caller().waits(0.2).hangs_up())
        print("ready", flush=True)
        endless = self.kind in ("talk", "idle")
        async with trio.open_nursery() as nursery:
            for number in range(self.calls):
                nursery.start_soon(self._ring, number * _APART)
            await trio.sleep(self.calls * _APART + 1.0)
            cpu, began = time.process_time(), trio.current_time()
            print("up", flush=True)
            self.until = trio.current_time() + self.seconds
            await trio.sleep_until(self.until)
            print("down", flush=True)
            self.cpu = (time.process_time() - cpu) / max(trio.current_time() - began, 1e-3)
            if endless:
                nursery.cancel_scope.cancel()

    async def _ring(self, delay: float) -> None:
        await trio.sleep(delay)
        while True:
            line = LoopbackLine(self.url)
            self.records.append(await ring_recorded(self.twilio, line, self.caller, self.offset))
            if trio.current_time() >= self.until or not self.records[-1].ok:
                return


def report(load: _Load, waited: float) -> dict[str, Any]:
    """What the measured side needs to know, as plain values."""
    late = [value for record in load.records for value in record.late]
    calls = [{**attrs.asdict(record), "late": None} for record in load.records]
    return {
        "calls": calls,
        "late": [percentile(late, share) for share in (0.5, 0.99, 1.0)] if late else [],
        "cpu": load.cpu,
        "waited": waited,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("kind")
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    caller = caller_for(options.kind, options.seconds)

    async def run() -> _Load:
        load = _Load(
            options.url, options.kind, options.calls, options.seconds, caller, offset=clock_offset()
        )
        await load.run()
        return load

    waited = waited_for_cpu()
    load = trio.run(run)
    print(json.dumps(report(load, waited_for_cpu() - waited)), flush=True)


LOAD_SCRIPT = str(Path(__file__))

if __name__ == "__main__":
    sys.exit(main())
