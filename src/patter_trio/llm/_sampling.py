"""The parameters of a request that shape an answer; every Chat Completions provider takes and sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ..errors import PatterConfigError
from ._checks import flag, mapping_or, number, optional, texts, whole

__all__ = ["Sampling"]

# An endpoint refuses these when a request has no tools.
_WITH_TOOLS_ONLY = ("tool_choice", "parallel_tool_calls")


@attrs.frozen(kw_only=True)
class Sampling:
    """What is not None is sent under its own name; which of them a model takes is the endpoint's affair."""

    temperature: float | None = attrs.field(default=None, validator=optional(number(0, 2)))
    top_p: float | None = attrs.field(default=None, validator=optional(number(0, 1)))
    max_tokens: int | None = attrs.field(default=None, validator=optional(whole(1)))
    max_completion_tokens: int | None = attrs.field(default=None, validator=optional(whole(1)))
    seed: int | None = attrs.field(default=None, validator=optional(whole(-(2**63))))
    stop: str | Sequence[str] | None = attrs.field(default=None, validator=optional(texts))
    frequency_penalty: float | None = attrs.field(default=None, validator=optional(number(-2, 2)))
    presence_penalty: float | None = attrs.field(default=None, validator=optional(number(-2, 2)))
    logit_bias: Mapping[str, float] | None = attrs.field(default=None, validator=optional(mapping_or()))
    response_format: Mapping[str, Any] | None = attrs.field(default=None, validator=optional(mapping_or()))
    tool_choice: str | Mapping[str, Any] | None = attrs.field(
        default=None, validator=optional(mapping_or(str))
    )
    parallel_tool_calls: bool | None = attrs.field(default=None, validator=optional(flag))
    reasoning_effort: str | None = attrs.field(default=None, validator=optional(texts))
    verbosity: str | None = attrs.field(default=None, validator=optional(texts))
    service_tier: str | None = attrs.field(default=None, validator=optional(texts))
    prompt_cache_key: str | None = attrs.field(default=None, validator=optional(texts))
    user: str | None = attrs.field(default=None, validator=optional(texts))

    def sampling_fields(self, *, with_tools: bool) -> dict[str, Any]:
        """The fields of a request."""
        fields = {}
        for name in SAMPLING_NAMES:
            value = getattr(self, name)
            if value is not None and (with_tools or name not in _WITH_TOOLS_ONLY):
                fields[name] = value
        return fields

    def check_sampling(self) -> None:
        """Raises PatterConfigError when two of them contradict each other."""
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise PatterConfigError(
                "max_tokens= and max_completion_tokens= are two names of one limit",
                hint="keep max_completion_tokens=",
            )


SAMPLING_NAMES: tuple[str, ...] = tuple(field.name for field in attrs.fields(Sampling))
