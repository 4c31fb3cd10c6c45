"""OpenAI's Chat Completions, through the ``openai`` package."""

from __future__ import annotations

from typing import ClassVar

import attrs

from ._provider import OpenAILLMProvider
from ._sdk import SdkProvider

__all__ = ["LLM", "OpenAILLM", "OpenAILLMProvider"]


@attrs.frozen(kw_only=True)
class OpenAILLM(SdkProvider):
    """A model of OpenAI.

    All settings of :class:`OpenAILLMProvider`; ``api_key`` comes from ``OPENAI_API_KEY`` when left out. The
    default model is asked not to reason, which a caller would hear as silence: ``reasoning_effort=`` changes
    that. ``max_tokens`` is sent under its newer name, ``max_completion_tokens``.

    Args:
        client: a ready ``openai.AsyncOpenAI`` (or Azure) client to use, with its own key, address and
            timeouts; it is not closed.

    Raises:
        PatterConfigError: there is no key, or a setting cannot be right.
        MissingExtraError: opened where the ``openai`` package is not installed.
    """

    sdk_name: ClassVar[str] = "openai"
    client_class: ClassVar[str] = "AsyncOpenAI"


LLM = OpenAILLM
