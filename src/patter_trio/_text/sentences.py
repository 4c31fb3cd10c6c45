"""Sentences out of a stream of text, whole enough for a voice to give them their melody."""

from __future__ import annotations

import re
import unicodedata

from ..errors import PatterConfigError

__all__ = ["Break", "SentenceChunker"]


class Break:
    """Stands between two pieces of a text: what comes later comes later, so all before it is said now."""


# What may stand between the end of a sentence and the white space behind it; the last four are Markdown's.
_CLOSERS = "\"'”’»›)]}」』）】*_~`"

# The Latin marks end a sentence only before white space (3.14, example.com). Those of other scripts end it
# where they stand: CJK, Devanagari, Arabic and Urdu, Armenian, Ethiopic, Khmer, Burmese, Tibetan.
_LATIN = ".!?…"
_OTHER = "。．！？｡।॥؟۔։።፧។៕။།༎"
# No run is read further than it can matter.
_LOOK = 32
_CANDIDATE = re.compile(
    rf"(?P<end>[{_LATIN}{_OTHER}]{{1,{_LOOK}}})(?P<closers>[{re.escape(_CLOSERS)}]{{0,{_LOOK}}})"
    rf"|(?P<line>\n\s{{0,{_LOOK}}})"
    rf"|(?P<soft>[,،](?=\s)|，|—{{1,{_LOOK}}}|(?<=[^\S\n])–(?=\s))"
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

_QUOTES = "\"'”’»›」』"
_PAIRS = ("()", "[]", "{}", "«»", "‹›", "「」", "『』", "（）")

# Some 25 s of speech: a text without punctuation is cut at a space sooner than said all at once.
_LONGEST = 400
_FIRST_CLAUSE = 40
_WHOLE_WORDS = re.compile(r".*\S(?=\s)", re.DOTALL)

# "25 € and" and "$ 25 million, and" are one breath: a currency so near before the comma keeps it whole.
_CURRENCY_REACH = 8

# More text than this at once is taken in slices, so that the text in hand stays short whatever comes.
_SLICE = 512


class SentenceChunker:
    """Collects a model's deltas and gives out whole sentences, which joined are the text again.

    How the text was cut into deltas never changes them. Where a rule needs the next character it waits for
    it; the white space between two sentences begins the second one.

    Args:
        min_sentence_len: a shorter sentence is given out together with the next one, and alone only at the
            end; wide characters count twice.
        language: BCP 47 tag; says which titles are abbreviated and whether a stop makes an ordinal number.
        aggressive_first_flush: cut the first sentence at a comma or dash once it has 40 characters; never in
            Italian.

    Raises:
        PatterConfigError: a setting is of the wrong kind, or below zero.
    """

    def __init__(
        self, min_sentence_len: int = 20, language: str = "en", aggressive_first_flush: bool = False
    ) -> None:
        if type(min_sentence_len) is not int or min_sentence_len < 0:
            raise PatterConfigError(
                f"min_sentence_len must be a number of characters, not {min_sentence_len!r}"
            )
        if not isinstance(language, str):
            raise PatterConfigError(f"language must be a tag such as 'en', not {language!r}")
        language = language.lower().replace("_", "-").partition("-")[0]
        self._min_len = min_sentence_len
        self._titles = frozenset(f"{_EVERYWHERE} {_TITLES.get(language, _TITLES['en'])}".split())
        self._ordinals = language in _ORDINAL_STOP
        # Italian prices and numbers are too full of commas for that.
        self._early = aggressive_first_flush and language != "it"
        self.reset()

    def reset(self) -> None:
        """Forgets what is held back and begins a new text."""
        # The text in hand begins with a visible character; the white space before it stands apart.
        self._space: list[str] = []
        self._text = ""
        # No sentence ends before this position of the text in hand.
        self._seen = 0
        self._clauses = self._early

    def push(self, text: str) -> list[str]:
        """Takes the next piece of text; returns the sentences that it completes."""
        sentences: list[str] = []
        for start in range(0, len(text), _SLICE):
            self._take(text[start : start + _SLICE])
            sentences += self._cut(closing=False)
        return sentences

    def flush(self) -> list[str]:
        """Ends the text; returns what is left of it, be it white space. The next push begins a new text."""
        sentences = self._cut(closing=True)
        rest = "".join(self._space) + self._text
        self.reset()
        return [*sentences, rest] if rest else sentences

    def _take(self, text: str) -> None:
        if not self._text:
            visible = text.lstrip()
            self._space.append(text[: len(text) - len(visible)])
            text = visible
        self._text += text

    def _cut(self, *, closing: bool) -> list[str]:
        sentences: list[str] = []
        while end := self._find_end(closing):
            sentence = self._text[:end].rstrip()
            rest = self._text[len(sentence) :]
            sentences.append("".join(self._space) + sentence)
            self._space, self._text, self._seen, self._clauses = [], "", 0, False
            self._take(rest)
        return sentences

    def _find_end(self, closing: bool) -> int:
        """Where the first sentence ends; 0 while that is open."""
        text, at = self._text, self._seen
        while (match := _CANDIDATE.search(text, at)) and match.start() < _LONGEST:
            # More of the same may follow.
            verdict = None if match.end() == len(text) and not closing else self._judge(match)
            if verdict is None and not closing:
                self._seen = match.start()
                return 0
            if verdict:
                return match.end()
            at = match.end()
        if len(text) > _LONGEST:
            words = _WHOLE_WORDS.match(text, 0, _LONGEST + 1)
            return words.end() if words else _LONGEST
        # A comma in the last place becomes a candidate by what follows it.
        self._seen = max(at, len(text) - 1)
        return 0

    def _judge(self, match: re.Match[str]) -> bool | None:
        """Whether the sentence ends there; ``None`` if the text that follows decides and is not there yet."""
        text, end = self._text, match.end()
        head = text[: match.start()]
        if match["line"]:
            return _ends_line(text, match, long_enough=_width(head) >= self._min_len)
        if match["soft"]:
            return self._clauses and _width(text[:end]) >= _FIRST_CLAUSE and _is_clause(head)
        if _width(text[:end]) < self._min_len:
            return False
        marks = match["end"]
        following = text[end : end + 1]
        if marks[-1] in _OTHER:
            # The full-width stop stands in numbers and addresses too.
            return not (marks == "．" and following.isalnum())
        if following and not following.isspace():
            return marks[-1] in "!?" and following.isalnum() and _width(following) == 2
        after = _next_visible(text, end)
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


def _next_visible(text: str, end: int) -> str:
    """The next character that is no white space: a line's end if none is near, nothing if it may come."""
    visible = text[end : end + _LOOK].lstrip()[:1]
    return visible or ("\n" if len(text) >= end + _LOOK else "")


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
    """Whether a voice may pause here: not in or at brackets and quotes, numbers, prices or an ellipsis."""
    if (
        text[-1:].isdecimal()
        or text[-1:] in (".", "…", *_QUOTES)
        or text.count('"') % 2
        or text.count("`") % 2
    ):
        return False
    if any(unicodedata.category(character) == "Sc" for character in text[-_CURRENCY_REACH:]):
        return False
    # In German and its neighbours the mark that closes a quotation is the one that opens it in English.
    low = text.count("„")
    if low > text.count("“") + text.count("”") or text.count("“") - low > text.count("”"):
        return False
    return all(text.count(pair[0]) <= text.count(pair[1]) for pair in _PAIRS)


def _width(text: str) -> int:
    """Characters, those of double width counted twice: they say as much as two letters."""
    text = text.strip()
    return len(text) if text.isascii() else sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
