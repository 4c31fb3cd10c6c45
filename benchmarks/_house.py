"""The measured side: a session with a real port in this process, its callers in another."""

from __future__ import annotations

import contextvars
import gc
import json
import logging
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import attrs
import trio

from _caller import ACCOUNT, NUMBER, TOKEN
from _load import LOAD_SCRIPT
from _report import clock_offset, rss_kib, waited_for_cpu
from patter_trio import Agent, CallResult, Patter, Session, Twilio
from patter_trio._turns.edges import SpeechTracker
from patter_trio.abc import Carrier, DetectorThresholds, MediaWire, SpeechDetector, VADProvider
from patter_trio.events import CallEvent, CarrierEvent, FloorHeld, FloorReleased, FloorTaken, StreamStarted

__all__ = ["CallMarks", "Measured", "Probe", "measure", "probed"]

_SAMPLE_SECONDS = 0.2


@attrs.define
class CallMarks:
    """When the engine did what in one call, in seconds of its trio clock."""

    call_id: str
    edges: list[float] = attrs.field(factory=list[float])
    confirmed: list[float] = attrs.field(factory=list[float])
    held: list[float] = attrs.field(factory=list[float])
    released: list[float] = attrs.field(factory=list[float])
    clears: list[float] = attrs.field(factory=list[float])
    cancel_ms: list[float] = attrs.field(factory=list[float])

    def shifted(self, offset: float) -> CallMarks:
        """The same on the machine's clock."""
        return attrs.evolve(
            self,
            edges=[at + offset for at in self.edges],
            confirmed=[at + offset for at in self.confirmed],
            held=[at + offset for at in self.held],
            released=[at + offset for at in self.released],
            clears=[at + offset for at in self.clears],
        )


@attrs.define
class Probe:
    """Notes what no event tells, from the outside: a carrier and a detector that look at the clock.

    ``computing`` is how long the detector took, in seconds, whenever it completed a window.
    """

    threshold: float
    calls: dict[str, CallMarks] = attrs.field(factory=dict[str, CallMarks])
    computing: list[float] = attrs.field(factory=list[float])
    current: contextvars.ContextVar[CallMarks] = attrs.field(
        factory=lambda: contextvars.ContextVar[CallMarks]("call")
    )

    def note(self, event: CallEvent) -> None:
        """A listener for the session."""
        marks = self.calls.get(event.call_id)
        if marks is None:
            return
        if isinstance(event, FloorHeld):
            marks.held.append(event.time)
        elif isinstance(event, FloorReleased):
            marks.released.append(event.time)
        elif isinstance(event, FloorTaken) and event.phase == "speaking":
            marks.cancel_ms.append(event.cancel_ms)


class _Carrier:
    """A carrier whose wires note when ``clear`` is encoded: the next step hands it to the socket."""

    def __init__(self, carrier: Carrier, probe: Probe) -> None:
        self._carrier, self._probe = carrier, probe
        self.kind = carrier.kind
        self.verify = carrier.verify
        self.calls_per_second = carrier.calls_per_second
        self.read_notice = carrier.read_notice
        self.open = carrier.open

    def open_wire(self) -> MediaWire:
        return _Wire(self._carrier.open_wire(), self._probe)


class _Wire:
    def __init__(self, wire: MediaWire, probe: Probe) -> None:
        self._wire, self._probe = wire, probe
        self._marks: CallMarks | None = None
        self.encode_audio = wire.encode_audio
        self.encode_mark = wire.encode_mark

    @property
    def audio(self) -> Any:
        return self._wire.audio

    def decode(self, message: str | bytes) -> CarrierEvent | None:
        event = self._wire.decode(message)
        if isinstance(event, StreamStarted):
            self._marks = CallMarks(event.call_id)
            self._probe.calls[event.call_id] = self._marks
            # The call's detector is opened in this very task, a moment later.
            self._probe.current.set(self._marks)
            # From here on nothing is noted on this path, and it costs nothing.
            self.decode = self._wire.decode  # type: ignore[method-assign]  # a shortcut on the instance
        return event

    def encode_clear(self) -> str:
        message = self._wire.encode_clear()
        if self._marks is not None:
            self._marks.clears.append(trio.current_time())
        return message


@attrs.frozen
class _VAD:
    """A detector that notes when the window was done that makes the edge, and the one that confirms it."""

    vad: VADProvider
    probe: Probe
    name: str = "probed"

    @property
    def thresholds(self) -> DetectorThresholds:
        return self.vad.thresholds

    def open_detector(self, sample_rate: int) -> SpeechDetector:
        return _Detector(self.vad.open_detector(sample_rate), self.vad.thresholds, self.probe)


