"""Random calls in virtual time, as many as wanted: every promise of the engine is checked on each.

Callers speak, interrupt, cough, go silent and leave at random moments; lines delay, jitter and lose; models,
voices and recognisers are slow or break. The promises are those of ``tests/properties/promises.py``.

    python benchmarks/soak.py --calls 10000 --seed 7
    python benchmarks/soak.py --seed 7 --session 123     plays one session again and shows it
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.properties.soak import Soaked, draw_session, soak

_PROGRESS_SECONDS = 10.0
_clock = time.perf_counter  # noqa: TID251  # how long the run takes, outside of any call


def main() -> int:
    parser = argparse.ArgumentParser(description="Random calls in virtual time.")
    parser.add_argument("--calls", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--seed", type=int, help="of every random choice; drawn and printed when left out")
    parser.add_argument("--session", type=int, help="play only the session of this number, and show it")
    options = parser.parse_args()
    seed: int = random.randrange(2**32) if options.seed is None else options.seed
    if options.session is not None:
        return _show(seed, options.session)
    print(f"soak: {options.calls} calls, seed {seed}", flush=True)
    calls, sessions, seconds, broken = 0, 0, 0.0, 0
    began = shown = _clock()
    for session in soak(options.calls, seed):
        calls, sessions, seconds = calls + len(session.scenarios), sessions + 1, seconds + session.seconds
        broken += len(session.breaches)
        _tell(session)
        if _clock() - shown >= _PROGRESS_SECONDS:
            shown = _clock()
            print(f"{calls:7d} calls, {seconds / 3600:6.2f} h of talk, {broken} violations", flush=True)
    took = _clock() - began
    print(
        f"seed {seed}: {calls} calls in {sessions} sessions, {seconds / 3600:.2f} h of talk in {took:.0f} s, "
        f"{broken} violations"
    )
    return 1 if broken else 0


def _tell(session: Soaked) -> None:
    for breach in session.breaches:
        print(f"session {session.number}: {breach}", flush=True)


def _show(seed: int, number: int) -> int:
    for scenario in draw_session(seed, number):
        print(scenario)
    (session,) = soak(1, seed, first=number)
    _tell(session)
    print(f"{len(session.breaches)} violations")
    return 1 if session.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
