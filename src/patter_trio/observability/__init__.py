"""What people see of running calls: subscriptions, prices, metrics pages, traces and records."""

from __future__ import annotations

from .bus import EventBus, PatterEventType

__all__ = ["EventBus", "PatterEventType"]
