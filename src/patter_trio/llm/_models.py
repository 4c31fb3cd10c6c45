"""What is known of the models that people name: which are shut, and how little one can be made to think."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping

import attrs

__all__ = ["CEREBRAS", "GROQ", "OPENAI", "QUICK_EFFORT", "Retired", "warn_retired"]

_log = logging.getLogger("patter_trio.llm")


@attrs.frozen
class Retired:
    """A model that is shut, or will be, on ``shutdown`` (a date), and the one its vendor names instead."""

    shutdown: str
    successor: str


OPENAI: Mapping[str, Retired] = {
    **dict.fromkeys(
        ("gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-4.1-mini"), Retired("2027-01-14", "gpt-6-luna")
    ),
    **dict.fromkeys(("gpt-5", "gpt-5-mini", "gpt-5-nano", "o3"), Retired("2026-12-11", "gpt-6-luna")),
    **dict.fromkeys(
        ("gpt-4.1-nano", "o4-mini", "gpt-3.5-turbo", "gpt-4"), Retired("2026-10-23", "gpt-6-luna")
    ),
}
GROQ: Mapping[str, Retired] = dict.fromkeys(
    ("llama-3.3-70b-versatile", "llama-3.1-8b-instant"), Retired("2026-08-16", "openai/gpt-oss-120b")
)
CEREBRAS: Mapping[str, Retired] = {
    **dict.fromkeys(("llama3.1-8b", "qwen-3-235b-a22b-instruct-2507"), Retired("2026-05-27", "gpt-oss-120b")),
    "llama-3.3-70b": Retired("2026-02-16", "gpt-oss-120b"),
}

# A caller hears thinking as silence: the least effort that these models are documented to accept.
QUICK_EFFORT: Mapping[str, str] = {
    "gpt-6-luna": "none",
    "openai/gpt-oss-120b": "low",
    "openai/gpt-oss-20b": "low",
    "gpt-oss-120b": "low",
}


@functools.cache
def warn_retired(provider: str, model: str, retired: Retired) -> None:
    """Says once per process that a model is shut or will be; it is asked for all the same."""
    _log.warning(
        "%s shuts %s on %s; its successor is %s: pass model=%r",
        provider,
        model,
        retired.shutdown,
        retired.successor,
        retired.successor,
    )
