"""Language models; each module's ``LLM`` is the class of the flat name."""

from __future__ import annotations

from .anthropic import AnthropicLLM
from .google import GoogleLLM
from .openai_compatible import OpenAICompatibleLLM

__all__ = ["AnthropicLLM", "GoogleLLM", "OpenAICompatibleLLM"]
