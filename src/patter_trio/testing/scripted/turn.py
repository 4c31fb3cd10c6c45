"""A turn detector that believes what the script says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import trio

from ...errors import PatterConfigError, ProviderError
from ...events import TurnWindow

__all__ = ["ScriptedTurnDetector", "TurnDetectorRecord"]

Probabilities = Sequence[float] | Callable[[TurnWindow], float]


@attrs.define
class TurnDetectorRecord:
    """What was asked of a turn detector, in order, and what became of the questions."""

    windows: list[TurnWindow] = attrs.field(factory=list)
    answers: list[float] = attrs.field(factory=list)
    open_questions: int = 0
    cancelled: int = 0
    failures: int = 0


@attrs.frozen
class ScriptedTurnDetector:
    """Answers from a script: a sequence of probabilities, or a function from the window to one.

    The last of a sequence answers every further question. May be shared by calls, which then share the
    sequence too.

    Args:
        probabilities: the script.
        threshold: the probability from which on the caller counts as finished.
        delay: seconds from a question to its answer, or to its failure.
        fails_at: the number of the question (from 0) in whose place ``error`` is raised; it takes its place
            in the sequence.
        error: what is raised there.
        record: what happened to this detector over all its calls.

    Raises:
        PatterConfigError: an empty sequence.
    """

    probabilities: Probabilities = (1.0,)
    threshold: float = 0.5
    delay: float = 0.0
    fails_at: int | None = None
    error: Exception = attrs.field(factory=lambda: ProviderError("the script breaks this question"))
    name: str = "scripted"
    record: TurnDetectorRecord = attrs.field(factory=TurnDetectorRecord, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not callable(self.probabilities) and not self.probabilities:
            raise PatterConfigError("probabilities must be a function or a sequence with at least one")

    async def predict(self, window: TurnWindow) -> float:
        """The script's next probability.

        Raises:
            Exception: ``error``, where ``fails_at`` says so.
        """
        record = self.record
        number = len(record.windows)
        record.windows.append(window)
        record.open_questions += 1
        try:
            await trio.sleep(self.delay)
        except trio.Cancelled:
            record.cancelled += 1
            raise
        finally:
            record.open_questions -= 1
        if number == self.fails_at:
            record.failures += 1
            raise self.error
        if callable(self.probabilities):
            answer = self.probabilities(window)
        else:
            answer = self.probabilities[min(number, len(self.probabilities) - 1)]
        record.answers.append(answer)
        return answer
