"""Recognisers; importing this loads no vendor's library and no model."""

from __future__ import annotations

from .assemblyai import AssemblyAISTT
from .deepgram import DeepgramSTT
from .deepgram_flux import DeepgramFluxSTT
from .moonshine import MoonshineSTT

__all__ = ["AssemblyAISTT", "DeepgramFluxSTT", "DeepgramSTT", "MoonshineSTT"]
