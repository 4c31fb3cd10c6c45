"""What is known of the models that people name: which are shut, and how little one can be made to think."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping

import attrs

__all__ = [
    "ANTHROPIC",
    "CEREBRAS",
    "GOOGLE",
    "GROQ",
    "OPENAI",
    "QUICK_EFFORT",
    "Retired",
    "retirement",
    "warn_if_retired",
]

_log = logging.getLogger("patter_trio.llm")


@attrs.frozen
class Retired:
    """A model that is shut, or will be, on ``shutdown`` (a date; empty: long ago), and its successor.

    A table of them is read by name; a name that ends in ``*`` stands for all that begin like it.
    """

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

ANTHROPIC: Mapping[str, Retired] = {
    "claude-3*": Retired("", "claude-haiku-5-5"),
    **dict.fromkeys(
        ("claude-sonnet-4-0", "claude-sonnet-4-2025*"), Retired("2026-06-15", "claude-sonnet-5-5")
    ),
    **dict.fromkeys(("claude-opus-4-0", "claude-opus-4-2025*"), Retired("2026-06-15", "claude-opus-5-5")),
    "claude-sonnet-4-5*": Retired("2026-11-30", "claude-sonnet-5-5"),
}
GOOGLE: Mapping[str, Retired] = dict.fromkeys(("gemini-1.*", "gemini-2.0*"), Retired("", "gemini-3.8-flash"))

# A caller hears thinking as silence: the least effort that these models are documented to accept.
QUICK_EFFORT: Mapping[str, str] = {
    "gpt-6-luna": "none",
    "openai/gpt-oss-120b": "low",
    "openai/gpt-oss-20b": "low",
    "gpt-oss-120b": "low",
}


def retirement(model: str, known: Mapping[str, Retired]) -> Retired | None:
    """What a table says of a model."""
    if model in known:
        return known[model]
    beginnings = (name for name in known if name.endswith("*"))
    return next((known[name] for name in beginnings if model.startswith(name[:-1])), None)


@functools.cache
def _warn(provider: str, model: str, retired: Retired) -> None:
    _log.warning(
        "%s shuts %s on %s; its successor is %s: pass model=%r"
        if retired.shutdown
        else "%s has shut %s (%s); its successor is %s: pass model=%r",
        provider,
        model,
        retired.shutdown or "long ago",
        retired.successor,
        retired.successor,
    )


def warn_if_retired(provider: str, model: str, known: Mapping[str, Retired]) -> None:
    """Says once per process that a model is shut or will be; it is asked for all the same.

    A number that worked last month should say why it is silent; and a gateway may serve the model still.
    """
    retired = retirement(model, known)
    if retired is not None:
        _warn(provider, model, retired)
