"""The numbers of a session as a page that Prometheus reads (text format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

import attrs

from .._turns.cost import CostBreakdown
from .._turns.latency import TurnMetrics
from ..events import CallEvent, FloorReleased, FloorTaken, TurnEnded, TurnFailed

__all__ = ["METRICS_MEDIA_TYPE", "Counter", "Histogram", "Instruments"]

METRICS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# People notice an answer after 300 ms and leave after some seconds.
_RESPONSE_MS = (200, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000, 5000, 10_000)
# The confirmation of a barge-in takes 300 ms unless it is set otherwise.
_BARGE_IN_MS = (50, 100, 200, 300, 350, 400, 500, 750, 1000, 2000)
_STAGE_MS = (25, 50, 100, 200, 300, 500, 750, 1000, 2000, 5000)

_CHANNELS = {
    "frames_dropped": "frames",
    "blocks_dropped": "hearing",
    "edges_dropped": "edges",
    "events_dropped": "events",
}


def _labelled(name: str, labels: Mapping[str, str]) -> str:
    if not labels:
        return name
    pairs = (f'{key}="{_escaped(value)}"' for key, value in labels.items())
    return f"{name}{{{','.join(pairs)}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


@attrs.define
class Counter:
    """A number that only grows, one for each set of labels."""

    name: str
    about: str
    labels: tuple[str, ...] = ()
    values: dict[tuple[str, ...], float] = attrs.field(factory=dict[tuple[str, ...], float])

    def add(self, *labels: str, by: float = 1) -> None:
        """Counts."""
        self.values[labels] = self.values.get(labels, 0) + by

    def lines(self) -> Iterator[str]:
        """As text."""
        yield f"# HELP {self.name} {self.about}"
        yield f"# TYPE {self.name} counter"
        if not self.labels:
            yield f"{self.name} {self.values.get((), 0):g}"
            return
        for values, count in sorted(self.values.items()):
            labels = dict(zip(self.labels, values, strict=True))
            yield f"{_labelled(self.name, labels)} {count:.10g}"


@attrs.define
class Histogram:
    """How often a number was at most as large as each of some bounds."""

    name: str
    about: str
    bounds: Sequence[float]
    total: float = 0.0
    counts: list[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float | None) -> None:
        """Takes a value in; a stage that did not happen has none."""
        if value is not None:
            self.counts[bisect_left(self.bounds, value)] += 1
            self.total += value

    def lines(self) -> Iterator[str]:
        """As text."""
        yield f"# HELP {self.name} {self.about}"
        yield f"# TYPE {self.name} histogram"
        seen = 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            seen += count
            yield f"{_labelled(f'{self.name}_bucket', {'le': bound})} {seen}"
        yield f"{self.name}_sum {self.total:.10g}"
        yield f"{self.name}_count {seen}"


class Instruments:
    """What a session counts of its calls: fed by their events, off the calls' own paths."""

    def __init__(self) -> None:
        self.calls = Counter("patter_calls_total", "Calls that are over.", ("outcome", "reason"))
        self.turns = Counter("patter_turns_total", "Turns of the agent.", ("kind",))
        self.barge_ins = Counter(
            "patter_barge_ins_total", "Turns that lost the floor to the caller.", ("phase",)
        )
        self.false_alarms = Counter(
            "patter_false_interruptions_total", "Pauses after which the agent went on."
        )
        self.errors = Counter("patter_errors_total", "Turns and calls that something broke.", ("code",))
        self.dropped = Counter(
            "patter_channel_dropped_total", "Items that gave way in ended calls.", ("channel",)
        )
        self.cost = Counter("patter_cost_usd_total", "Estimated cost of ended calls.", ("part",))
        self.response = Histogram(
            "patter_agent_response_ms", "The caller's last sound to the agent's first frame.", _RESPONSE_MS
        )
        self.barge_in = Histogram(
            "patter_barge_in_onset_to_clear_ms", "The detector's edge to clear written.", _BARGE_IN_MS
        )
        self.first_token = Histogram(
            "patter_llm_ttft_ms", "The committed utterance to the first token.", _STAGE_MS
        )
        self.first_sound = Histogram(
            "patter_tts_ms", "The first sentence written to its first sound.", _STAGE_MS
        )

    def note(self, event: CallEvent) -> None:
        """Takes in what happened in a call."""
        match event:
            case TurnEnded(kind=kind, metrics=TurnMetrics(latency=latency)):
                self.turns.add(kind)
                self.response.observe(latency.agent_response_ms)
                self.first_token.observe(latency.llm_ttft_ms)
                self.first_sound.observe(latency.tts_ms)
            case FloorTaken(phase=phase, onset_to_clear_ms=took):
                self.barge_ins.add(phase)
                self.barge_in.observe(took)
            case FloorReleased():
                self.false_alarms.add()
            case TurnFailed(code=code):
                self.errors.add(code)

    def note_end(
        self,
        outcome: str,
        reason: str,
        error_code: str | None,
        counts: Mapping[str, int],
        cost: CostBreakdown,
    ) -> None:
        """Takes in how a call ended."""
        self.calls.add(outcome, reason)
        if error_code is not None:
            self.errors.add(error_code)
        for count, channel in _CHANNELS.items():
            if counts.get(count):
                self.dropped.add(channel, by=counts[count])
        for part in ("stt", "llm", "llm_wasted", "tts", "telephony"):
            paid = getattr(cost, part)
            if paid:
                self.cost.add(part, by=paid)

    def page(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """All of it as text; ``gauges`` are the numbers of the moment, each with what it means."""
        lines: list[str] = []
        for name, (about, value) in gauges.items():
            lines += [f"# HELP {name} {about}", f"# TYPE {name} gauge", f"{name} {value:.10g}"]
        for instrument in vars(self).values():
            lines += instrument.lines()
        return "\n".join(lines) + "\n"
