"""What people see of running calls: subscriptions, prices, metrics pages, traces and records."""

from __future__ import annotations

from .bus import EventBus, PatterEventType
from .call_log import CallLog, CallRecord, JsonLinesCallLog, MemoryCallLog, RecordedWords
from .pricing import PRICES_AS_OF, shipped_prices
from .tracing import init_tracing

__all__ = [
    "PRICES_AS_OF",
    "CallLog",
    "CallRecord",
    "EventBus",
    "JsonLinesCallLog",
    "MemoryCallLog",
    "PatterEventType",
    "RecordedWords",
    "init_tracing",
    "shipped_prices",
]
