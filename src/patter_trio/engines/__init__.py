"""Engines: ears, model and voice in one; ``openai.Realtime`` is the namespaced ``OpenAIRealtime``."""

from __future__ import annotations

from .openai import OpenAIRealtime, OpenAIRealtime2

__all__ = ["OpenAIRealtime", "OpenAIRealtime2"]
