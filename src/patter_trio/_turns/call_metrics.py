"""The numbers of a whole call: its cost, and its latencies over all turns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import attrs

from .cost import CostBreakdown, Services, cost_of
from .latency import LatencyBreakdown, TurnMetrics
from .prices import PriceBook
from .usage import Usage

__all__ = ["CallMetrics", "Metering", "percentile"]


@attrs.frozen(kw_only=True)
class CallMetrics:
    """The numbers of one call.

    ``latency_avg`` and ``latency_p50`` to ``latency_p99`` are taken of each latency by itself, over the turns
    in which that stage happened, interrupted turns included. ``context_tokens`` is what the last request to
    the model held, by its provider's count.
    """

    call_id: str
    duration_seconds: float
    turns: tuple[TurnMetrics, ...] = ()
    cost: CostBreakdown = attrs.field(factory=CostBreakdown)
    latency_avg: LatencyBreakdown = attrs.field(factory=LatencyBreakdown)
    latency_p50: LatencyBreakdown = attrs.field(factory=LatencyBreakdown)
    latency_p90: LatencyBreakdown = attrs.field(factory=LatencyBreakdown)
    latency_p95: LatencyBreakdown = attrs.field(factory=LatencyBreakdown)
    latency_p99: LatencyBreakdown = attrs.field(factory=LatencyBreakdown)
    provider_mode: str = "pipeline"
    stt_provider: str = ""
    stt_model: str = ""
    llm_provider: str = ""
    llm_model: str = ""
    tts_provider: str = ""
    tts_model: str = ""
    telephony_provider: str = ""
    error_code: str | None = None
    interruptions: int = 0
    preemptive_hits: int = 0
    preemptive_misses: int = 0
    context_tokens: int = 0


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` of them lie, between two of them by proportion; ``None`` of none."""
    if not values:
        return None
    ranked = sorted(values)
    place = (len(ranked) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(ranked) - 1)
    return round(ranked[below] + (ranked[above] - ranked[below]) * (place - below), 3)


def _over(turns: Sequence[TurnMetrics], share: float | None) -> LatencyBreakdown:
    """A percentile of each latency, or with ``None`` its average."""
    found: dict[str, float | None] = {}
    for field in attrs.fields(LatencyBreakdown):
        values = [value for turn in turns if (value := getattr(turn.latency, field.name)) is not None]
        average = round(sum(values) / len(values), 3) if values else None
        found[field.name] = average if share is None else percentile(values, share)
    return LatencyBreakdown(**found)


@attrs.frozen
class Metering:
    """How a call is measured: the services it is made of, and their prices.

    ``began`` is the wall time of its start, for prices that change.
    """

    services: Services = attrs.field(factory=Services)
    book: PriceBook = attrs.field(factory=PriceBook)
    began: float = 0.0

    def cost(
        self, turns: Sequence[TurnMetrics], seconds: float, wasted: Usage | None = None
    ) -> CostBreakdown:
        """What the call costs so far."""
        day = datetime.fromtimestamp(self.began, UTC).date()
        return cost_of(self.services, turns, seconds, self.book, day, wasted)

    def metrics(
        self,
        call_id: str,
        turns: Sequence[TurnMetrics],
        seconds: float,
        *,
        error_code: str | None = None,
        hits: int = 0,
        misses: int = 0,
        wasted: Usage | None = None,
    ) -> CallMetrics:
        """The numbers of the call so far."""
        services = self.services
        asked = [turn.usage for turn in turns if turn.usage.input_tokens]
        names = {
            f"{part}_{what}": getattr(service, what)
            for part, service in (("stt", services.stt), ("llm", services.llm), ("tts", services.tts))
            if service is not None
            for what in ("provider", "model")
        }
        return CallMetrics(
            call_id=call_id,
            duration_seconds=seconds,
            turns=tuple(turns),
            cost=self.cost(turns, seconds, wasted),
            latency_avg=_over(turns, None),
            latency_p50=_over(turns, 0.5),
            latency_p90=_over(turns, 0.9),
            latency_p95=_over(turns, 0.95),
            latency_p99=_over(turns, 0.99),
            telephony_provider="" if services.telephony is None else services.telephony.provider,
            error_code=error_code,
            interruptions=sum(turn.interrupted for turn in turns),
            preemptive_hits=hits,
            preemptive_misses=misses,
            context_tokens=asked[-1].input_tokens // max(asked[-1].requests, 1) if asked else 0,
            **names,
        )
