"""Words of a text, and texts that mean the same."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["normalise", "split_words"]

_NOT_WORD = re.compile(r"[^\w\s]+")


def split_words(text: str) -> list[str]:
    """The words with the punctuation that clings to them."""
    return text.split()


def normalise(text: str) -> str:
    """The text for comparing: case, punctuation, width and white space folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_NOT_WORD.sub(" ", folded.replace("'", "").replace("’", "")).split())
