"""judge: asks the turn detector whether a caller who is silent has finished."""

from __future__ import annotations

import logging

import attrs
import trio

from .._foreign import foreign
from ..abc import TurnDetector
from ..errors import ProviderError
from ..events import TurnWindow

__all__ = ["Question", "Verdict", "judge"]

_log = logging.getLogger("patter_trio.call")


@attrs.frozen
class Question:
    """A silence, by the name that its endpointing gave it, and what was heard until then."""

    silence: int
    window: TurnWindow


@attrs.frozen
class Verdict:
    """Whether the caller had finished in that silence; ``None`` from a detector that is given up."""

    silence: int
    finished: bool | None


async def judge(
    questions: trio.MemoryReceiveChannel[Question],
    detector: TurnDetector,
    outlet: trio.MemorySendChannel[Verdict],
    patience: float,
    call_id: str,
) -> None:
    """Answers questions until they end; a detector that fails or takes too long is given up for this call.

    ``patience`` is the longest wait for one answer, in seconds: a caller is held no longer anyway.
    """
    with questions, outlet:
        async for question in questions:
            finished: bool | None = None
            try:
                with foreign(ProviderError, f"turn detector ({detector.name})"), trio.fail_after(patience):
                    probability = float(await detector.predict(question.window))
                    if not 0.0 <= probability <= 1.0:
                        raise ProviderError(f"it answered {probability!r}, which is no probability")
                    finished = probability >= detector.threshold
            except ProviderError as error:
                _log.warning("call %s: %s; this call goes on without it", call_id, error)
            await outlet.send(Verdict(question.silence, finished))
            if finished is None:
                return
