"""Providers that follow a script: deterministic, without network, threads or wall clock.

They fit the Protocols of :mod:`patter_trio.abc`, pass :mod:`patter_trio.testing.checks`, and keep a record of
what was asked of them.
"""

from .llm import LLMRequest, Reply, ScriptedLLM, ToolUse
from .stt import ScriptedSTT, STTRecord
from .tts import ScriptedTTS, TTSRecord
from .turn import ScriptedTurnDetector, TurnDetectorRecord
from .vad import ScriptedVAD

__all__ = [
    "LLMRequest",
    "Reply",
    "STTRecord",
    "ScriptedLLM",
    "ScriptedSTT",
    "ScriptedTTS",
    "ScriptedTurnDetector",
    "ScriptedVAD",
    "TTSRecord",
    "ToolUse",
    "TurnDetectorRecord",
]
