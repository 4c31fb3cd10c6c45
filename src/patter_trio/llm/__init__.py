"""Language models; each module's ``LLM`` is the class of the flat name."""

from __future__ import annotations

from .anthropic import AnthropicLLM
from .cerebras import CerebrasLLM
from .custom import CustomLLM
from .fallback import FallbackLLMProvider
from .google import GoogleLLM
from .groq import GroqLLM
from .hermes import HermesLLM
from .openai import OpenAILLM, OpenAILLMProvider
from .openai_compatible import OpenAICompatibleLLM, OpenAICompatibleLLMProvider
from .openclaw import OpenClawLLM

__all__ = [
    "AnthropicLLM",
    "CerebrasLLM",
    "CustomLLM",
    "FallbackLLMProvider",
    "GoogleLLM",
    "GroqLLM",
    "HermesLLM",
    "OpenAICompatibleLLM",
    "OpenAICompatibleLLMProvider",
    "OpenAILLM",
    "OpenAILLMProvider",
    "OpenClawLLM",
]
