"""Models on this machine: where their weights are, how they are loaded once, and the threads they run in."""

from __future__ import annotations

from .models import LoadOnce, find_weights, open_onnx, require_package
from .threads import busy, in_thread

__all__ = ["LoadOnce", "busy", "find_weights", "in_thread", "open_onnx", "require_package"]
