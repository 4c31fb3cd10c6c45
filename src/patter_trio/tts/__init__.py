"""Voices; importing this loads no vendor's library and no model."""

from __future__ import annotations

from .hibari import HibariTTS
from .nano import NanoTTS

__all__ = ["HibariTTS", "NanoTTS"]
