"""Cerebras' Chat Completions over plain HTTP; its SDK's constructor blocks.

A request may be packed: as MessagePack, and compressed. Compression does nearly all of the work on a long
prompt, and below a few KiB there is nothing to win.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import msgspec

from ._checks import flag, whole
from ._line import encode_json
from ._models import CEREBRAS, Retired
from ._provider import OpenAILLMProvider

__all__ = ["LLM", "CerebrasLLM"]

_GZIP_LEVEL = 5
_GZIP_FROM = 4096

_SERVED = "gpt-oss-120b, gemma-4-31b, qwen-3.8-27b"


@attrs.frozen(kw_only=True)
class CerebrasLLM(OpenAILLMProvider):
    """An open model on Cerebras' hardware.

    All settings of :class:`~patter_trio.OpenAILLMProvider`; ``api_key`` comes from ``CEREBRAS_API_KEY`` when
    left out. A request that fails before its answer begins is made once more (``max_retries``), after the
    time that the rate limit's headers name.

    Args:
        gzip_compression: compress requests of 4 KiB and more.
        msgpack_encoding: write requests as MessagePack.

    Raises:
        PatterConfigError: there is no key, or a setting cannot be right.
    """

    provider_name: ClassVar[str] = "cerebras"
    key_names: ClassVar[tuple[str, ...]] = ("CEREBRAS_API_KEY",)
    retired: ClassVar[Mapping[str, Retired]] = CEREBRAS
    stream_options: ClassVar[Mapping[str, Any]] = {"include_usage": True}
    warm_path: ClassVar[str] = "/tcp_warming"

    model: str = attrs.field(default="gpt-oss-120b")
    base_url: str = attrs.field(default="https://api.cerebras.ai/v1")
    max_retries: int = attrs.field(default=1, validator=whole(0))
    gzip_compression: bool = attrs.field(default=True, validator=flag)
    msgpack_encoding: bool = attrs.field(default=True, validator=flag)

    @property
    def model_hint(self) -> str:
        """What to do when the account does not have the model."""
        return (
            f"GET {self.url}/models lists the models of this account's tier; Cerebras serves {_SERVED}, "
            "some on paid tiers only"
        )

    def _encode(self, body: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
        if self.msgpack_encoding:
            headers, content = {"Content-Type": "application/vnd.msgpack"}, msgspec.msgpack.encode(body)
        else:
            headers, content = encode_json(body)
        if self.gzip_compression and len(content) >= _GZIP_FROM:
            headers["Content-Encoding"] = "gzip"
            # A stamp of the time would make equal requests unequal.
            content = gzip.compress(content, _GZIP_LEVEL, mtime=0)
        return headers, content


LLM = CerebrasLLM
