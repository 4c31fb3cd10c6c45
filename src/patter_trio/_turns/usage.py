"""What the language model was asked and gave, counted."""

from __future__ import annotations

import attrs

from ..events import LLMChunk

__all__ = ["Tally", "Usage"]


@attrs.frozen
class Usage:
    """Requests to a model and their tokens, as the provider counted them; 0 where it did not say."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(a + b for a, b in zip(attrs.astuple(self), attrs.astuple(other), strict=True)))


class Tally:
    """Counts one turn's use of models while it is made.

    Args:
        spent: requests whose answers were used.
        wasted: requests whose answers were not: a hedge that was too slow, a reply to words that changed.
        hedges: second requests that were made because the first was slow.
        hedges_won: how many of those were the first to speak.
        pieces: pieces of text that came, for answers that end before their provider has counted.
    """

    def __init__(self) -> None:
        self.spent = Usage()
        self.wasted = Usage()
        self.hedges = 0
        self.hedges_won = 0
        self.pieces = 0

    def used(self, chunk: LLMChunk) -> None:
        """A ``usage`` chunk of the answer that is used."""
        self.spent += _usage(chunk)

    def asked(self) -> None:
        """A request was made."""
        self.spent += Usage(requests=1)

    def lost(self) -> None:
        """One of the requests was cancelled, or failed, before it said anything: another one answers."""
        self.spent += Usage(requests=-1)
        self.wasted += Usage(requests=1)

    @property
    def wasted_in_all(self) -> Usage:
        """What was wasted; a lost request was asked the same as the winner, whose question was counted."""
        question = self.spent.input_tokens // max(self.spent.requests, 1)
        return self.wasted + Usage(input_tokens=question * self.wasted.requests)

    def all_wasted(self) -> Usage:
        """Everything, where nobody will hear the answer; without its provider's count a piece is a token."""
        output = max(self.spent.output_tokens, self.pieces)
        return attrs.evolve(self.spent, output_tokens=output) + self.wasted_in_all


def _usage(chunk: LLMChunk) -> Usage:
    return Usage(
        input_tokens=chunk.input_tokens,
        output_tokens=chunk.output_tokens,
        cache_read_tokens=chunk.cache_read_tokens,
        cache_write_tokens=chunk.cache_write_tokens,
    )
