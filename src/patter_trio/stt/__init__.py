"""Recognisers; importing this loads no vendor's library and no model."""

from __future__ import annotations

from .assemblyai import AssemblyAISTT
from .cartesia import CartesiaSTT, CartesiaTurnsSTT
from .deepgram import DeepgramSTT
from .deepgram_flux import DeepgramFluxSTT
from .elevenlabs import ElevenLabsSTT
from .fallback import FallbackSTTProvider
from .moonshine import MoonshineSTT
from .openai_transcribe import OpenAITranscribeSTT
from .soniox import SonioxSTT
from .speechmatics import SpeechmaticsSTT
from .telnyx import TelnyxSTT
from .whisper import WhisperSTT

__all__ = [
    "AssemblyAISTT",
    "CartesiaSTT",
    "CartesiaTurnsSTT",
    "DeepgramFluxSTT",
    "DeepgramSTT",
    "ElevenLabsSTT",
    "FallbackSTTProvider",
    "MoonshineSTT",
    "OpenAITranscribeSTT",
    "SonioxSTT",
    "SpeechmaticsSTT",
    "TelnyxSTT",
    "WhisperSTT",
]
