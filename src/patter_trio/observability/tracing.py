"""Traces of calls by OpenTelemetry, which is imported when tracing is on and not before."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .._turns.call_metrics import CallMetrics
from .._turns.cost import Services
from ..errors import MissingExtraError, PatterConfigError
from ..events import CallAccepted, CallEnded, CallEvent, CallInfo
from .spans import PlannedEvent, PlannedSpan, SpanPlan

__all__ = ["TRACE_HEADERS", "CallTrace", "Tracing", "check_tracing", "init_tracing", "open_tracing"]

_log = logging.getLogger("patter_trio.tracing")

TRACE_HEADERS = ("traceparent", "tracestate")
"""The headers that say which trace a request belongs to."""

_ENABLED = "PATTER_OTEL_ENABLED"


def check_tracing(_: Any, attribute: Any, value: Any) -> None:
    """Whether a session may be told to trace this way."""
    if value is not None and not isinstance(value, bool) and not hasattr(value, "get_tracer"):
        raise PatterConfigError(
            f"tracing={value!r} is no tracer provider",
            hint="True for the process's own, or what init_tracing() gives",
        )


def open_tracing(wanted: Any) -> Tracing | None:
    """What a session traces with: ``None`` wanted leaves it to the variable ``PATTER_OTEL_ENABLED``.

    Raises:
        MissingExtraError: it was asked for in the code, and the library is not installed.
    """
    if wanted is None:
        if os.environ.get(_ENABLED, "").lower() not in ("1", "true", "yes"):
            return None
        try:
            return open_tracing(True)
        except MissingExtraError as error:
            _log.warning("%s is set, and nothing is traced: %s", _ENABLED, error)
            return None
    if wanted is False:
        return None
    if wanted is True:
        try:
            from opentelemetry import trace
        except ImportError as error:
            raise _missing() from error
        wanted = trace.get_tracer_provider()
    return Tracing(wanted)


def _missing() -> MissingExtraError:
    return MissingExtraError("OpenTelemetry is not installed", hint="pip install 'patter-trio[otel]'")


def init_tracing(
    service_name: str = "patter",
    otlp_endpoint: str | None = None,
    resource_attributes: Mapping[str, str] | None = None,
) -> Any:
    """A tracer provider that exports over OTLP/HTTP, for ``tracing=``; the process's own is left alone.

    Without an endpoint it is that of the variable ``OTEL_EXPORTER_OTLP_ENDPOINT``, or of this machine.
    ``shutdown()`` it when the program ends: the last spans go out then.

    Raises:
        MissingExtraError: the libraries are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise _missing() from error
    resource = Resource.create({"service.name": service_name, **(resource_attributes or {})})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=otlp_endpoint)))
    return provider


class Tracing:
    """Makes a trace of each call of a session."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = provider.get_tracer("patter_trio")
        self._propagator = TraceContextTextMapPropagator()

    def headers(self) -> dict[str, str]:
        """The trace of whoever is running now, for a call that they place."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier

    @contextmanager
    def tracing(self, info: CallInfo, services: Services, parent: Mapping[str, str]) -> Iterator[CallTrace]:
        """A call's trace, as a child of the span that the headers name, if they do."""
        call = CallTrace(self._tracer, info, services, self._propagator.extract(dict(parent)))
        try:
            yield call
        finally:
            call.close()


class CallTrace:
    """The span of one call with its children: fed by the call's events, off its own paths."""

    def __init__(self, tracer: Any, info: CallInfo, services: Services, parent: Any) -> None:
        self._tracer = tracer
        self._info = info
        self._parent = parent
        self._services = services
        self._plan = SpanPlan(services)
        self._span: Any = None
        self._inside: Any = None
        self._origin = 0
        self._ended: int | None = None
        self._last = 0
        self.metrics: CallMetrics | None = None

    def note(self, event: CallEvent) -> None:
        """Takes in what happened in the call."""
        if self._span is None:
            self._open(event)
        self._last = self._nanoseconds(event.time)
        for planned in self._plan.feed(event):
            self._draw(planned)
        if isinstance(event, CallEnded) and self._span is not None:
            self._ended = self._last
            self._span.set_attribute("patter.call.outcome", event.outcome)
            self._span.set_attribute("patter.call.reason", event.reason)
            self._fail(self._span, event.error_code)

    def close(self) -> None:
        """Ends the call's span, with what the call used if that is known."""
        if self._span is None:
            return
        if self.metrics is not None:
            self._span.set_attributes(_used(self.metrics, self._services))
        self._span.end(end_time=self._ended or self._last)
        self._span = None

    def _open(self, event: CallEvent) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        # Spans are placed by the call's own clock, which is finer than the wall time of an event.
        self._origin = event.timestamp_ms * 1_000_000 - round(event.time * 1e9)
        info = event.info if isinstance(event, CallAccepted) else self._info
        kind = SpanKind.CLIENT if info.direction == "outbound" else SpanKind.SERVER
        attributes = {
            "patter.call.id": info.call_id,
            "patter.call.direction": info.direction,
            "patter.telephony.provider": info.telephony_provider,
        }
        start = self._nanoseconds(event.time)
        self._span = self._tracer.start_span(
            "patter.call", self._parent, kind=kind, attributes=attributes, start_time=start
        )
        self._inside = set_span_in_context(self._span, self._parent)

    def _draw(self, planned: PlannedEvent | PlannedSpan) -> None:
        from opentelemetry.trace import SpanKind

        if isinstance(planned, PlannedEvent):
            at = self._nanoseconds(planned.at)
            self._span.add_event(planned.name, dict(planned.attributes), timestamp=at)
            return
        child = self._tracer.start_span(
            planned.name,
            self._inside,
            kind=SpanKind.CLIENT if planned.kind == "client" else SpanKind.INTERNAL,
            attributes={**planned.attributes, "patter.call.id": self._info.call_id},
            start_time=self._nanoseconds(planned.start),
        )
        self._fail(child, planned.error)
        child.end(end_time=self._nanoseconds(planned.end))

    def _fail(self, span: Any, code: str | None) -> None:
        if code is not None:
            from opentelemetry.trace import Status, StatusCode

            span.set_attribute("error.type", code)
            span.set_status(Status(StatusCode.ERROR, code))

    def _nanoseconds(self, time: float) -> int:
        return self._origin + round(time * 1e9)


def _used(metrics: CallMetrics, services: Services) -> dict[str, int | float]:
    """What the call used, under the names that people know."""
    usages = [turn.usage for turn in metrics.turns]
    found: dict[str, int | float] = {
        "patter.cost.llm_input_tokens": sum(usage.input_tokens for usage in usages),
        "patter.cost.llm_output_tokens": sum(usage.output_tokens for usage in usages),
        "patter.cost.tts_chars": sum(turn.tts_characters for turn in metrics.turns),
        "patter.cost.total_usd": metrics.cost.total,
    }
    if services.stt is not None:
        found["patter.cost.stt_seconds"] = round(metrics.duration_seconds, 3)
    if services.telephony is not None:
        found["patter.cost.telephony_minutes"] = round(metrics.duration_seconds / 60, 4)
    return found
