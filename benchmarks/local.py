"""The embedded voice end to end: Silero hears, Moonshine understands, Hibari answers, on this machine's CPU.

The engine and its models run in one process, the callers in another, over real sockets on loopback; the
callers' voice (NanoTTS) is made before the call. Each call: greeting, a question, a second one, and a third
one over the agent's answer. The brain is a function that answers at once: no language model is measured.

reply_latency            the caller's last sound sent -> the carrier has the first frame of the answer
onset_to_gate            first loud frame of a barge-in sent -> the engine sends nothing more
onset_to_silence         first loud frame sent -> the caller's ear has played the last frame of the agent
frames_after_clear       frames of a cancelled turn behind its "clear": must be 0
cpu_ms_per_call_second   CPU of the engine's process with its models, divided by calls and seconds
stage_*                  of a reply: last voice to committed words, trailing edge to words, text to sound
understood               utterances of which the word that matters was recognised
rss_per_call_kib         resident memory beyond that of a server that has carried one call, models loaded

The prototype's figures stand beside: a throw-away version of this chain, measured on two shared cores.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from _caller import CallRecord, Spoken
from _house import CallMarks, measure, probed
from _picture import Bar, Panel, bars, histograms, save
from _report import Row, machine, print_machine, print_rows, read_options, row_of, run_alone, write_report
from patter_trio import Agent, PatterConfigError
from patter_trio._turns.latency import TurnMetrics
from patter_trio.errors import MissingExtraError

PROTOTYPE = {
    "reply_latency": "prototype: 378-520 ms at 1 call, 561 at 48",
    "onset_to_gate": "prototype: 70-80 ms",
    "cpu_ms_per_call_second": "prototype: 20 ms (0.02 core)",
}
ANSWERS = {
    "saturday": "On Saturday we are open from nine in the morning until two in the afternoon.",
    "cleaning": "A cleaning with one of our dentists costs fifty five dollars, and it takes half an hour.",
}
OTHERWISE = "The next free appointment is on Thursday at ten, and there is another one on Friday."


KEYS = ("saturday", "cleaning", "appointment")
STAGES = ("endpoint", "stt", "tts")


async def brain(event: dict[str, Any]) -> str:
    await trio.lowlevel.checkpoint()
    said = event["text"].lower()
    return next((answer for word, answer in ANSWERS.items() if word in said), OTHERWISE)


def local_agent() -> Agent:
    """Raises MissingExtraError where the models are not installed."""
    from patter_trio.stt import MoonshineSTT
    from patter_trio.tts import HibariTTS, NanoTTS
    from patter_trio.vad import SileroVAD

    NanoTTS()  # the callers need it; they say so here, not in another process
    return Agent(
        system_prompt="",
        first_message="Hello, how can I help you?",
        stt=MoonshineSTT(),
        tts=HibariTTS(),
        vad=SileroVAD(),
        on_message=brain,
    )


def user_of(said: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in said if entry["role"] == "user"]


def stage_ms(turns: Sequence[TurnMetrics], stage: str) -> list[float]:
    values = [getattr(turn.latency, f"{stage}_ms") for turn in turns]
    return [value for value in values if value is not None]


def measure_alone(calls: int, seconds: float) -> dict[str, Any]:
    """Runs in a process of its own; its result travels as JSON."""

    async def main() -> dict[str, Any]:
        async with opened(local_agent()) as agent:
            probing, carrier, probe = probed(agent)
            measured = await measure(probing, carrier, "human", calls, seconds, probe)
        call_seconds = sum(result.duration_seconds for result in measured.results[1:])
        said = [entry for result in measured.results[1:] for entry in result.transcript]
        turns = [turn for result in measured.results for turn in result.turns if turn.kind == "reply"]
        return {
            "calls": measured.load["calls"],
            "marks": {call: attrs.asdict(marks) for call, marks in measured.marks.items()},
            "cpu": measured.cpu_all * 1000 / max(call_seconds, 1e-9),
            "rss": measured.rss_per_call,
            "rss_before": measured.rss_before,
            "waiting": measured.waited_up / max(measured.seconds_up, 1e-9),
            "engine_cpu": measured.cpu_up / max(measured.seconds_up, 1e-9),
            "callers_cpu": measured.load["cpu"],
            "late": measured.load["late"],
            "failed": [call["note"] for call in measured.load["calls"] if not call["ok"]],
            "transcript": said[-8:],
            "understood": [any(word in entry["text"].lower() for word in KEYS) for entry in user_of(said)],
            "stages": {stage: stage_ms(turns, stage) for stage in STAGES},
        }

    return trio.run(main)


@asynccontextmanager
async def opened(agent: Agent) -> AsyncIterator[Agent]:
    """The agent with its detector opened outside of the session, so that a probe can stand around it."""
    vad: Any = agent.vad
    async with vad.open() as live:
        yield attrs.evolve(agent, vad=live)


def read_measured(calls: int, found: dict[str, Any]) -> tuple[list[Row], list[float]]:
    replies: list[float] = []
    gates: list[float] = []
    silences: list[float] = []
    missed = 0
    for plain in found["calls"]:
        call = CallRecord(**{**plain, "spoken": [Spoken(**said) for said in plain["spoken"]]})
        marks = CallMarks(**found["marks"][call.call_id])
        starts = [said.first for said in call.spoken[1:]] + [float("inf")]
        for said, following in zip(call.spoken, starts, strict=True):
            since = max(said.last, said.silent or 0.0)
            reply = next((at for at in call.frames if since + 0.05 < at < following), None)
            if reply is not None:
                replies.append((reply - said.last) * 1000)
            if said.over_agent:
                held = next((at for at in marks.held if said.first <= at < following), None)
                missed += held is None
                gates += [] if held is None else [(held - said.first) * 1000]
                silences += [] if said.silent is None else [(said.silent - said.first) * 1000]
    rows = [
        row_of(calls, "reply_latency", replies, "ms", 1),
        row_of(calls, "onset_to_gate", gates, "ms", 1),
        row_of(calls, "onset_to_silence", silences, "ms", 1),
        row_of(
            calls, "frames_after_clear", [call["frames_after_clear"] for call in found["calls"]], "frames"
        ),
        *(row_of(calls, f"stage_{stage}", found["stages"][stage], "ms", 1) for stage in STAGES),
        row_of(calls, "understood", [share(found["understood"])], "%", 1),
        row_of(calls, "cpu_ms_per_call_second", [found["cpu"]], "ms"),
        row_of(calls, "rss_per_call_kib", found["rss"], "KiB", 1),
        row_of(calls, "engine_waiting", [found["waiting"] * 100], "%", 1),
    ]
    if missed:
        print(f"{missed} barge-ins were not noticed while the agent spoke")
    return rows, replies


def share(right: Sequence[bool]) -> float:
    return 100 * sum(right) / max(len(right), 1)


def say_condition(found: dict[str, Any]) -> None:
    late = found["late"] or [float("nan")] * 3
    print(
        f"{len(found['calls'])} calls made, {len(found['failed'])} not as scripted; engine "
        f"{found['engine_cpu']:.0%} of a core with its models ({found['rss_before'] / 1024:.0f} MiB before "
        f"the calls), callers {found['callers_cpu']:.0%}, their frames late by {late[1] * 1000:.1f} ms (p99)"
    )
    for note in sorted(set(found["failed"]))[:5]:
        print(f"  not as scripted: {note}")


def draw(rows: Sequence[Row], replies: dict[int, list[float]], options: Any) -> None:
    shapes, y = histograms([Panel("reply latency", "ms", replies)], 60)
    drawn = [
        Bar(f"CPU, {row.calls} call(s)", row.p50, "ms per call-second", 20.0)
        for row in rows
        if row.metric == "cpu_ms_per_call_second"
    ]
    more, y = bars(drawn, y + 20)
    save([*shapes, *more], y, "The embedded voice, end to end, real clock", options.out, "local")


def main(argv: Sequence[str] | None = None) -> int:
    options = read_options(argv, __doc__, calls=(1, 8, 24, 48), seconds=20)
    try:
        local_agent()
    except (MissingExtraError, PatterConfigError) as error:
        print(f"the embedded voice cannot be measured here: {error}", file=sys.stderr)
        return 2
    if options.measure:
        print(json.dumps(measure_alone(int(options.measure), options.seconds)))
        return 0
    facts = machine()
    print_machine(facts, "the caller's voice is synthetic speech (NanoTTS), the brain answers at once")
    rows: list[Row] = []
    replies: dict[int, list[float]] = {}
    transcripts: dict[int, Any] = {}
    for calls in options.calls:
        found = run_alone(__file__, "--measure", calls, "--seconds", options.seconds)
        fresh, replies[calls] = read_measured(calls, found)
        transcripts[calls] = found["transcript"]
        rows += fresh
        print_rows(f"real clock, {calls} call(s) at once over loopback", fresh, PROTOTYPE)
        say_condition(found)
    draw(rows, replies, options)
    write_report(options, "local", rows, machine=facts, prototype=PROTOTYPE, transcripts=transcripts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
