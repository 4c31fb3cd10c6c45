"""Whole calls by Telnyx, from its webhook to the end, in a session as users have it."""

from __future__ import annotations

from typing import Any

import pytest

from patter_trio import Patter
from patter_trio.carriers import Telnyx
from patter_trio.testing import (
    Caller,
    LineConditions,
    MemoryLine,
    ScriptedLLM,
    SimulatedTelnyx,
    open_exchange,
    run_virtual,
)

from .ring import NUMBER, URL, agent

TALK = Caller().waits_for_agent().says("When do you open on Sunday?").waits_for_agent().waits(1.0).hangs_up()


def ring(conditions: LineConditions, *, codec: str = "PCMU", **world: Any) -> tuple[Any, Any, Any]:
    """The outcome, the call's result, and the counts of the session."""
    telnyx = SimulatedTelnyx(number=NUMBER, **world)

    async def main() -> tuple[Any, Any, Any]:
        session: Any = None

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await session.app(scope, receive, send)

        async with open_exchange(telnyx, MemoryLine(app, URL), port=None) as exchange:
            carrier = Telnyx(
                telnyx.api_key,
                telnyx.connection_id,
                telnyx.public_key,
                codec=codec,  # type: ignore[arg-type]
                l16_byte_order=telnyx.l16_byte_order,
                transport=exchange.transport,
            )
            patter = Patter(carrier, NUMBER, URL)
            async with patter.session(agent(ScriptedLLM(["At ten."])), port=None) as session:
                outcome = await exchange.call(TALK, conditions=conditions)
                await exchange.wait_quiet()
        return outcome, session.results[0], session.counts

    return run_virtual(main, seed=conditions.seed)


@pytest.mark.parametrize(
    ("codec", "world"),
    [
        ("PCMU", {}),
        ("L16", {"l16_byte_order": "big"}),
        ("PCMU", {"timestamps": "samples"}),
    ],
)
def test_a_caller_is_answered(codec: str, world: dict[str, Any]) -> None:
    outcome, result, counts = ring(LineConditions(seed=1), codec=codec, **world)
    assert outcome.ok, outcome.to_json()
    assert "At ten." in [entry.text for entry in result.history]
    assert "when do you open on sunday?" in [entry.text.lower() for entry in result.history]
    assert (counts.answered, counts.completed, counts.refused_malformed) == (1, 1, 0)
    assert result.counts["malformed"] == 0


@pytest.mark.parametrize("timestamps", ["milliseconds", "samples"])
@pytest.mark.parametrize("seed", range(3))
def test_media_in_disorder_is_understood(seed: int, timestamps: str) -> None:
    conditions = LineConditions(seed, frames_reordered=0.15, reorder_frames=3)
    outcome, result, _ = ring(conditions, timestamps=timestamps)
    assert outcome.ok, outcome.to_json()
    assert "when do you open on sunday?" in [entry.text.lower() for entry in result.history]
    assert result.counts["frames_reordered"] > 20
    assert result.counts["frames_lost"] == result.counts["frames_repeated"] == 0
