"""How fast the agent falls silent when somebody speaks over it, and what a call costs meanwhile.

The engine runs alone in one process, on its own port; the callers run in another, over real sockets on
loopback. Each call: greeting, question, barge-in, a cough that must not interrupt, a second barge-in,
goodbye. The caller's speech is synthetic word sound (loud from its first sample on), not recorded people:
what a real voice's soft beginning adds is the detector's part, and is not in these numbers.

onset_to_gate       first speech frame sent by the caller -> the engine sends nothing more
onset_to_silence    first speech frame sent -> the caller's ear has played the last frame of the agent
onset_to_clear      first speech frame sent -> "clear" received by the carrier
edge_to_gate        detector's window that makes the edge is done -> gate closed
edge_to_clear       detector's window that confirms is done -> "clear" handed to the socket (join included)
cancel_and_join     the turn's cancellation -> its nursery has joined
resume_gap          silence that a cough made in the agent's speech, as heard
release_to_frame    the engine lets the agent go on -> the carrier has the next frame
reply_overhead      last speech frame sent -> first frame of the answer, beyond what the script's own delays
                    cost on a virtual clock
caller_lateness     how late the callers' frames left: above a few ms the load, not the engine, is slow

Both processes note times of trio's clock and shift them to the machine's monotonic clock, of which each reads
the offset once. Numbers of the virtual clock are exact and cost-free: what the design itself takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from _caller import NUMBER, CallRecord, Spoken, ring
from _house import CallMarks, Measured, measure, probed
from _load import barge_in_script, delay_of
from _picture import Lane, Moment, Panel, histograms, lanes, save
from _report import (
    Row,
    machine,
    percentile,
    print_machine,
    print_rows,
    read_options,
    row_of,
    run_alone,
    write_report,
)
from patter_trio import Agent, Patter
from patter_trio.testing import (
    MemoryLine,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    run_virtual,
)

URL = "https://voice.example.test"
LONG = "We are open from Monday to Friday, and the door opens at eight in the morning."
SAYS = "the caller's speech is synthetic word sound, not recorded people; see --help for what each row means"
VIRTUAL_CALLS = 10


def answer(messages: Sequence[Mapping[str, Any]]) -> str:
    return "Goodbye." if "Goodbye." in str(messages[-1]["content"]) else LONG


def scripted_agent() -> Agent:
    return Agent(
        system_prompt="You answer for a bakery.",
        first_message="Hello!",
        stt=ScriptedSTT(),
        # Without pauses between tokens: a dozen timers, each late by up to a millisecond, are not the engine.
        llm=ScriptedLLM(answer, token_delay=0),
        tts=ScriptedTTS(),
        vad=ScriptedVAD(),
    )


# --- one call's numbers -------------------------------------------------------------------------------------


@attrs.define
class Numbers:
    """Milliseconds by metric; ``replies`` by what the caller said."""

    metrics: dict[str, list[float]] = attrs.field(factory=dict[str, list[float]])
    replies: dict[str, list[float]] = attrs.field(factory=dict[str, list[float]])
    missed: int = 0

    def add(self, metric: str, since: float, until: float | None) -> None:
        if until is None:
            self.missed += 1
        else:
            self.metrics.setdefault(metric, []).append((until - since) * 1000)

    def count(self, metric: str, value: float) -> None:
        self.metrics.setdefault(metric, []).append(value)


def first(times: Sequence[float], since: float, before: float = float("inf")) -> float | None:
    return next((at for at in times if since <= at < before), None)


def last(times: Sequence[float], until: float) -> float | None:
    return next((at for at in reversed(times) if at <= until), None)


def read_call(call: CallRecord, marks: CallMarks, numbers: Numbers) -> None:
    """Joins what both sides noted of one call."""
    starts = [said.first for said in call.spoken[1:]] + [float("inf")]
    for said, following in zip(call.spoken, starts, strict=True):
        if said.over_agent:
            numbers.add("onset_to_gate", said.first, first(marks.held, said.first, following))
            numbers.add("onset_to_silence", said.first, said.silent)
            numbers.add("onset_to_clear", said.first, first(call.clears, said.first, following))
        reply = first(call.frames, said.last + 0.1, following)
        if reply is not None:
            numbers.replies.setdefault(said.text, []).append((reply - said.last) * 1000)
    for held in marks.held:
        edge = last(marks.edges, held)
        numbers.add("edge_to_gate", held if edge is None else edge, held)
    for cleared in marks.clears:
        confirmed = last(marks.confirmed, cleared)
        numbers.add("edge_to_clear", cleared if confirmed is None else confirmed, cleared)
    for released in marks.released:
        numbers.add("release_to_frame", released, first(call.frames, released))
    for cancel in marks.cancel_ms:
        numbers.count("cancel_and_join", cancel)
    for gap in call.resume_gaps:
        numbers.count("resume_gap", gap * 1000)
    numbers.count("frames_after_clear", call.frames_after_clear)


ORDER = (
    "onset_to_gate",
    "onset_to_silence",
    "onset_to_clear",
    "edge_to_gate",
    "edge_to_clear",
    "cancel_and_join",
    "resume_gap",
    "release_to_frame",
)


def rows_of(calls: int, numbers: Numbers) -> list[Row]:
    rows = [row_of(calls, metric, numbers.metrics.get(metric, []), "ms") for metric in ORDER]
    return [
        *rows,
        row_of(calls, "frames_after_clear", numbers.metrics.get("frames_after_clear", []), "frames"),
    ]


# --- the virtual clock --------------------------------------------------------------------------------------


def virtual() -> Numbers:
    """The same script where computing takes no time, in ten calls of different phase."""
    agent, carrier, probe = probed(scripted_agent())
    records: list[CallRecord] = []

    async def one(line: MemoryLine, number: int) -> None:
        await trio.sleep(delay_of(number, VIRTUAL_CALLS))
        records.append(await ring(line, number, barge_in_script()))

    async def main() -> None:
        async with (
            Patter(carrier, NUMBER, URL).session(agent, port=None, on_event=probe.note) as session,
            trio.open_nursery() as nursery,
        ):
            for number in range(VIRTUAL_CALLS):
                nursery.start_soon(one, MemoryLine(session.app, URL), number)

    run_virtual(main, seed=1)
    numbers = Numbers()
    for record in records:
        assert record.ok, record.note
        read_call(record, probe.calls[record.call_id], numbers)
    return numbers


# --- the real clock -----------------------------------------------------------------------------------------


def measure_alone(calls: int, seconds: float) -> dict[str, Any]:
    """Runs in a process of its own; its result travels as JSON."""
    agent, carrier, probe = probed(scripted_agent())
    measured: Measured = trio.run(measure, agent, carrier, "barge_in", calls, seconds, probe)
    talked = sum(result.duration_seconds for result in measured.results[1:])
    return {
        "calls": measured.load["calls"],
        "marks": {call: attrs.asdict(marks) for call, marks in measured.marks.items()},
        "cpu_ms_per_call_second": measured.cpu_all * 1000 / max(talked, 1e-9),
        "rss_per_call_kib": measured.rss_per_call,
        "caller_lateness": measured.load["late"],
        "engine_cpu": measured.cpu_up / max(measured.seconds_up, 1e-9),
        "engine_waited": measured.waited_up / max(measured.seconds_up, 1e-9),
        "callers_cpu": measured.load["cpu"],
        "failed": [call["note"] for call in measured.load["calls"] if not call["ok"]],
    }


def read_measured(calls: int, found: Mapping[str, Any], exact: Numbers) -> tuple[list[Row], Numbers]:
    numbers = Numbers()
    for plain in found["calls"]:
        record = call_record(plain)
        marks = found["marks"].get(record.call_id)
        if marks is not None:
            read_call(record, CallMarks(**marks), numbers)
    overheads = [
        reply - percentile(exact.replies[text], 0.5)
        for text, replies in numbers.replies.items()
        for reply in replies
    ]
    numbers.metrics["reply_overhead"] = overheads
    late = [value * 1000 for value in found["caller_lateness"]] or [float("nan")] * 3
    cpu = found["cpu_ms_per_call_second"]
    return [
        *rows_of(calls, numbers),
        row_of(calls, "reply_overhead", overheads, "ms"),
        row_of(calls, "cpu_ms_per_call_second", [cpu], "ms"),
        row_of(calls, "rss_per_call_kib", found["rss_per_call_kib"], "KiB", 1),
        Row(calls, "caller_lateness", round(late[0], 3), round(late[1], 3), round(late[2], 3), "ms"),
    ], numbers


def call_record(plain: Mapping[str, Any]) -> CallRecord:
    return CallRecord(**{**plain, "spoken": [Spoken(**said) for said in plain["spoken"]]})


# --- the picture --------------------------------------------------------------------------------------------


def draw(found: Mapping[int, Mapping[str, Any]], numbers: Mapping[int, Numbers], folder: Path) -> None:
    shown = ("onset_to_gate", "onset_to_silence", "onset_to_clear", "edge_to_clear", "reply_overhead")
    panels = [
        Panel(metric, "ms", {calls: of.metrics.get(metric, []) for calls, of in numbers.items()})
        for metric in shown
    ]
    shapes, y = histograms(panels, 60)
    save(shapes, y, "Barge-in over loopback sockets, real clock", folder, "barge_in")
    most = max(found)
    for plain in found[most]["calls"]:
        call, marks = call_record(plain), found[most]["marks"].get(plain["call_id"])
        over = [said for said in call.spoken if said.over_agent and said.silent is not None]
        if call.ok and marks and over:
            shapes, y = one_barge_in(call, CallMarks(**marks), over[0].first)
            save(shapes, y, f"One barge-in among {most} call(s)", folder, "barge_in_timeline")
            return


def one_barge_in(call: CallRecord, marks: CallMarks, onset: float) -> tuple[list[Any], float]:
    said = next(said for said in call.spoken if said.first == onset)
    mouth = [onset + 0.02 * number for number in range(round((said.last - onset) / 0.02) + 1)]
    rows = [
        Lane("caller's frames sent", [at - onset for at in mouth], 0),
        Lane("agent's frames received", [at - onset for at in call.frames], 2),
    ]
    times: list[tuple[str, float | None, int]] = [
        ("first speech frame sent", onset, 0),
        ("gate closed", first(marks.held, onset), 1),
        ("agent no longer heard", said.silent, 2),
        ("confirmed", first(marks.confirmed, onset), 3),
        ("clear received", first(call.clears, onset), 1),
    ]
    moments = [
        Moment(f"{label}: {(at - onset) * 1000:.1f} ms", at - onset, colour)
        for label, at, colour in times
        if at is not None
    ]
    return lanes(rows, moments, -0.3, 0.7, 70)


def main(argv: Sequence[str] | None = None) -> None:
    options = read_options(argv, __doc__, calls=(1, 10, 50), seconds=20)
    if options.measure:
        print(json.dumps(measure_alone(int(options.measure), options.seconds)))
        return
    facts = machine()
    print_machine(facts, SAYS)
    exact = virtual()
    virtual_rows = rows_of(VIRTUAL_CALLS, exact)
    print_rows("virtual clock (exact: what the design takes, computing is free)", virtual_rows)
    rows: list[Row] = []
    found: dict[int, Any] = {}
    numbers: dict[int, Numbers] = {}
    for calls in options.calls:
        found[calls] = run_alone(__file__, "--measure", calls, "--seconds", options.seconds)
        fresh, numbers[calls] = read_measured(calls, found[calls], exact)
        rows += fresh
        print_rows(f"real clock, {calls} call(s) at once over loopback", fresh)
        say_condition(found[calls], numbers[calls])
    draw(found, numbers, options.out)
    conditions = {calls: {key: found[calls][key] for key in CONDITIONS} for calls in found}
    write_report(
        options,
        "barge_in",
        rows,
        virtual=[attrs.asdict(row) for row in virtual_rows],
        machine=facts,
        conditions=conditions,
    )


CONDITIONS = ("engine_cpu", "engine_waited", "callers_cpu", "failed")


def say_condition(found: Mapping[str, Any], numbers: Numbers) -> None:
    print(
        f"{len(found['calls'])} calls made, {len(found['failed'])} not as scripted, {numbers.missed} "
        f"reactions missed; engine {found['engine_cpu']:.0%} of a core and {found['engine_waited']:.1%} "
        f"waiting for one, callers {found['callers_cpu']:.0%}"
    )
    for note in sorted(set(found["failed"]))[:5]:
        print(f"  not as scripted: {note}")


if __name__ == "__main__":
    main()
