"""Leaves out the beginning of a text that was told before."""

from __future__ import annotations

from .words import normalise, split_words

__all__ = ["Repetition"]


class Repetition:
    """A stream of text without its first words, if these are the words of ``told``; else all of it."""

    def __init__(self, told: str) -> None:
        self._told = split_words(told)
        self._held = ""

    def feed(self, text: str) -> str:
        """Takes text; returns what of it is new, nothing while that is not decided."""
        if not self._told:
            return text
        self._held += text
        # The last word may still grow.
        if len(split_words(self._held)) <= len(self._told):
            return ""
        return self.flush()

    def flush(self) -> str:
        """Decides on what is there: the text is over, or long enough."""
        held, told, self._held, self._told = self._held, self._told, "", []
        words = split_words(held)
        same = normalise(" ".join(words[: len(told)])) == normalise(" ".join(told))
        if not told or not same:
            return held
        trailing = " " if held[-1:].isspace() else ""
        return " ".join(words[len(told) :]) + trailing
