"""What people see of running calls: subscriptions, prices, metrics pages, traces and records."""

from __future__ import annotations

from .bus import EventBus, PatterEventType
from .pricing import PRICES_AS_OF, shipped_prices
from .tracing import init_tracing

__all__ = ["PRICES_AS_OF", "EventBus", "PatterEventType", "init_tracing", "shipped_prices"]
