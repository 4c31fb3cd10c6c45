"""Engines: ears, model and voice in one. ``from patter_trio.engines import openai`` has ``openai.Realtime``."""

from __future__ import annotations

from .openai import OpenAIRealtime, OpenAIRealtime2

__all__ = ["OpenAIRealtime", "OpenAIRealtime2"]
