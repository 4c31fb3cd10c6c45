"""What it costs to watch a call: CPU milliseconds per second of a call, by who is watching.

The same scripted call (three questions, one interruption) runs on the virtual clock again and again, watched
by nobody, by every callback, by subscribers to every event, by the page for Prometheus, by a record in memory
and by OpenTelemetry into memory. What is timed is this process's CPU, the simulated carrier and caller
included; the ways take turns, so that a busy machine slows all of them. The ``more_`` rows are the difference
to nobody, round by round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from _picture import Bar, bars, save
from _report import machine, print_machine, print_rows, read_options, row_of, write_report
from patter_trio import Patter, Twilio
from patter_trio._call.speech_edges import SPEECH_EDGES
from patter_trio.observability import EventBus, MemoryCallLog, PatterEventType
from patter_trio.testing import (
    Caller,
    MemoryLine,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    SimulatedTwilio,
    run_virtual,
)

URL = "https://voice.example.test"
ACCOUNT, TOKEN = "AC" + "0" * 31 + "1", "0123456789abcdef0123456789abcdef"
LONG = "We are open from Monday to Friday. The door opens at eight in the morning. It closes at six."
CALLER = (
    Caller()
    .waits_for_agent()
    .says("When are you open?")
    .barges_in("And the price of a loaf?", after=1.1)
    .waits_for_agent()
    .says("And on Sunday?")
    .waits_for_agent()
    .hangs_up()
)
CALLBACKS = ("on_call_start", "on_transcript", "on_metrics", "on_call_end", *SPEECH_EDGES)


def hear(event: Any) -> None:
    """A callback that has nothing to do."""


def every_event() -> EventBus:
    bus = EventBus()
    for kind in PatterEventType:
        bus.on(kind, hear)
    return bus


def in_memory_provider() -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    return provider


WAYS: dict[str, Callable[[], dict[str, Any]]] = {
    "nobody": dict,
    "callbacks": lambda: dict.fromkeys(CALLBACKS, hear),
    "subscribers": lambda: {"events": every_event()},
    "prometheus": lambda: {"metrics": True},
    "record": lambda: {"call_log": MemoryCallLog()},
    "otel": lambda: {"tracing": in_memory_provider()},
}


def call_cost(options: dict[str, Any]) -> float:
    """CPU milliseconds per second of one call."""
    number = Patter(Twilio(account_sid=ACCOUNT, auth_token=TOKEN), "+15550001234", URL)
    agent = number.agent(
        "You answer for a bakery.",
        first_message="Hello, this is the desk.",
        stt=ScriptedSTT(),
        llm=ScriptedLLM([LONG, "Four.", "Closed."]),
        tts=ScriptedTTS(),
        vad=ScriptedVAD(),
    )

    async def main() -> tuple[float, float]:
        async with number.session(agent, port=None, **options) as session:
            began = time.process_time()
            line = MemoryLine(session.app, URL)
            await SimulatedTwilio(ACCOUNT, TOKEN, number="+15550001234").call(line, CALLER)
            return time.process_time() - began, session.results[0].duration_seconds

    cpu, seconds = run_virtual(main, seed=1)
    return cpu / seconds * 1000


def main(argv: Sequence[str] | None = None) -> None:
    options = read_options(argv, __doc__, calls=(1,), seconds=20)
    facts = machine()
    print_machine(facts, f"rounds for {options.seconds:g} s; virtual clock, real CPU")
    made = {way: make() for way, make in WAYS.items()}
    for how in made.values():
        call_cost(how)  # whatever is imported and compiled first
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    until = time.process_time() + options.seconds
    while time.process_time() < until or not found["nobody"]:
        for way, how in made.items():
            found[way].append(call_cost(how))
    rows = [row_of(1, f"cpu_{way}", values, "ms/s") for way, values in found.items()]
    rows += [
        row_of(1, f"more_{way}", (a - b for a, b in zip(values, found["nobody"], strict=True)), "ms/s")
        for way, values in found.items()
        if way != "nobody"
    ]
    print_rows("CPU per second of a call", rows)
    drawn = [Bar(row.metric, row.p50, row.unit) for row in rows if row.metric.startswith("cpu")]
    shapes, y = bars(drawn, 70)
    save(shapes, y, "CPU milliseconds per second of a call (p50)", options.out, "events")
    write_report(options, "events", rows, machine=facts)


if __name__ == "__main__":
    main()
