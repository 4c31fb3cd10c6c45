"""What people see of running calls: subscriptions, prices, metrics pages, traces and records."""

from __future__ import annotations

from .bus import EventBus, PatterEventType
from .pricing import PRICES_AS_OF, shipped_prices

__all__ = ["PRICES_AS_OF", "EventBus", "PatterEventType", "shipped_prices"]
