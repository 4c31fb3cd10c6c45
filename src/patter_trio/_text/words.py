"""The words of a text, and texts that say the same."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["normalise", "split_words"]

_APOSTROPHE = re.compile(r"(?<=\w)['’ʼ](?=\w)")


def split_words(text: str) -> list[str]:
    """The words, each with the punctuation that clings to it."""
    return text.split()


def normalise(text: str) -> str:
    """The text for comparing transcripts: case, width, punctuation and white space folded away."""
    folded = _APOSTROPHE.sub("", unicodedata.normalize("NFKC", text).casefold())
    # By category, not by \w: the vowel signs of Hindi or Burmese belong to their words.
    return " ".join("".join(" " if unicodedata.category(c)[0] in "PSC" else c for c in folded).split())
