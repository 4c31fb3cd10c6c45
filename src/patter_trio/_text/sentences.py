"""From a model's stream of text to sentences a voice can speak."""

from __future__ import annotations

import re

__all__ = ["SentenceChunker"]

_CLOSERS = "\"'”’»)\\]」』）"

# A Latin full stop ends a sentence only before white space; the full stops of scripts without spaces (CJK,
# Devanagari, Urdu, Armenian, Ethiopic, Khmer, Burmese, Tibetan) end it wherever they stand.
_END = re.compile(
    rf"(?P<latin>[.!?…]+[{_CLOSERS}]*)(?=\s)|[。！？｡।॥۔؟։።។။།]+[{_CLOSERS}]*|(?P<line>\s*\n\s*)"
)
_SOFT = re.compile(r"[,;:](?=\s)|\s[—–](?=\s)")

# Titles and other words that are written with a full stop inside a sentence (en, it, es, de, fr, pt).
_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "rev",
        "hon",
        "st",
        "jr",
        "sr",
        "capt",
        "col",
        "gen",
        "lt",
        "sgt",
        "gov",
        "pres",
        "inc",
        "ltd",
        "corp",
        "co",
        "dept",
        "est",
        "vs",
        "etc",
        "approx",
        "no",
        "nos",
        "fig",
        "vol",
        "pp",
        "ext",
        "tel",
        "eg",
        "ie",
        "cf",
        "al",
        "a.m",
        "p.m",
        "e.g",
        "i.e",
        "sig",
        "sigg",
        "sig.ra",
        "dott",
        "dott.ssa",
        "avv",
        "ing",
        "geom",
        "rag",
        "arch",
        "sra",
        "srta",
        "dña",
        "lic",
        "ud",
        "uds",
        "ej",
        "pág",
        "núm",
        "hr",
        "fr",
        "frau",
        "nr",
        "bzw",
        "usw",
        "z.b",
        "d.h",
        "u.a",
        "ca",
        "evtl",
        "ggf",
        "inkl",
        "str",
        "m",
        "mm",
        "mme",
        "mlle",
        "me",
        "av",
        "bd",
        "env",
        "exa",
        "exmo",
        "exma",
    ]
)
_INITIALS = re.compile(r"(?:[^\W\d_]\.){1,3}")
_LAST_WORD = re.compile(r"([^\s]+)$")

# Of the units that are too long to wait for: a reply without any punctuation is cut at a space.
_LONGEST = 400
_FIRST_FLUSH = 40


class SentenceChunker:
    """Collects deltas and gives whole sentences; how the text was cut into deltas never matters.

    Args:
        min_chars: shorter sentences are spoken together with the next one, for the voice's melody.
        language: BCP 47 tag; Italian never flushes at a comma, which its decimals and prices are full of.
        aggressive_first_flush: give the first clause away at a comma or dash once it has 40 characters.
    """

    def __init__(
        self, min_chars: int = 20, language: str = "en", aggressive_first_flush: bool = False
    ) -> None:
        self._min_chars = min_chars
        self._flush_early = aggressive_first_flush and not language.lower().startswith("it")
        self._text = ""

    def push(self, delta: str) -> list[str]:
        """Takes text; returns the sentences that are complete now."""
        self._text += delta
        sentences: list[str] = []
        while (end := self._boundary()) is not None:
            sentence = self._text[:end].strip()
            self._text = self._text[end:]
            if sentence:
                sentences.append(sentence)
                self._flush_early = False
        return sentences

    def flush(self) -> list[str]:
        """Ends the text: what is left of it, if anything."""
        rest, self._text = self._text.strip(), ""
        return [rest] if rest else []

    def _boundary(self) -> int | None:
        """Where the first sentence ends, once that is certain."""
        text = self._text
        limit = self._first_character() + _LONGEST
        soft = self._soft_boundary()
        for match in _END.finditer(text):
            end = match.end()
            if end > limit or (soft is not None and soft < end):
                break
            if end == len(text):
                # More closers, full stops or line ends may follow.
                return None
            if len(text[:end].strip()) >= self._min_chars and self._ends_sentence(match):
                return end
        if soft is not None:
            return soft
        if len(text) <= limit:
            return None
        space = text.rfind(" ", 0, limit)
        return space + 1 if space > 0 else limit

    def _first_character(self) -> int:
        return len(self._text) - len(self._text.lstrip())

    def _ends_sentence(self, match: re.Match[str]) -> bool:
        if match.group("latin") != ".":
            return True
        before = _LAST_WORD.search(self._text, 0, match.start())
        if before is None:
            return True
        word = before.group(1).lstrip(_CLOSERS + "(“‘«").lower()
        if word in _ABBREVIATIONS or (word.isdigit() and self._starts_line(before.start())):
            return False
        return _INITIALS.fullmatch(f"{word}.") is None

    def _starts_line(self, place: int) -> bool:
        """Whether a number here is the number of a list's item."""
        return self._text[:place].strip() == "" or self._text[:place].rstrip(" ").endswith("\n")

    def _soft_boundary(self) -> int | None:
        if not self._flush_early:
            return None
        for match in _SOFT.finditer(self._text):
            head = self._text[: match.start()]
            if len(head.strip()) >= _FIRST_FLUSH and _balanced(head):
                return match.end()
        return None


def _balanced(text: str) -> bool:
    """Whether no bracket or quotation is open."""
    pairs = (("(", ")"), ("[", "]"), ("“", "”"), ("«", "»"))
    return text.count('"') % 2 == 0 and all(text.count(a) == text.count(b) for a, b in pairs)
