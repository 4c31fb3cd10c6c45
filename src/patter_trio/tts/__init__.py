"""Voices; importing this loads no vendor's library and no model."""

from __future__ import annotations

from .cartesia import CartesiaTTS
from .deepgram import DeepgramTTS
from .elevenlabs import ElevenLabsRestTTS, ElevenLabsTTS
from .fallback import FallbackTTSProvider
from .hibari import HibariTTS
from .inworld import InworldTTS
from .lmnt import LMNTTTS
from .nano import NanoTTS
from .openai import OpenAITTS

__all__ = [
    "LMNTTTS",
    "CartesiaTTS",
    "DeepgramTTS",
    "ElevenLabsRestTTS",
    "ElevenLabsTTS",
    "FallbackTTSProvider",
    "HibariTTS",
    "InworldTTS",
    "NanoTTS",
    "OpenAITTS",
]
