"""The Hermes agent gateway as the model of a call."""

from __future__ import annotations

import os
from typing import ClassVar

import attrs

from ._checks import optional, seconds, texts
from .openai_compatible import OpenAICompatibleLLM

__all__ = ["LLM", "HermesLLM"]


@attrs.frozen(kw_only=True)
class HermesLLM(OpenAICompatibleLLM):
    """A Hermes agent on this machine, or at ``base_url``.

    The gateway is stateless: the header ``X-Hermes-Session-Id: patter-call-<call id>`` is what makes the
    turns of a call one session; ``user`` is for its logs. ``session_key=`` is sent as
    ``X-Hermes-Session-Key``. ``api_key`` comes from ``API_SERVER_KEY``, ``model`` from
    ``API_SERVER_MODEL_NAME``, when left out. An agent may run tools before its first word: ``timeout`` is
    120 s.

    Raises:
        PatterConfigError: a setting cannot be right.
    """

    provider_name: ClassVar[str] = "hermes"
    key_names: ClassVar[tuple[str, ...]] = ("API_SERVER_KEY",)

    base_url: str = attrs.field(default="http://127.0.0.1:8642/v1")
    model: str = attrs.field(factory=lambda: os.environ.get("API_SERVER_MODEL_NAME") or "hermes-agent")
    timeout: float = attrs.field(default=120.0, validator=seconds)
    session_user_prefix: str | None = attrs.field(default="patter-call-", validator=optional(texts))
    session_id_header: str | None = attrs.field(default="X-Hermes-Session-Id", validator=optional(texts))
    session_id_prefix: str = "patter-call-"
    session_key_header: str | None = attrs.field(default="X-Hermes-Session-Key", validator=optional(texts))


LLM = HermesLLM
