"""How fast the agent falls silent when somebody speaks over it, and what a call costs meanwhile.

The engine runs alone in one process, on its own port; the callers run in another, over real sockets on
loopback. Each call: greeting, question, barge-in, a short "oh" that must not interrupt, a second barge-in,
goodbye; callers ring again until the time is over. The callers are recordings of people (speech/README.md)
and the detector is Silero, as users run it. The recogniser knows the clips and answers 0.1 s after the
detector's trailing edge, the brain and the agent's voice are scripted: none of them is measured.

A person begins softly. "First speech frame" is the clip's first 20 ms frame at or above -40 dBFS (RMS).

as heard, all from the first speech frame sent by the caller:
onset_to_gate           -> the engine sends nothing more
onset_to_silence        -> the caller's ear has played the last frame of the agent
onset_to_clear          -> "clear" received by the carrier
resume_gap              silence that an "oh" made in the agent's speech, as heard
frames_after_clear      frames of a cancelled turn behind its "clear", per call: must be 0

of that the detector's share, which is mostly waiting for more of the voice:
onset_to_edge           first speech frame sent -> the detector has done the window that makes the edge
onset_to_confirm        -> it has done the window with which the voice has lasted barge_in_threshold_ms
detector_window         one window's computation

and the engine's:
edge_to_gate            the window that makes the edge is done -> gate closed
edge_to_clear           the window that confirms is done -> "clear" handed to the socket (join included)
cancel_and_join         the turn's cancellation -> its nursery has joined
release_to_frame        the engine lets the agent go on -> the carrier has the next frame

what it costs:
cpu_ms_per_call_second  CPU of the engine's process, detector included, divided by calls and seconds
rss_per_call_kib        resident memory beyond that of a server that has carried one call
caller_lateness         how late the callers' frames left: above a few ms the load, not the engine, is slow

Both processes note times of trio's clock and shift them to the machine's monotonic clock, of which each reads
the offset once. Numbers of the virtual clock are exact and cost-free: what waiting alone takes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from _caller import NUMBER, CallRecord, Spoken, ring
from _house import CallMarks, Measured, measure, probed
from _load import delay_of, scripts_for
from _picture import Lane, Moment, Panel, histograms, lanes, save
from _report import (
    Row,
    machine,
    options_parser,
    plain_row,
    print_machine,
    print_rows,
    row_of,
    rss_kib,
    run_alone,
    write_report,
)
from _speech import GOODBYE, people_stt
from patter_trio import Agent, Patter
from patter_trio.abc import VADProvider
from patter_trio.errors import MissingExtraError
from patter_trio.testing import (
    MemoryLine,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    run_virtual,
)
from patter_trio.vad import EnergyVAD, SileroVAD

URL = "https://voice.example.test"
LONG = "We are open from Monday to Friday, and the door opens at eight in the morning."
VIRTUAL_CALLS = 18  # each clip is a barge-in four times, at 16 places of the detector's windows
DETECTORS = ("silero", "energy", "scripted")
PEOPLE = "callers: recordings of people; recogniser, brain and the agent's voice: scripted; detector: {vad}"
WORDS = "callers: synthetic word sound, loud from its first sample on; everything else: scripted"
LATE_MS = 5.0  # a quarter of a frame
WAITED_SHARE = 0.1
FULL_SHARE = 0.9


def answer(messages: Sequence[Mapping[str, Any]]) -> str:
    said = str(messages[-1]["content"])
    return "Goodbye." if GOODBYE in said or "Goodbye." in said else LONG


def detector(name: str) -> VADProvider:
    """Raises MissingExtraError where Silero's weights are not installed."""
    if name == "scripted":
        return ScriptedVAD()
    vad = SileroVAD() if name == "silero" else EnergyVAD()
    vad.open_detector(8000)  # loads the model: it counts for no call
    return vad


def agent_with(vad: str) -> Agent:
    return Agent(
        system_prompt="You answer for a bakery.",
        first_message="Hello!",
        stt=ScriptedSTT() if vad == "scripted" else people_stt(),
        # Without pauses between tokens: a dozen timers, each late by up to a millisecond, are not the engine.
        llm=ScriptedLLM(answer, token_delay=0),
        tts=ScriptedTTS(),
        vad=detector(vad),
    )


def load_kind(vad: str) -> str:
    """Who calls: the detector that reads word sound without error needs callers who speak it."""
    return "barge_in" if vad == "scripted" else "people"


# --- one call's numbers -------------------------------------------------------------------------------------


