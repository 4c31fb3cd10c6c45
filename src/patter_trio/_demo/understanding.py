"""From a recogniser's words to what the caller wants: clauses, corrections, intents and slots.

Pure apart from the model it is given: with one, intents come from a linear fit over sentence vectors,
helped by the rules; without, from the rules alone. A clause that is near nothing is not guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Protocol

import attrs
import numpy as np
from numpy.typing import NDArray

from .intents import EXAMPLES, RULES, Intent
from .slots import Slots, plain, read_slots

__all__ = ["Classifier", "Embedding", "Understood"]


class Embedding(Protocol):
    """Turns sentences into unit vectors, one row each."""

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """One row per sentence; rows have length 1."""
        ...


@attrs.frozen
class Understood:
    """What one utterance asks for: the intents in order, and the slots with the last word winning.

    ``intents`` is empty when nothing but slots was understood; ``strange`` when not even these.
    """

    words: str
    intents: tuple[Intent, ...] = ()
    slots: Slots = attrs.field(factory=Slots)

    @property
    def strange(self) -> bool:
        """Whether nothing in it is the desk's business."""
        return not self.intents and self.slots == Slots()


_MARKER = (
    r"(?:oh|wait|hold on|actually|sorry|i mean|make that|or rather|scratch that|instead|no|nope|nah|stop)"
)
_CORRECTION = re.compile(rf"\b(?!oh\b){_MARKER}(?: {_MARKER})*\b(?! thank| problem)")
_ANSWER = re.compile(r"^(?P<no>no|nope|nah)\b|^(?P<yes>yes|yeah|yep|yup|sure)\b")
_LEADING = re.compile(rf"^{_MARKER}(?: {_MARKER})*\b")
_FILLER = re.compile(
    r"^(?:(?:um+|uh+|er+|well|so|like|okay|ok|and|but|also|hi|hello|hey|please|then|now|oh) )+"
)
_SPLIT = re.compile(
    r"[.?!;]+\s*|,?\s+\b(?:and also|and then|and|but|also)\b\s+"
    r"(?=(?:what|how|when|where|do|does|is|are|can|could|i|id|please|will|would|which|have|tell|book|cancel|move)\b)"
)
_WHEN_WORDS = re.compile(
    r"\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?|tomorrow|today|tonight|next|this|week|morning|afternoon|evening|noon|"
    r"half past|quarter (?:past|to)|after|before|at|around|on|in|the|for|oclock|please|then|thirty|[ap]m|\d+|"
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
)
_COURTESIES = frozenset({Intent.THANKS, Intent.GREETING, Intent.WAIT})

_MOST_PIECES = 12
"""Of a monologue only the end is answered, so that one utterance never costs more than some 50 ms."""

_REMEMBERED = 256

_RIDGE = 0.3

_RULE_BONUS = 0.3
"""What a matching rule adds to the score of its intent, which lies near 0..1."""


class Classifier:
    """Recognises intents. Blocking for 3-4 ms a clause when it has an embedding.

    Args:
        embedding: the sentence model; ``None`` leaves the rules alone.
        threshold: the score (of the fit, plus the bonus of a rule) below which a clause is not understood.
    """

    def __init__(self, embedding: Embedding | None = None, *, threshold: float = 0.2) -> None:
        self._embedding = embedding
        self._threshold = threshold
        self._weights: NDArray[np.float32] | None = None
        if embedding is not None:
            self._weights = _fit(embedding)
        # A clause is looked at more than once while an utterance is taken apart; the model runs once.
        self._scores = lru_cache(_REMEMBERED)(self._score)

    def understand(self, text: str) -> Understood:
        """Reads one utterance, which may hold several clauses and correct itself."""
        intents: list[Intent] = []
        slots = Slots()
        for piece in _SPLIT.split(text)[-_MOST_PIECES:]:
            for clause, corrects in self._clauses(_without_filler(plain(piece)), first=not intents):
                here = read_slots(clause)
                slots = slots.then(here)
                found = self.intent(clause, bare_slots=here.asks_when)
                if found is None:
                    continue
                if corrects:
                    intents = []
                if found not in intents:
                    intents.append(found)
        return Understood(plain(text), _without_courtesies(intents), slots)

    def _clauses(self, words: str, *, first: bool) -> Iterator[tuple[str, bool]]:
        """The clauses of one sentence, each with whether it corrects what came before.

        ``first`` says that nothing was asked yet: a "no" there is an answer, later on it is a correction.
        """
        if not words:
            return
        answer = _ANSWER.match(words) if first else None
        if answer is not None:
            yield ("no" if answer["no"] else "yes"), False
            words = words[answer.end() :].strip()
            if self._means_nothing(words):
                return
        elif self.intent(words) in (Intent.REPEAT, Intent.WAIT):
            yield words, False
            return
        lead = _LEADING.match(words)
        corrects = lead is not None
        start = lead.end() if lead else 0
        for match in _CORRECTION.finditer(words, start):
            if self._means_nothing(words[match.end() :].strip()):
                continue
            yield words[start : match.start()].strip(), corrects
            start, corrects = match.end(), True
        yield words[start:].strip() or words, corrects

    def _means_nothing(self, words: str) -> bool:
        """Whether the words neither ask for anything nor say when or what."""
        if not words:
            return True
        return read_slots(words) == Slots() and self.intent(words) in (None, Intent.THANKS)

    def intent(self, clause: str, *, bare_slots: bool = False) -> Intent | None:
        """The intent of one clause of plain words; ``None`` when it is near nothing or not for a desk.

        ``bare_slots`` says that the clause names a day or a time, which can be all there is.
        """
        by_rule = next((intent for intent, pattern in RULES if pattern.search(clause)), None)
        is_bare = bare_slots and len(_WHEN_WORDS.sub(" ", clause).split()) < 3
        if not clause or is_bare or self._weights is None:
            return by_rule
        scores = dict(self._scores(clause))
        if by_rule is not None:
            scores[by_rule] += _RULE_BONUS
        best = max(scores, key=lambda intent: scores[intent])
        return None if scores[best] < self._threshold or best is Intent.OTHER else best

    def _score(self, clause: str) -> tuple[tuple[Intent, float], ...]:
        assert self._embedding is not None
        assert self._weights is not None
        near = self._embedding.encode([clause])[0] @ self._weights
        return tuple((intent, float(score)) for intent, score in zip(EXAMPLES, near, strict=True))


def _fit(embedding: Embedding) -> NDArray[np.float32]:
    """Ridge regression from sentence vectors to intents: one column per intent, in the order of EXAMPLES.

    Leaving one example out at a time, this puts 84 % of them right; the nearest example alone 77 %.
    """
    vectors = embedding.encode([example for examples in EXAMPLES.values() for example in examples])
    labels = np.repeat(np.eye(len(EXAMPLES)), [len(examples) for examples in EXAMPLES.values()], axis=0)
    gram = vectors.T @ vectors + _RIDGE * np.eye(vectors.shape[1])
    return np.asarray(np.linalg.solve(gram, vectors.T @ labels), np.float32)


def _without_filler(words: str) -> str:
    return _FILLER.sub("", words + " ").strip() or words


def _without_courtesies(intents: list[Intent]) -> tuple[Intent, ...]:
    """Drops a hello, a thank-you or a "hold on" that only came along with a request."""
    return tuple(intent for intent in intents if intent not in _COURTESIES) or tuple(intents)
