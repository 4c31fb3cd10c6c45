"""Nothing that is said on a media stream or by a webhook touches anybody else.

``PATTER_FUZZ=100000`` says so many to each carrier (``nox -s fuzz``), the ordinary run some thousand.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .fuzzing import Stranger, fuzz, said_by
from .strangers import STRANGERS

MESSAGES = int(os.environ.get("PATTER_FUZZ", "3600"))
# Of one stranger; three of them call at once.
SIZE = 200
TOGETHER = 3


@pytest.mark.parametrize("stranger", [pytest.param(one, id=name) for name, one in STRANGERS.items()])
def test_strangers_touch_nobody(stranger: Stranger) -> None:
    @settings(max_examples=max(1, MESSAGES // (SIZE * TOGETHER)), deadline=None)
    @given(st.integers(0, 1 << 64))
    def play(seed: int) -> None:
        random = Random(seed)
        fuzzed = fuzz(stranger, [said_by(stranger, random, SIZE) for _ in range(TOGETHER)])
        assert fuzzed.outcome.ok, fuzzed.outcome.steps
        assert not fuzzed.outcome.violations
        assert fuzzed.outcome.heard == "Hello, this is the desk. Yes, of course."
        assert fuzzed.malformed, "the strangers were heard at all"
        assert fuzzed.tasks_left == fuzzed.lines_left == 0
        assert set(fuzzed.statuses) <= {200, 204, 400, 404, 503}
        assert "error" not in fuzzed.reasons

    play()
