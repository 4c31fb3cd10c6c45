"""Sentences out of a stream of text, whole enough for a voice to give them their melody."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["SentenceChunker"]

# What may stand between the end of a sentence and the white space behind it; the last four are Markdown's.
_CLOSERS = "\"'”’»›)]}」』）】*_~`"

# The Latin marks end a sentence only before white space (3.14, example.com). Those of other scripts end it
# where they stand: CJK, Devanagari, Arabic and Urdu, Armenian, Ethiopic, Khmer, Burmese, Tibetan.
_LATIN = ".!?…"
_OTHER = "。．！？｡।॥؟۔։።፧។៕။།༎"
_CANDIDATE = re.compile(
    rf"(?P<end>[{_LATIN}{_OTHER}]+)(?P<closers>[{re.escape(_CLOSERS)}]*)|(?P<line>[^\S\n]*\n\s*)"
    r"|(?P<soft>[,،](?=\s)|，|—+|[^\S\n]–(?=\s))"
)
_LIST_MARK = re.compile(r"(?:[-*+•]|#{1,6}|\d{1,3}[.)])\s")
_MAYBE_LIST_MARK = re.compile(r"[-*+•]|#{1,6}|\d{1,3}[.)]?")
_LAST_WORD = re.compile(r"[^\s(\[{\"'“‘«„*_]+$")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)*[^\W\d_]|(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")

# Written with a full stop in front of a name.
_TITLES = {
    "de": "hr fr frl dipl ing mag",
    "en": "ms st hon rev gen col capt lt sgt gov sen rep pres mt messrs vs",
    "es": "sr sra srta dra d dña lic arq av avda ud uds",
    "fr": "mm mme mmes mlle mlles me pr av bd",
    "it": "sig sigg sig.ra sig.na dott dott.ssa prof.ssa avv ing geom rag arch on spett",
    "pt": "sr sra srta dra exmo exma eng enga av",
}
_EVERYWHERE = "dr mr mrs prof"

# Written in front of a number, words of their own otherwise ("I am afraid not. No.").
_BEFORE_NUMBER = re.compile("nos?|nr|núm|num|nº|pp|pagg?|págs?|figs?|vol|art|ext|tel|cap|rm|apt")

# They stand at the end of a sentence as often as in it: a capital behind them decides.
_SUFFIX = re.compile(r"inc|ltd|corp|co|jr|sr|bros|dept|est|approx|etc|ecc|usw|bzw|ca|ggf|evtl|inkl|[ap]\.m")

# A full stop makes an ordinal of a number: "am 3. Mai".
_ORDINAL_STOP = frozenset({"cs", "da", "de", "et", "fi", "hr", "hu", "is", "nb", "nn", "no", "sk", "sl"})

# Some 25 s of speech: a text without punctuation is cut at a space sooner than said all at once.
_LONGEST = 400
_FIRST_CLAUSE = 40


class SentenceChunker:
    """Collects a model's deltas and gives out whole sentences; how the text was cut never changes them.

    Where a rule needs the next character it waits for it. Only white space between sentences is lost.

    Args:
        min_chars: a shorter sentence is given out together with the next one; wide characters count twice.
        language: BCP 47 tag; says which titles are abbreviated and whether a stop makes an ordinal number.
        aggressive_first_flush: cut the first sentence at a comma or dash once it has 40 characters; never in
            Italian.
    """

    def __init__(
        self, min_chars: int = 20, language: str = "en", aggressive_first_flush: bool = False
    ) -> None:
        language = language.lower().replace("_", "-").partition("-")[0]
        self._min_chars = min_chars
        self._titles = frozenset(f"{_EVERYWHERE} {_TITLES.get(language, _TITLES['en'])}".split())
        self._ordinals = language in _ORDINAL_STOP
        # Italian prices and numbers are too full of commas for that.
        self._clauses = aggressive_first_flush and language != "it"
        self._text = ""

    def push(self, text: str) -> list[str]:
        """Takes the next piece of text; returns the sentences that it completes."""
        self._text += text
        return self._cut(closing=False)

    def flush(self) -> list[str]:
        """Ends the text; returns what is left of it."""
        sentences = self._cut(closing=True)
        rest, self._text = self._text.strip(), ""
        return [*sentences, rest] if rest else sentences

    def _cut(self, *, closing: bool) -> list[str]:
        sentences: list[str] = []
        while True:
            self._text = self._text.lstrip()
            end = self._find_end(closing)
            if not end:
                return sentences
            sentences.append(self._text[:end].rstrip())
            self._text = self._text[end:]
            self._clauses = False

    def _find_end(self, closing: bool) -> int:
        """Where the first sentence ends; 0 while that is open."""
        for match in _CANDIDATE.finditer(self._text, 0, _LONGEST):
            # The bounds of the search must not look like the end of the text.
            match = _CANDIDATE.match(self._text, match.start()) or match
            if match.end() == len(self._text) and not closing:
                return 0
            verdict = self._judge(match)
            if verdict is None and not closing:
                return 0
            if verdict:
                return match.end()
        if len(self._text) <= _LONGEST:
            return 0
        return self._text.rfind(" ", 0, _LONGEST) + 1 or _LONGEST

    def _judge(self, match: re.Match[str]) -> bool | None:
        """Whether the sentence ends there; ``None`` if the text that follows decides and is not there yet."""
        text, end = self._text, match.end()
        if match["line"]:
            return _ends_line(text, match, long_enough=_width(text[:end]) >= self._min_chars)
        head = text[:end]
        if match["soft"]:
            return self._clauses and _width(head) >= _FIRST_CLAUSE and _is_clause(text[: match.start()])
        if _width(head) < self._min_chars:
            return False
        marks = match["end"]
        if marks[-1] in _OTHER:
            return True
        if end < len(text) and not text[end].isspace():
            return False
        after = text[end:].lstrip()[:1]
        quoted = match["closers"].strip("*_~`")
        if marks == "." and not quoted:
            return self._judge_stop(match.start(), after)
        if quoted or marks == "…" or marks.startswith(".."):
            # "Really?" he asked. Well… perhaps.
            return None if not after else not after.islower()
        return True

    def _judge_stop(self, start: int, after: str) -> bool | None:
        found = _LAST_WORD.search(self._text, 0, start)
        if found is None:
            return True
        word = found[0].lower()
        if word.isdecimal() and (self._ordinals or not self._text[: found.start()].rstrip(" \t*_")):
            return False
        if word in self._titles:
            return False
        if _BEFORE_NUMBER.fullmatch(word):
            return None if not after else not after.isdecimal()
        if _SUFFIX.fullmatch(word):
            return None if not after else after.isupper()
        return not _DOTTED.fullmatch(word)


def _ends_line(text: str, line: re.Match[str], *, long_enough: bool) -> bool | None:
    """Whether a line's end is meant: before a paragraph, a list item, a heading or a line of its own.

    A line that goes on in lower case was only wrapped.
    """
    if line[0].count("\n") > 1:
        return True
    after = line.end()
    if _LIST_MARK.match(text, after):
        return True
    if after == len(text) or _MAYBE_LIST_MARK.fullmatch(text, after):
        return None
    return long_enough and not text[after].islower()


def _is_clause(text: str) -> bool:
    """Whether a voice may pause here: not inside brackets, quotes, numbers or behind an ellipsis."""
    if text[-1:].isdecimal() or text[-1:] in (".", "…") or text.count('"') % 2:
        return False
    return all(text.count(pair[0]) <= text.count(pair[1]) for pair in ("()", "[]", "{}", "“”", "«»", "「」"))


def _width(text: str) -> int:
    """Characters, those of double width counted twice: they say as much as two letters."""
    text = text.strip()
    return len(text) if text.isascii() else sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