@attrs.define
class Numbers:
    """What was measured, by metric."""

    metrics: dict[str, list[float]] = attrs.field(factory=dict[str, list[float]])
    missed: int = 0

    def add(self, metric: str, since: float, until: float | None) -> None:
        """Milliseconds between two times, the second of which may never have come."""
        if until is None:
            self.missed += 1
        else:
            self.metrics.setdefault(metric, []).append((until - since) * 1000)

    def extend(self, metric: str, values: Sequence[float]) -> None:
        self.metrics.setdefault(metric, []).extend(values)


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
            numbers.add("onset_to_edge", said.first, first(marks.edges, said.first, following))
            numbers.add("onset_to_confirm", said.first, first(marks.confirmed, said.first, following))
    for held in marks.held:
        edge = last(marks.edges, held)
        numbers.add("edge_to_gate", held if edge is None else edge, held)
    for cleared in marks.clears:
        confirmed = last(marks.confirmed, cleared)
        numbers.add("edge_to_clear", cleared if confirmed is None else confirmed, cleared)
    for released in marks.released:
        numbers.add("release_to_frame", released, first(call.frames, released))
    numbers.extend("cancel_and_join", marks.cancel_ms)
    numbers.extend("resume_gap", [gap * 1000 for gap in call.resume_gaps])
    numbers.extend("frames_after_clear", [call.frames_after_clear])


UNITS = {
    "frames_after_clear": "frames",
    "detector_window": "us",
    "rss_per_call_kib": "KiB",
}
SECTIONS = {
    "as heard": ("onset_to_gate", "onset_to_silence", "onset_to_clear", "resume_gap", "frames_after_clear"),
    "detector": ("onset_to_edge", "onset_to_confirm", "detector_window"),
    "engine": ("edge_to_gate", "edge_to_clear", "cancel_and_join", "release_to_frame"),
    "cost": ("cpu_ms_per_call_second", "rss_per_call_kib"),
}
# What --json holds, in this order, for each number of calls.
JSON_METRICS = (
    "onset_to_gate",
    "onset_to_silence",
    "onset_to_clear",
    "edge_to_clear",
    "cancel_and_join",
    "resume_gap",
    "frames_after_clear",
    "cpu_ms_per_call_second",
    "rss_per_call_kib",
)


def rows_of(calls: int, numbers: Numbers, metrics: Sequence[str]) -> list[Row]:
    """Rows of some metrics."""
    return [
        row_of(calls, metric, numbers.metrics.get(metric, []), UNITS.get(metric, "ms")) for metric in metrics
    ]


def print_numbers(title: str, calls: int, numbers: Numbers, sections: Sequence[str]) -> None:
    for section in sections:
        found = rows_of(calls, numbers, SECTIONS[section])
        notes = {row.metric: f"n={len(numbers.metrics.get(row.metric, []))}" for row in found}
        print_rows(f"{title}: {section}", found, notes)


# --- the virtual clock --------------------------------------------------------------------------------------


def simulate(vad: str, calls: int) -> dict[str, Any]:
    """The same script where computing takes no time; what :func:`measure_alone` returns, callers included."""
    agent, carrier, probe = probed(agent_with(vad))
    scripts = scripts_for(load_kind(vad))
    records: list[CallRecord] = []
    before, cpu = rss_kib(), time.process_time()

    async def one(line: MemoryLine, number: int) -> None:
        await trio.sleep(delay_of(number, calls))
        records.append(await ring(line, number, scripts(number)))

    async def main() -> float:
        async with (
            Patter(carrier, NUMBER, URL).session(agent, port=None, on_event=probe.note) as session,
            trio.open_nursery() as nursery,
        ):
            for number in range(calls):
                nursery.start_soon(one, MemoryLine(session.app, URL), number)
        return sum(result.duration_seconds for result in session.results)

    talked = run_virtual(main, seed=1)
    return {
        "calls": [attrs.asdict(attrs.evolve(record, late=[])) for record in records],
        "marks": {call: attrs.asdict(marks) for call, marks in probe.calls.items()},
        "detector_window": [took * 1e6 for took in probe.computing],
        "cpu_ms_per_call_second": (time.process_time() - cpu) * 1000 / max(talked, 1e-9),
        "rss_per_call_kib": [(rss_kib() - before) / calls],
        "caller_lateness": [0.0, 0.0, 0.0],
        "failed": [record.note for record in records if not record.ok],
    }


# --- the real clock -----------------------------------------------------------------------------------------


