"""Groq's Chat Completions, through the ``groq`` package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from ._models import GROQ, Retired
from ._sdk import SdkProvider

__all__ = ["LLM", "GroqLLM"]


@attrs.frozen(kw_only=True)
class GroqLLM(SdkProvider):
    """An open model on Groq's hardware.

    All settings of :class:`~patter_trio.OpenAILLMProvider`; ``api_key`` comes from ``GROQ_API_KEY`` when left
    out. The default model reasons as little as it can: ``reasoning_effort=`` changes that.

    Args:
        client: a ready ``groq.AsyncGroq`` client to use, with its own key, address and timeouts; it is not
            closed.

    Raises:
        PatterConfigError: there is no key, or a setting cannot be right.
        MissingExtraError: opened where the ``groq`` package is not installed.
    """

    provider_name: ClassVar[str] = "groq"
    key_names: ClassVar[tuple[str, ...]] = ("GROQ_API_KEY",)
    retired: ClassVar[Mapping[str, Retired]] = GROQ
    stream_options: ClassVar[Mapping[str, Any]] = {"include_usage": True}
    sdk_name: ClassVar[str] = "groq"
    client_class: ClassVar[str] = "AsyncGroq"
    http_name: ClassVar[str] = "httpx"
    client_prefix: ClassVar[str] = "/openai/v1"

    model: str = attrs.field(default="openai/gpt-oss-120b")
    base_url: str = attrs.field(default="https://api.groq.com/openai/v1")


LLM = GroqLLM
