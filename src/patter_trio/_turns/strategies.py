"""Which words said over the agent take the floor: strategies that come with the package."""

from __future__ import annotations

from typing import Any

import attrs

from .._text.backchannels import backchannels_of
from .._text.words import normalise
from ..errors import PatterConfigError

__all__ = ["BackchannelStrategy", "MinWordsStrategy"]


def _phrases(given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, tuple | list | set | frozenset):
        raise PatterConfigError(f"phrases={given!r} is not a list of texts", hint='like phrases=["uh-huh"]')
    if not all(isinstance(phrase, str) for phrase in given):
        raise PatterConfigError(f"phrases={given!r} holds something that is no text")
    return tuple(given)


def _at_least_one(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise PatterConfigError(f"{attribute.name} must be a whole number of at least 1, not {value!r}")


@attrs.frozen
class MinWordsStrategy:
    """The caller takes the floor with so many words.

    While the agent is silent one word is enough.

    Args:
        min_words: how many words it takes while the agent speaks.
        use_interim: whether words that the recogniser may still change count.

    Raises:
        PatterConfigError: ``min_words`` is no whole number of at least 1.
    """

    min_words: int = attrs.field(validator=_at_least_one)
    use_interim: bool = True

    def evaluate(self, transcript: str, is_interim: bool, agent_speaking: bool) -> bool:
        """Whether there are enough words."""
        if is_interim and not self.use_interim:
            return False
        return len(normalise(transcript).split()) >= (self.min_words if agent_speaking else 1)

    def reset(self) -> None:
        """Nothing is remembered."""


@attrs.frozen
class BackchannelStrategy:
    """The caller takes the floor with words that are more than a sign of listening.

    "Mm-hm", "ok" or "sì" let the agent speak on; "ok, but" does not.

    Args:
        language: BCP 47 tag of the words that are known: en, de, es, fr, it, pt, nl, hi, ja, zh.
        phrases: more phrases that do not take the floor.
        use_interim: whether words that the recogniser may still change count.

    Raises:
        PatterConfigError: ``phrases`` is not a collection of texts.
    """

    language: str = "en"
    phrases: tuple[str, ...] = attrs.field(default=(), converter=_phrases)
    use_interim: bool = True
    _known: frozenset[str] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        known = {normalise(phrase) for phrase in (*backchannels_of(self.language), *self.phrases)}
        object.__setattr__(self, "_known", frozenset(known))

    def evaluate(self, transcript: str, is_interim: bool, agent_speaking: bool) -> bool:
        """Whether something remains when the known phrases are taken away."""
        if is_interim and not self.use_interim:
            return False
        return not self._only_known(normalise(transcript).split())

    def _only_known(self, words: list[str]) -> bool:
        """Whether the words are known phrases one after the other."""
        reached = {0}
        for end in range(1, len(words) + 1):
            if any(" ".join(words[start:end]) in self._known for start in reached):
                reached.add(end)
        return len(words) in reached

    def reset(self) -> None:
        """Nothing is remembered."""
