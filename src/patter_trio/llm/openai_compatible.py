"""Any endpoint that speaks OpenAI's Chat Completions: vLLM, Ollama, LM Studio, llama.cpp, a gateway.

Runtimes that remember a conversation of their own are told which call it is by up to three signals, each of
its own and none by default: the ``user`` field, a header with the session's id, a header with a memory key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs

from ..errors import PatterConfigError
from ..events import Message
from ._checks import check_header, optional, texts
from ._models import Retired
from ._provider import OpenAILLMProvider

__all__ = ["LLM", "OpenAICompatibleLLM", "OpenAICompatibleLLMProvider"]


@attrs.frozen(kw_only=True)
class OpenAICompatibleLLM(OpenAILLMProvider):
    """A model behind an OpenAI-compatible endpoint.

    All settings of :class:`~patter_trio.OpenAILLMProvider`; ``base_url`` and ``model`` have no default.
    ``api_key`` comes from ``OPENAI_COMPATIBLE_API_KEY`` when left out; ``"EMPTY"`` or none at all sends no
    ``Authorization`` header.

    Args:
        session_user_prefix: sends ``user`` as this and the call's id.
        session_id_header: a header that carries the call's id in each of its requests.
        session_id_prefix: what stands before the id in that header.
        session_key_header: a header that carries ``session_key``.
        session_key: the scope of the runtime's long-term memory, the same for all calls; empty or None sends
            no header. It is a secret.

    Raises:
        PatterConfigError: ``base_url`` or ``model`` is missing, or a setting cannot be right.
    """

    provider_name: ClassVar[str] = "openai_compatible"
    key_names: ClassVar[tuple[str, ...]] = ("OPENAI_COMPATIBLE_API_KEY",)
    key_required: ClassVar[bool] = False
    # A name means what the endpoint's owner says it means.
    retired: ClassVar[Mapping[str, Retired]] = {}
    quick_effort: ClassVar[Mapping[str, str]] = {}
    stream_options: ClassVar[Mapping[str, Any]] = {"include_usage": True}
    renames_max_tokens: ClassVar[bool] = False

    # Whoever leaves them out is told by the checks, as with every other setting.
    base_url: str = attrs.field(default="")
    model: str = attrs.field(default="")
    session_user_prefix: str | None = attrs.field(default=None, validator=optional(texts))
    session_id_header: str | None = attrs.field(default=None, validator=optional(texts))
    session_id_prefix: str = ""
    session_key_header: str | None = attrs.field(default=None, validator=optional(texts))
    session_key: str | None = attrs.field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.session_key and not self.session_key_header:
            raise PatterConfigError("session_key= goes nowhere", hint="pass session_key_header= too")
        if self.session_key is not None:
            check_header("session_key", self.session_key)
        if self.session_id_prefix and not self.session_id_header:
            raise PatterConfigError("session_id_prefix= goes nowhere", hint="pass session_id_header= too")
        if self.session_user_prefix and self.user:
            raise PatterConfigError("user= and session_user_prefix= are both given", hint="keep one of them")

    def request_body(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None, call_id: str | None
    ) -> dict[str, Any]:
        """The body of a request, with the call as ``user`` where that is asked for."""
        body = super().request_body(messages, tools, call_id)
        if self.session_user_prefix and call_id:
            body.setdefault("user", f"{self.session_user_prefix}{call_id}")
        return body

    def request_headers(self, call_id: str | None) -> dict[str, str]:
        """The headers that tell the runtime which call and whose memory it is."""
        headers = {}
        if self.session_id_header and call_id:
            headers[self.session_id_header] = f"{self.session_id_prefix}{call_id}"
        if self.session_key_header and self.session_key:
            headers[self.session_key_header] = self.session_key
        return headers


LLM = OpenAICompatibleLLMProvider = OpenAICompatibleLLM
