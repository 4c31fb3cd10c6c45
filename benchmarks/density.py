"""How many calls a core carries: CPU, memory and cost per 20 ms tick of the engine without models.

The engine runs alone in one process, on its own port; the callers run in another, over real sockets on
loopback. Talking calls: question and answer in turn, the agent speaks about half of the time. Idle calls: the
line is open and carries silence (50 frames a second in), nobody speaks.

us_per_tick              CPU of the engine's process for 20 ms of a call: a frame in, the detector, and while
                         the agent speaks a frame out; counted by the frames that really arrived
cpu_ms_per_call_second   fifty of these
frames_arrived           of the frames that were due: below 99 % the callers or the machine were too slow
calls_per_core           1000 / cpu_ms_per_call_second
rss_per_call_kib         resident memory beyond that of a server that has carried one call
engine_waiting           share of time the engine was ready to run and the machine had no core for it

Speech comes from cheap stand-ins (a loudness detector, word sound made before the call, a recogniser that
only counts), so that what is measured is the engine. ``--profile`` also prints where its time goes.
"""

from __future__ import annotations

import cProfile
import io
import json
import pstats
import sys
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs
import trio

from _house import Measured, measure, plain_carrier
from _picture import Bar, bars, save
from _report import Row, machine, print_machine, print_rows, read_options, row_of, run_alone, write_report
from patter_trio import Agent
from patter_trio.abc import DetectorThresholds
from patter_trio.events import (
    MULAW_8K,
    AudioFormat,
    CallInfo,
    HearingItem,
    LLMChunk,
    Message,
    SpeechEnded,
    SpokenAudio,
    Transcript,
)
from patter_trio.testing import speak_words

BUDGETS = {
    "us_per_tick": 150.0,
    "cpu_ms_per_call_second": 8.0,
    "calls_per_core": 100.0,
    "rss_per_call_kib": 100.0,
}
ANSWER = "We are open on Sunday from ten to four."
MODES = ("talk", "idle")


# --- stand-ins that cost next to nothing --------------------------------------------------------------------


@attrs.frozen
class CheapVAD:
    """Loud frames are speech: the mean of the high bytes of a few samples decides."""

    thresholds: DetectorThresholds = attrs.field(factory=DetectorThresholds)
    name: str = "cheap"

    def open_detector(self, sample_rate: int) -> CheapDetector:
        return CheapDetector()