def measure_alone(vad: str, calls: int, seconds: float) -> dict[str, Any]:
    """Runs in a process of its own; its result travels as JSON."""
    agent, carrier, probe = probed(agent_with(vad))
    measured: Measured = trio.run(measure, agent, carrier, load_kind(vad), calls, seconds, probe)
    talked = sum(result.duration_seconds for result in measured.results[1:])
    return {
        "calls": measured.load["calls"],
        "marks": {call: attrs.asdict(marks) for call, marks in measured.marks.items()},
        "detector_window": [took * 1e6 for took in probe.computing],
        "cpu_ms_per_call_second": measured.cpu_all * 1000 / max(talked, 1e-9),
        "rss_per_call_kib": measured.rss_per_call,
        "caller_lateness": measured.load["late"],
        "engine_cpu": measured.cpu_up / max(measured.seconds_up, 1e-9),
        "engine_waited": measured.waited_up / max(measured.seconds_up, 1e-9),
        "callers_cpu": measured.load["cpu"],
        "callers_waited": measured.load["waited"],
        "failed": [call["note"] for call in measured.load["calls"] if not call["ok"]],
        "load_after": machine()["load"],
    }


def read_measured(found: Mapping[str, Any]) -> Numbers:
    numbers = Numbers()
    for plain in found["calls"]:
        record = call_record(plain)
        marks = found["marks"].get(record.call_id)
        if marks is not None:
            read_call(record, CallMarks(**marks), numbers)
    numbers.extend("detector_window", found["detector_window"])
    numbers.extend("cpu_ms_per_call_second", [found["cpu_ms_per_call_second"]])
    numbers.extend("rss_per_call_kib", found["rss_per_call_kib"])
    return numbers


def call_record(plain: Mapping[str, Any]) -> CallRecord:
    return CallRecord(**{**plain, "spoken": [Spoken(**said) for said in plain["spoken"]]})


# --- the pictures -------------------------------------------------------------------------------------------

SHOWN = {
    "onset_to_gate": "speech to gate closed",
    "onset_to_silence": "speech to last frame heard",
    "onset_to_clear": "speech to clear received",
    "resume_gap": 'gap made by an "oh"',
    "edge_to_clear": "engine: edge to clear",
    "cancel_and_join": "engine: cancel and join",
}


def draw(found: Mapping[int, Mapping[str, Any]], numbers: Mapping[int, Numbers], folder: Path) -> None:
    panels = [
        Panel(label, "ms", {calls: of.metrics.get(metric, []) for calls, of in numbers.items()})
        for metric, label in SHOWN.items()
    ]
    shapes, y = histograms(panels, 60)
    save(shapes, y, "Barge-in: how long each step took, by the number of calls at once", folder, "barge_in")
    most = max(found)
    typical = typical_barge_in(found[most])
    if typical is not None:
        call, marks, said = typical
        shapes, y = one_barge_in(call, marks, said)
        title = f'A barge-in among {most} call(s) at once: "{said.text}" over the agent'
        save(shapes, y, title, folder, "barge_in_timeline")


