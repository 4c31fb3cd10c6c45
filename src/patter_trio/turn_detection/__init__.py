"""Detectors that judge whether a silent caller has finished; importing this loads no model."""

from __future__ import annotations

from .smart_turn import SmartTurn

__all__ = ["SmartTurn"]
