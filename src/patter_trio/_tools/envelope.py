"""What a model reads when a tool was called."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["error_envelope", "result_text"]

# Enough for a model to see what is wrong; a traceback in full is for logs.
_ERROR_CHARS = 500


def error_envelope(error: str, **more: Any) -> str:
    """A failure as JSON; ``fallback`` tells the model to help the caller in another way."""
    return _json({"error": _cut(error, _ERROR_CHARS), "fallback": True, **more})


def result_text(result: Any, most: int) -> str:
    """A result as text: text as it is, anything else as JSON, too much of either cut.

    Raises:
        TypeError: it cannot be written as JSON.
    """
    text = result if isinstance(result, str) else _json(result)
    if len(text) <= most:
        return _sound(text)
    return _json({"result": _cut(text, most), "truncated": True, "characters": len(text)})


def _json(value: Any) -> str:
    return msgspec.json.encode(_sound(value) if isinstance(value, str) else value, enc_hook=_unknown).decode()


def _unknown(value: Any) -> Any:
    raise TypeError(f"a tool cannot give {type(value).__name__} to a model: return text or what JSON has")


def _cut(text: str, most: int) -> str:
    return _sound(text[:most])


def _sound(text: str) -> str:
    """The text without halves of characters, which no JSON may carry."""
    return text.encode("utf-8", "replace").decode()
