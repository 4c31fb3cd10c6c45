"""What people see of running calls: subscriptions, prices, metrics pages, traces and records.

``patter_trio.observability`` loads no library of anybody's: OpenTelemetry is imported when a session traces.
"""

from __future__ import annotations

from .._turns.call_metrics import CallMetrics
from .._turns.cost import CostBreakdown, Service, Services
from .._turns.prices import LongContext, Price, PriceChange
from .bus import EventBus, PatterEventType
from .call_log import CallLog, CallRecord, JsonLinesCallLog, MemoryCallLog, RecordedWords
from .pricing import PRICES_AS_OF, shipped_prices
from .tracing import init_tracing

__all__ = [
    "PRICES_AS_OF",
    "CallLog",
    "CallMetrics",
    "CallRecord",
    "CostBreakdown",
    "EventBus",
    "JsonLinesCallLog",
    "LongContext",
    "MemoryCallLog",
    "PatterEventType",
    "Price",
    "PriceChange",
    "RecordedWords",
    "Service",
    "Services",
    "init_tracing",
    "shipped_prices",
]
