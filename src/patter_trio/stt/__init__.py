"""Recognisers; importing this loads no vendor's library and no model."""

from __future__ import annotations

from .deepgram import DeepgramSTT
from .moonshine import MoonshineSTT

__all__ = ["DeepgramSTT", "MoonshineSTT"]
