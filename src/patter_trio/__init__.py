"""patter_trio puts an AI agent on a real phone number, on trio.

Three objects: a :class:`Patter` (the number and its carrier), an :class:`Agent` (what it is and how it
hears, thinks and speaks), and a session that answers the phone::

    patter = Patter(carrier=Twilio(), phone_number="+15550001234", webhook_url="https://example.com")
    agent = patter.agent(system_prompt="You answer for a bakery.", stt=…, llm=…, tts=…)
    trio.run(patter.serve, agent)

Importing this loads no vendor's library and no model.
"""

from __future__ import annotations

from ._audio.background import AudioConfig, BackgroundAudioPlayer
from ._audio.clips import BuiltinAudioClip
from ._audio.inbound import AgcConfig
from ._audio.mix import mix_pcm
from ._call.agent import Agent
from ._call.call import Call, CallResult
from ._call.control import CallControl
from ._call.guardrails import Guardrail, guardrail
from ._call.hooks import HookContext, PatterDeprecationWarning, PipelineHooks
from ._call.preempt import PreemptionCounts
from ._call.speech_edges import EventStream, SpeechEventCallback
from ._outgoing import MachineDetectionResult, OutgoingCall
from ._patter import Patter, serve, session
from ._server.limits import PortLimits
from ._session import Session
from ._settings import SessionSettings
from ._text.sentences import SentenceChunker
from ._text.skills import Skill
from ._text.speakable import filter_emoji, filter_for_tts, filter_markdown
from ._turns.cancelled import CancelReport
from ._turns.compaction import CompactionConfig
from ._turns.history import HistoryEntry, UsedTool
from ._turns.latency import LatencyBreakdown, TurnMetrics
from ._turns.strategies import BackchannelStrategy, MinWordsStrategy
from ._turns.usage import Usage
from .carriers import Plivo, Telnyx, Twilio
from .engines import OpenAIRealtime, OpenAIRealtime2
from .errors import (
    AllProvidersFailedError,
    AuthenticationError,
    CapacityError,
    ErrorCode,
    MissingExtraError,
    ModelTimeoutError,
    PartialStreamError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    ProviderError,
    ProvisionError,
    RateLimitError,
    RemoteProtocolError,
)
from .events import AudioFormat, CallInfo, LLMChunk, SpokenAudio, Transcript, TurnWindow, Word
from .llm import (
    AnthropicLLM,
    CerebrasLLM,
    CustomLLM,
    FallbackLLMProvider,
    GoogleLLM,
    GroqLLM,
    HermesLLM,
    OpenAICompatibleLLM,
    OpenAICompatibleLLMProvider,
    OpenAILLM,
    OpenAILLMProvider,
    OpenClawLLM,
)
from .observability import (
    CallLog,
    CallMetrics,
    CallRecord,
    CostBreakdown,
    EventBus,
    JsonLinesCallLog,
    MemoryCallLog,
    PatterEventType,
    Price,
    init_tracing,
)
from .stt import (
    AssemblyAISTT,
    CartesiaSTT,
    CartesiaTurnsSTT,
    DeepgramFluxSTT,
    DeepgramSTT,
    ElevenLabsSTT,
    FallbackSTTProvider,
    MoonshineSTT,
    OpenAITranscribeSTT,
    SonioxSTT,
    SpeechmaticsSTT,
    TelnyxSTT,
    WhisperSTT,
)
from .telephony import Refusal
from .tools import (
    ConsultConfig,
    DefaultToolExecutor,
    MCPServer,
    Reassurance,
    Tool,
    ToolCall,
    ToolContext,
    ToolExecutor,
    ToolOutcome,
    ToolWebhooks,
    define_tool,
    openclaw_post_call_notifier,
    tool,
)
from .tts import (
    LMNTTTS,
    CartesiaTTS,
    DeepgramTTS,
    ElevenLabsRestTTS,
    ElevenLabsTTS,
    FallbackTTSProvider,
    HibariTTS,
    InworldTTS,
    NanoTTS,
    OpenAITTS,
)
from .tunnels import CloudflareTunnel, Ngrok, Static
from .turn_detection import SmartTurn
from .vad import EnergyVAD, SileroVAD

__version__ = "0.1.0"

__all__ = [
    "LMNTTTS",
    "AgcConfig",
    "Agent",
    "AllProvidersFailedError",
    "AnthropicLLM",
    "AssemblyAISTT",
    "AudioConfig",
    "AudioFormat",
    "AuthenticationError",
    "BackchannelStrategy",
    "BackgroundAudioPlayer",
    "BuiltinAudioClip",
    "Call",
    "CallControl",
    "CallInfo",
    "CallLog",
    "CallMetrics",
    "CallRecord",
    "CallResult",
    "CancelReport",
    "CapacityError",
    "CartesiaSTT",
    "CartesiaTTS",
    "CartesiaTurnsSTT",
    "CerebrasLLM",
    "CloudflareTunnel",
    "CompactionConfig",
    "ConsultConfig",
    "CostBreakdown",
    "CustomLLM",
    "DeepgramFluxSTT",
    "DeepgramSTT",
    "DeepgramTTS",
    "DefaultToolExecutor",
    "ElevenLabsRestTTS",
    "ElevenLabsSTT",
    "ElevenLabsTTS",
    "EnergyVAD",
    "ErrorCode",
    "EventBus",
    "EventStream",
    "FallbackLLMProvider",
    "FallbackSTTProvider",
    "FallbackTTSProvider",
    "GoogleLLM",
    "GroqLLM",
    "Guardrail",
    "HermesLLM",
    "HibariTTS",
    "HistoryEntry",
    "HookContext",
    "InworldTTS",
    "JsonLinesCallLog",
    "LLMChunk",
    "LatencyBreakdown",
    "MCPServer",
    "MachineDetectionResult",
    "MemoryCallLog",
    "MinWordsStrategy",
    "MissingExtraError",
    "ModelTimeoutError",
    "MoonshineSTT",
    "NanoTTS",
    "Ngrok",
    "OpenAICompatibleLLM",
    "OpenAICompatibleLLMProvider",
    "OpenAILLM",
    "OpenAILLMProvider",
    "OpenAIRealtime",
    "OpenAIRealtime2",
    "OpenAITTS",
    "OpenAITranscribeSTT",
    "OpenClawLLM",
    "OutgoingCall",
    "PartialStreamError",
    "Patter",
    "PatterConfigError",
    "PatterConnectionError",
    "PatterDeprecationWarning",
    "PatterError",
    "PatterEventType",
    "PipelineHooks",
    "Plivo",
    "PortLimits",
    "PreemptionCounts",
    "Price",
    "ProviderError",
    "ProvisionError",
    "RateLimitError",
    "Reassurance",
    "Refusal",
    "RemoteProtocolError",
    "SentenceChunker",
    "Session",
    "SessionSettings",
    "SileroVAD",
    "Skill",
    "SmartTurn",
    "SonioxSTT",
    "SpeechEventCallback",
    "SpeechmaticsSTT",
    "SpokenAudio",
    "Static",
    "Telnyx",
    "TelnyxSTT",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolExecutor",
    "ToolOutcome",
    "ToolWebhooks",
    "Transcript",
    "TurnMetrics",
    "TurnWindow",
    "Twilio",
    "Usage",
    "UsedTool",
    "WhisperSTT",
    "Word",
    "define_tool",
    "filter_emoji",
    "filter_for_tts",
    "filter_markdown",
    "guardrail",
    "init_tracing",
    "mix_pcm",
    "openclaw_post_call_notifier",
    "serve",
    "session",
    "tool",
]
