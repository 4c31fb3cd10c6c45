"""What an answer of a language model costs through us, beside the bare SDK of its vendor in the same run.

An endpoint in a process of its own answers over loopback, at once and whole, with one token or with many.
Both ways are asked in turn, over warm connections, ``--calls`` answers at once. ``turn`` is an answer of one
token, ``token`` what each further one adds, both in CPU time of this process; ``first`` is the wall time of
an answer of one token. The ratios are of two measurements made one after the other: below 1 we cost less than
the SDK alone. ``hop`` is what a token pays for being handed from the task that reads to the task that asked
(``trio.as_safe_channel``), which is in ours and not in theirs.

``import`` is a fresh interpreter each time, without its own start. Which vendors' packages ``patter_trio``
loads is counted there: none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence

import trio

from _endpoint import open_endpoint
from _models import PAIRS, Answer, Pair, open_pair
from _picture import Bar, bars, save
from _report import Row, machine, print_machine, print_rows, read_options, row_of, write_report

MANY = 200

VENDORS = ("openai", "groq", "anthropic", "google.genai", "google.auth", "cerebras", "httpx")

# Prints the seconds an import took, and which of the vendors' packages it loaded.
_IMPORT = """
import json, sys, time
began = time.perf_counter()
import {module}
took = time.perf_counter() - began
print(json.dumps([took, [name for name in {vendors!r} if name in sys.modules]]))
"""


# --- answers ------------------------------------------------------------------------------------------------


async def cost(answer: Answer, tokens: int, calls: int, times: int) -> tuple[float, float]:
    """Microseconds of CPU, and of wall time, for one answer, over a few times so many at once."""

    async def ask() -> None:
        for _ in range(times):
            heard = await answer(tokens)
            assert heard == tokens, f"{heard} tokens of {tokens}"

    cpu, wall = time.process_time(), trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(calls):
            nursery.start_soon(ask)
    cpu, wall = time.process_time() - cpu, trio.current_time() - wall
    return cpu / (times * calls) * 1e6, wall / times * 1e6


async def compare(pair: Pair, url: str, calls: int, seconds: float) -> list[Row]:
    """Ours and theirs in turn, for so long: their costs, and the ratios of neighbours."""
    found: dict[str, list[float]] = {}
    async with open_pair(pair, url) as ways:
        for way in ways:
            await cost(way, MANY, calls, 2)
        until, rounds = trio.current_time() + seconds, 0
        while trio.current_time() < until or rounds < 3:
            values: dict[str, list[float]] = {"turn": [0, 0], "token": [0, 0], "first": [0, 0]}
            # Whoever comes first finds colder caches: they take turns at that too.
            for which in (0, 1) if rounds % 2 else (1, 0):
                one, first = await cost(ways[which], 1, calls, 10)
                many, _ = await cost(ways[which], MANY, calls, 4)
                values["turn"][which], values["first"][which] = one, first
                values["token"][which] = (many - one) / (MANY - 1)
            for measure, (ours, theirs) in values.items():
                found.setdefault(f"{measure}_ours", []).append(ours)
                found.setdefault(f"{measure}_sdk", []).append(theirs)
                found.setdefault(f"{measure}_ratio", []).append(ours / theirs)
            rounds += 1
    return [
        row_of(calls, f"{pair.name}_{measure}", values, "x" if measure.endswith("ratio") else "us")
        for measure, values in found.items()
    ]


@trio.as_safe_channel
async def _numbers(count: int) -> AsyncGenerator[int, None]:
    for number in range(count):
        yield number


async def hops(seconds: float) -> Row:
    """What one item pays for its way through a channel of ``trio.as_safe_channel``."""

    async def take(count: int) -> int:
        async with _numbers(count) as numbers:
            return len([number async for number in numbers])

    found: list[float] = []
    until = trio.current_time() + seconds
    while trio.current_time() < until or len(found) < 3:
        one, _ = await cost(take, 1, 1, 10)
        many, _ = await cost(take, MANY, 1, 4)
        found.append((many - one) / (MANY - 1))
    return row_of(1, "token_hop", found, "us")


# --- imports ------------------------------------------------------------------------------------------------


def imports(module: str, times: int) -> tuple[list[float], set[str]]:
    """Milliseconds that fresh interpreters needed for an import, and what of the vendors' it loaded."""
    took: list[float] = []
    loaded: set[str] = set()
    for _ in range(times):
        code = _IMPORT.format(module=module, vendors=VENDORS)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds, names = json.loads(done.stdout)
        took.append(seconds * 1e3)
        loaded |= set(names)
    return took, loaded


def import_rows(times: int) -> list[Row]:
    rows: list[Row] = []
    for module in ("patter_trio", *VENDORS[:4]):
        took, loaded = imports(module, times)
        rows.append(row_of(1, f"import_{module}", took, "ms"))
        if module == "patter_trio":
            rows.append(row_of(1, "vendors_imported", [len(loaded)], "count"))
            print(f"import patter_trio loads of {', '.join(VENDORS)}: {', '.join(sorted(loaded)) or 'none'}")
    return rows


# --- the report ---------------------------------------------------------------------------------------------


async def measure(calls: Sequence[int], seconds: float) -> list[Row]:
    async with open_endpoint() as url:
        rows = [row for pair in PAIRS for count in calls for row in await compare(pair, url, count, seconds)]
    return [*rows, await hops(seconds)]


def main(argv: Sequence[str] | None = None) -> None:
    options = read_options(argv, __doc__, calls=(1, 10), seconds=3)
    facts = machine()
    print_machine(facts, f"each model for {options.seconds:g} s with 1 and {MANY} tokens; --calls at once")
    rows = [
        *trio.run(measure, options.calls, options.seconds),
        *import_rows(5 if options.seconds >= 1 else 1),
    ]
    print_rows("real clock: CPU of this process (first: wall); ratios are ours to the SDK's", rows)
    drawn = [
        Bar(f"{pair.name}, a {what}, {row.calls} at once", row.p50, "x", colour=at)
        for pair in PAIRS
        for at, what in enumerate(("turn", "token"))
        for row in rows
        if row.metric == f"{pair.name}_{what}_ratio"
    ]
    shapes, y = bars(drawn, 70)
    save(shapes, y, "Our CPU time for the bare SDK's (p50 of the ratios)", options.out, "llm")
    write_report(options, "llm", rows, machine=facts, vendors=[str(name) for name in VENDORS])


if __name__ == "__main__":
    main()
