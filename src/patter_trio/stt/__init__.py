"""Recognisers; importing this loads no vendor's library and no model."""

from __future__ import annotations

from .assemblyai import AssemblyAISTT
from .cartesia import CartesiaSTT, CartesiaTurnsSTT
from .deepgram import DeepgramSTT
from .deepgram_flux import DeepgramFluxSTT
from .moonshine import MoonshineSTT
from .soniox import SonioxSTT

__all__ = [
    "AssemblyAISTT",
    "CartesiaSTT",
    "CartesiaTurnsSTT",
    "DeepgramFluxSTT",
    "DeepgramSTT",
    "MoonshineSTT",
    "SonioxSTT",
]