def typical_barge_in(found: Mapping[str, Any]) -> tuple[CallRecord, CallMarks, Spoken] | None:
    """The one whose clear took as long as half of all, of those in calls that went as scripted."""
    cleared: list[tuple[float, CallRecord, CallMarks, Spoken]] = []
    for plain in found["calls"]:
        call, marks = call_record(plain), found["marks"].get(plain["call_id"])
        for said in call.spoken if call.ok and marks else []:
            at = first(call.clears, said.first, said.last)
            if said.over_agent and said.silent is not None and at is not None:
                cleared.append((at - said.first, call, CallMarks(**marks), said))
    cleared.sort(key=lambda one: one[0])
    return cleared[len(cleared) // 2][1:] if cleared else None


def one_barge_in(call: CallRecord, marks: CallMarks, said: Spoken) -> tuple[list[Any], float]:
    onset = said.first
    mouth = [0.02 * number for number in range(round((said.last - onset) / 0.02) + 1)]
    rows = [
        Lane("caller's speech, frames sent", mouth, 0),
        Lane("agent's frames received", [at - onset for at in call.frames], 2),
    ]
    times: list[tuple[str, float | None, int]] = [
        ("first speech frame sent", onset, 0),
        ("detector's edge", first(marks.edges, onset), 3),
        ("gate closed", first(marks.held, onset), 1),
        ("agent no longer heard", said.silent, 2),
        ("detector confirms", first(marks.confirmed, onset), 3),
        ("clear received", first(call.clears, onset), 1),
    ]
    moments = [
        Moment(f"{label}: {(at - onset) * 1000:.1f} ms", at - onset, colour)
        for label, at, colour in times
        if at is not None
    ]
    return lanes(rows, moments, -0.3, max(0.7, max(moment.at for moment in moments) + 0.2), 70)


# --- what is said -------------------------------------------------------------------------------------------

CONDITIONS = ("engine_cpu", "engine_waited", "callers_cpu", "callers_waited", "load_after", "failed")


def late_row(calls: int, found: Mapping[str, Any]) -> Row:
    """Its percentiles were taken where the frames were sent."""
    p50, p99, most = (round(value * 1000, 3) for value in found["caller_lateness"] or [float("nan")] * 3)
    return Row(calls, "caller_lateness", p50, p99, most, "ms")


def say_condition(found: Mapping[str, Any], numbers: Numbers) -> None:
    made = found["calls"]
    coughs = sum(call["coughs"] for call in made)
    print(
        f"{len(made)} calls made, {len(found['failed'])} not as scripted, {numbers.missed} reactions missed; "
        f'{len(numbers.metrics.get("resume_gap", []))} of {coughs} "oh" made the agent pause'
    )
    for note in sorted(set(found["failed"]))[:5]:
        print(f"  not as scripted: {note}")


def say_cpu(found: Mapping[str, Any], late: Row) -> None:
    print(
        f"engine {found['engine_cpu']:.0%} of a core and {found['engine_waited']:.1%} of the time waiting "
        f"for one, callers {found['callers_cpu']:.0%} and {found['callers_waited']:.1%}; "
        f"machine's load after it {'/'.join(map(str, found['load_after']))}"
    )
    if found["engine_waited"] > WAITED_SHARE:
        print(
            f"the engine lacked CPU: it had no core for {found['engine_waited']:.0%} of the time; "
            "this run tells more about the machine's other work than about the engine"
        )
    if found["engine_cpu"] > FULL_SHARE:
        print("the engine's core is full: what waits here waits for the engine itself")
    if late.p99 > LATE_MS:
        print(
            f"the callers lacked CPU: one frame in a hundred left {late.p99:.1f} ms late or more, "
            "and these numbers hold that too"
        )


def main(argv: Sequence[str] | None = None) -> None:
    parser = options_parser(__doc__, calls=(1, 10, 50, 100), seconds=20)
    parser.add_argument("--vad", choices=DETECTORS, default="silero", help="scripted: in word sound, exact")
    parser.add_argument("--virtual", action="store_true", help="no sockets, no real time: for a quick look")
    options = parser.parse_args(argv)
    if options.measure:
        print(json.dumps(measure_alone(options.vad, int(options.measure), options.seconds)))
        return
    facts = machine()
    try:
        says = WORDS if options.vad == "scripted" else PEOPLE.format(vad=detector(options.vad).name)
    except MissingExtraError as error:
        raise SystemExit(f"{error}\nor measure with --vad energy or --vad scripted") from error
    print_machine(facts, says)
    exact = read_measured(simulate(options.vad, VIRTUAL_CALLS))
    print_numbers("virtual clock (waiting alone)", VIRTUAL_CALLS, exact, ("as heard", "engine"))
    virtual = rows_of(VIRTUAL_CALLS, exact, [*SECTIONS["as heard"], *SECTIONS["engine"]])
    rows: list[Row] = []
    detail: list[Row] = []
    found: dict[int, Any] = {}
    numbers: dict[int, Numbers] = {}
    clock = "virtual" if options.virtual else "real"
    for calls in options.calls:
        if options.virtual:
            found[calls] = simulate(options.vad, calls)
        else:
            arguments = ("--measure", calls, "--seconds", options.seconds, "--vad", options.vad)
            found[calls] = run_alone(__file__, *arguments)
        numbers[calls] = read_measured(found[calls])
        late = late_row(calls, found[calls])
        title = f"{clock} clock, {calls} call(s) at once"
        print_numbers(title, calls, numbers[calls], tuple(SECTIONS))
        print_rows(f"{title}: the load itself", [late])
        say_condition(found[calls], numbers[calls])
        if not options.virtual:
            say_cpu(found[calls], late)
        rows += rows_of(calls, numbers[calls], JSON_METRICS)
        detail += [*rows_of(calls, numbers[calls], [*SECTIONS["detector"], *SECTIONS["engine"]]), late]
    draw(found, numbers, options.out)
    write_report(
        options,
        "barge_in",
        rows,
        detail=[plain_row(row) for row in detail],
        virtual=[plain_row(row) for row in virtual],
        machine=facts,
        vad=options.vad,
        conditions={calls: {key: of[key] for key in CONDITIONS if key in of} for calls, of in found.items()},
    )


if __name__ == "__main__":
    main()
