"""compact: has the older part of a long conversation summarised while the call goes on."""

from __future__ import annotations

import logging

import trio

from .._actors.channels import Level
from .._foreign import foreign
from .._turns.compaction import Compaction, CompactionConfig, plan_compaction
from .._turns.history import History
from ..abc import LLMProvider
from ..errors import LanguageModelError

__all__ = ["compact"]

_log = logging.getLogger("patter_trio.call")

# Nobody waits for a summary; one that takes longer than this is not worth its request.
_PATIENCE = 60.0


async def compact(
    history: History, config: CompactionConfig, model: LLMProvider, closed_turns: Level[int]
) -> None:
    """Looks at the history after each turn, until cancelled; a summary that fails is tried after a later one.

    Runs in the call's nursery, never in a turn: the caller waits for nothing here.
    """
    seen = 0
    while True:
        seen = await closed_turns.wait_for(lambda closed: closed != seen)  # noqa: B023
        plan = plan_compaction(history, config)
        if plan is None:
            continue
        try:
            with foreign(LanguageModelError, model.name), trio.fail_after(_PATIENCE):
                plan.apply(history, await _ask(model, plan))
        except LanguageModelError as error:
            _log.warning("the conversation was not summarised: %s", error)


async def _ask(model: LLMProvider, plan: Compaction) -> str:
    async with model.stream(plan.request()) as chunks:
        return "".join([chunk.content async for chunk in chunks if chunk.type == "text"])
