"""The OpenClaw gateway as the model of a call."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import attrs

from ..errors import PatterConfigError
from ._checks import optional, seconds, texts
from .openai_compatible import OpenAICompatibleLLM

__all__ = ["LLM", "OpenClawLLM"]

_TARGET = re.compile(r"[A-Za-z0-9._:/-]+")


def _target(agent: Any) -> str:
    if not isinstance(agent, str) or not _TARGET.fullmatch(agent):
        raise PatterConfigError(
            f"model={agent!r} is no agent of OpenClaw", hint="letters, digits and . _ : / - only"
        )
    return agent if "/" in agent or ":" in agent else f"openclaw/{agent}"


@attrs.frozen(kw_only=True)
class OpenClawLLM(OpenAICompatibleLLM):
    """An agent behind an OpenClaw gateway on this machine, or at ``base_url``.

    The gateway makes the turns of a call one session by ``user`` (``patter-call-<call id>``); the header
    ``x-openclaw-session-key`` carries the bare call id. ``api_key`` comes from ``OPENCLAW_API_KEY`` when left
    out. An agent may run tools before its first word: ``timeout`` is 120 s.

    Args:
        model: the agent: ``front-desk`` stands for ``openclaw/front-desk``; a name with ``/`` or ``:`` is
            sent as it is.

    Raises:
        PatterConfigError: a setting cannot be right.
    """

    provider_name: ClassVar[str] = "openclaw"
    key_names: ClassVar[tuple[str, ...]] = ("OPENCLAW_API_KEY",)

    base_url: str = attrs.field(default="http://127.0.0.1:18789/v1")
    model: str = attrs.field(default="", converter=_target)
    timeout: float = attrs.field(default=120.0, validator=seconds)
    session_user_prefix: str | None = attrs.field(default="patter-call-", validator=optional(texts))
    session_id_header: str | None = attrs.field(default="x-openclaw-session-key", validator=optional(texts))


LLM = OpenClawLLM