class CheapDetector:
    window = 0.02

    def feed(self, pcm: bytes) -> list[float]:
        # Silence on the line is 0 (or -1): a loud sample has a high byte that is neither.
        quiet = pcm[1:64:2].translate(None, b"\x00\xff")
        return [1.0 if quiet else 0.0] * (len(pcm) // 320)


@attrs.frozen
class CheapSTT:
    """Hears the same words in everything that the detector found."""

    name: str = "cheap"

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        return self._transcribe(hearing)

    @trio.as_safe_channel
    async def _transcribe(self, hearing: AsyncIterable[HearingItem]) -> AsyncGenerator[Transcript, None]:
        async for item in hearing:
            if isinstance(item, SpeechEnded):
                await trio.sleep(0.1)
                yield Transcript("tell me the hours", is_final=True, from_finalize=True)


@attrs.frozen
class CheapLLM:
    """One answer, at once, in words."""

    name: str = "cheap"
    model: str = "none"

    @trio.as_safe_channel
    async def stream(
        self, messages: Sequence[Message], tools: Any = None, *, call_id: str | None = None
    ) -> AsyncGenerator[LLMChunk, None]:
        for word in ANSWER.split(" "):
            yield LLMChunk("text", word + " ")
        yield LLMChunk("done")


@attrs.frozen
class CheapTTS:
    """Gives sound that was made before, in pieces of 100 ms, ten times as fast as it is spoken."""

    sound: bytes = attrs.field(factory=lambda: speak_words(ANSWER), repr=False)
    audio: AudioFormat = MULAW_8K
    name: str = "cheap"

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[CheapTTS]:
        yield self

    @trio.as_safe_channel
    async def speak(self, sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
        async for sentence in sentences:
            for start in range(0, len(self.sound), 800):
                await trio.sleep(0.01)
                yield SpokenAudio(self.sound[start : start + 800], text=None if start else sentence)


def cheap_agent(mode: str) -> Agent:
    return Agent(
        system_prompt="You answer for a bakery.",
        first_message="Hello!" if mode == "talk" else "",
        stt=CheapSTT(),
        llm=CheapLLM(),
        tts=CheapTTS(),
        vad=CheapVAD(),
    )


# --- one measurement ----------------------------------------------------------------------------------------


def measure_alone(mode: str, calls: int, seconds: float, *, profile: bool = False) -> dict[str, Any]:
    """Runs in a process of its own; its result travels as JSON."""
    profiler = cProfile.Profile() if profile else None

    async def main() -> Measured:
        if profiler:
            profiler.enable()
        try:
            return await measure(cheap_agent(mode), plain_carrier(), mode, calls, seconds)
        finally:
            if profiler:
                profiler.disable()

    measured = trio.run(main)
    due = max(measured.calls_up, default=0) * measured.seconds_up * 50
    sent = sum(turn.audio_sent_seconds for result in measured.results for turn in result.turns)
    talked = sum(result.duration_seconds for result in measured.results)
    if profiler:
        print(said_by(profiler), file=sys.stderr)
    return {
        "us": measured.cpu_up * 1e6 / max(measured.frames_up, 1),
        "arrived": measured.frames_up / max(due, 1e-9),
        "rss": measured.rss_per_call,
        "calls_up": [min(measured.calls_up, default=0), max(measured.calls_up, default=0)],
        "speaking": sent / max(talked, 1e-9),
        "waiting": measured.waited_up / max(measured.seconds_up, 1e-9),
        "callers_cpu": measured.load["cpu"],
    }


def said_by(profiler: cProfile.Profile) -> str:
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(35)
    return text.getvalue()


def read_measured(mode: str, calls: int, found: dict[str, Any]) -> list[Row]:
    cpu = found["us"] * 50 / 1000
    return [
        row_of(calls, f"{mode}_cpu_ms_per_call_second", [cpu], "ms"),
        row_of(calls, f"{mode}_us_per_tick", [found["us"]], "us", 1),
        row_of(calls, f"{mode}_calls_per_core", [1000 / max(cpu, 1e-9)], "calls", 1),
        row_of(calls, f"{mode}_rss_per_call_kib", found["rss"], "KiB", 1),
        row_of(calls, f"{mode}_frames_arrived", [found["arrived"] * 100], "%", 1),
        row_of(calls, f"{mode}_agent_speaking", [found["speaking"] * 100], "%", 1),
        row_of(calls, f"{mode}_engine_waiting", [found["waiting"] * 100], "%", 1),
        row_of(calls, f"{mode}_callers_cpu", [found["callers_cpu"] * 100], "%", 1),
    ]


def notes() -> dict[str, str]:
    return {
        f"{mode}_{metric}": f"budget {'>=' if metric == 'calls_per_core' else '<='} {budget:g}"
        for mode in MODES
        for metric, budget in BUDGETS.items()
        if metric != "rss_per_call_kib" or mode == "idle"
    }


def draw(rows: Sequence[Row], options: Any) -> None:
    shapes: list[Any] = []
    y = 70.0
    for metric in ("us_per_tick", "rss_per_call_kib"):
        chosen = [row for row in rows if row.metric.endswith(metric) and row.p50 == row.p50]
        drawn = [
            Bar(
                f"{row.metric.split('_')[0]}, {row.calls} call(s)",
                row.p50,
                row.unit + (" per tick" if row.unit == "us" else " per call"),
                BUDGETS[metric] if metric == "us_per_tick" or row.metric.startswith("idle") else None,
                MODES.index(row.metric.split("_")[0]),
            )
            for row in chosen
        ]
        fresh, y = bars(drawn, y)
        shapes += fresh
    save(
        shapes,
        y,
        "What a call costs the engine, models aside (CPU per 20 ms, memory)",
        options.out,
        "density",
    )


def main(argv: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if argv is None else argv)
    profile = "--profile" in arguments
    options = read_options(
        [argument for argument in arguments if argument != "--profile"],
        __doc__,
        calls=(10, 50, 100),
        seconds=10,
    )
    if options.measure:
        mode = options.measure
        print(json.dumps(measure_alone(mode, options.calls[0], options.seconds, profile=profile)))
        return
    facts = machine()
    print_machine(facts, "the callers run in another process; speech comes from stand-ins without models")
    rows: list[Row] = []
    more = ["--profile"] if profile else []
    for mode in MODES:
        for calls in options.calls:
            arguments = ["--measure", mode, "--calls", str(calls), "--seconds", str(options.seconds), *more]
            found = run_alone(__file__, *arguments)
            fresh = read_measured(mode, calls, found)
            rows += fresh
            print_rows(f"real clock, {calls} calls, {mode}", fresh, notes())
            least, most = found["calls_up"]
            if least != most or most != calls:
                print(f"not all calls were up all the time: {least} to {most}")
    draw(rows, options)
    write_report(options, "density", rows, machine=facts, budgets=BUDGETS)


if __name__ == "__main__":
    main()