class _Detector:
    def __init__(self, detector: SpeechDetector, thresholds: DetectorThresholds, probe: Probe) -> None:
        self._detector = detector
        self._tracker = SpeechTracker(thresholds, detector.window)
        self._marks = probe.current.get()
        self._threshold = probe.threshold
        self._computing = probe.computing
        self._confirmed = False

    @property
    def window(self) -> float:
        return self._detector.window

    def feed(self, pcm: bytes) -> Any:
        began = time.perf_counter()  # noqa: TID251  # trio's clock stands still while a test's clock jumps
        probabilities = self._detector.feed(pcm)
        if probabilities:
            self._computing.append(time.perf_counter() - began)  # noqa: TID251
        for probability in probabilities:
            edge = self._tracker.feed(probability)
            if edge:
                self._confirmed = False
                self._marks.edges.append(trio.current_time())
            if self._tracker.speaking and not self._confirmed and self._tracker.voiced >= self._threshold:
                self._confirmed = True
                self._marks.confirmed.append(trio.current_time())
        return probabilities


def probed(agent: Agent) -> tuple[Agent, Carrier, Probe]:
    """The agent and a carrier with a probe in them, made of public Protocols only."""
    probe = Probe(agent.barge_in_threshold_ms / 1000)
    assert isinstance(agent.vad, VADProvider), "a detector that must be opened is opened before"
    return attrs.evolve(agent, vad=_VAD(agent.vad, probe)), _Carrier(plain_carrier(), probe), probe


def plain_carrier() -> Twilio:
    """The carrier under which the callers call."""
    return Twilio(account_sid=ACCOUNT, auth_token=TOKEN)


# --- one measurement ----------------------------------------------------------------------------------------


@attrs.define
class Measured:
    """What one load cost this process, and what both sides recorded."""

    load: Any = None
    results: list[CallResult] = attrs.field(factory=list[CallResult])
    marks: dict[str, CallMarks] = attrs.field(factory=dict[str, CallMarks])
    cpu_up: float = 0.0
    seconds_up: float = 0.0
    waited_up: float = 0.0
    frames_up: int = 0
    cpu_all: float = 0.0
    rss_before: int = 0
    rss_samples: list[int] = attrs.field(factory=list[int])
    calls_up: list[int] = attrs.field(factory=list[int])

    @property
    def rss_per_call(self) -> list[float]:
        """KiB for each call, whenever it was looked at while calls were up."""
        most = max(self.calls_up, default=0)
        pairs = zip(self.rss_samples, self.calls_up, strict=True)
        return [(rss - self.rss_before) / calls for rss, calls in pairs if calls and calls == most]


async def measure(
    agent: Agent, carrier: Carrier, kind: str, calls: int, seconds: float, probe: Probe | None = None
) -> Measured:
    """Serves a load to its end. Memory counts from after a first short call, all code loaded."""
    # What goes wrong is in the records of both sides; the log would stand in the middle of the tables.
    logging.getLogger("patter_trio").setLevel(logging.ERROR)
    measured, offset = Measured(), clock_offset()
    patter = Patter(carrier, NUMBER)
    listener = probe.note if probe else None
    async with patter.session(
        agent, port=0, max_calls=calls + 1, drain_seconds=5, on_event=listener
    ) as session:
        command = [sys.executable, LOAD_SCRIPT, session.url, kind]
        command += ["--calls", str(calls), "--seconds", str(seconds)]
        async with trio.open_nursery() as nursery:
            load: trio.Process = await nursery.start(
                partial(trio.run_process, command, capture_stdout=False, stdout=subprocess.PIPE)
            )
            lines = _Lines(load)
            await lines.until("ready")
            gc.collect()
            measured.rss_before = rss_kib()
            cpu_ready = time.process_time()
            await lines.until("up")
            frames = _frames(session)
            cpu, waited, began = time.process_time(), waited_for_cpu(), trio.current_time()
            async with trio.open_nursery() as sampling:
                sampling.start_soon(_sample, measured, session.calls)
                await lines.until("down")
                sampling.cancel_scope.cancel()
            measured.frames_up = _frames(session) - frames
            measured.cpu_up = time.process_time() - cpu
            measured.waited_up = waited_for_cpu() - waited
            measured.seconds_up = trio.current_time() - began
            measured.load = json.loads(await lines.until("{"))
            measured.cpu_all = time.process_time() - cpu_ready
        measured.results = list(session.results)
    if probe:
        measured.marks = {call: marks.shifted(offset) for call, marks in probe.calls.items()}
    return measured


def _frames(session: Session) -> int:
    """Frames that the running calls have received."""
    return sum(call._counts.frames for call in session.calls.values())


async def _sample(measured: Measured, calls: Mapping[str, Any]) -> None:
    while True:
        measured.rss_samples.append(rss_kib())
        measured.calls_up.append(len(calls))
        await trio.sleep(_SAMPLE_SECONDS)


class _Lines:
    def __init__(self, process: trio.Process) -> None:
        assert process.stdout is not None
        self._stdout = process.stdout
        self._rest = b""

    async def until(self, start: str) -> str:
        """The next line that begins so."""
        while True:
            while b"\n" not in self._rest:
                data = await self._stdout.receive_some()
                if not data:
                    raise SystemExit(f"the callers' process ended before it said {start!r}")
                self._rest += data
            line, _, self._rest = self._rest.partition(b"\n")
            if line.decode().startswith(start):
                return line.decode()
