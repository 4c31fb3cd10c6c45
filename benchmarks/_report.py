"""What every benchmark says the same way: the machine and its load, a table of rows, JSON."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

__all__ = [
    "Row",
    "clock_offset",
    "machine",
    "options_parser",
    "percentile",
    "plain_row",
    "print_machine",
    "print_rows",
    "read_options",
    "row_of",
    "rss_kib",
    "run_alone",
    "waited_for_cpu",
    "write_report",
]


@attrs.frozen
class Row:
    """One line of a table; ``calls`` is how many were up at once."""

    calls: int
    metric: str
    p50: float
    p99: float
    max: float
    unit: str


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: always a value that was measured."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def row_of(calls: int, metric: str, values: Iterable[float], unit: str, digits: int = 3) -> Row:
    """The row of some measured values; NaN where there are none."""
    found = list(values) or [float("nan")]
    p50, p99, most = percentile(found, 0.5), percentile(found, 0.99), max(found)
    return Row(calls, metric, round(p50, digits), round(p99, digits), round(most, digits), unit)


# --- the machine --------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """What ran the benchmark, and how busy it was with other things."""
    load = [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": load,
        "python": platform.python_version(),
        "trio": trio.__version__,
        "system": f"{platform.system()} {platform.machine()}",
    }


def print_machine(facts: Mapping[str, Any], says: str = "") -> None:
    """One line about the machine, and what must be known to read the numbers."""
    load = "/".join(str(value) for value in facts["load"]) or "unknown"
    print(
        f"{facts['cores']} cores, load {load} (1/5/15 min, before the run), "
        f"Python {facts['python']}, trio {facts['trio']}, {facts['system']}"
    )
    if says:
        print(says)


def clock_offset() -> float:
    """Seconds to add to this run's ``trio.current_time()`` to get the machine's monotonic clock.

    That clock (CLOCK_MONOTONIC on Linux) is the same for all processes; trio's starts anywhere.
    """
    before = time.perf_counter()  # noqa: TID251  # joins the clocks of two processes, outside of any call
    now = trio.current_time()
    after = time.perf_counter()  # noqa: TID251
    return (before + after) / 2 - now


def rss_kib() -> int:
    """Resident memory of this process (Linux; elsewhere its peak so far)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 if sys.platform != "darwin" else 1024)
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def waited_for_cpu() -> float:
    """Seconds this process was ready to run and had no core (Linux), else 0: noise from other processes."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def run_alone(script: str, *arguments: object) -> Any:
    """Runs a script in a fresh process and returns the JSON that it prints: memory starts from nothing."""
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:])} failed with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


# --- what is said -------------------------------------------------------------------------------------------


def options_parser(doc: str | None, *, calls: Sequence[int], seconds: float) -> argparse.ArgumentParser:
    """The options that all benchmarks share; ``--measure`` is how a benchmark calls itself."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, nargs="+", default=list(calls), help="calls at once")
    parser.add_argument("--seconds", type=float, default=seconds, help="length of each measurement")
    parser.add_argument("--json", type=Path, help="file for the list of rows")
    parser.add_argument("--out", type=Path, default=Path("bench-out"), help="folder for report and picture")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    return parser


def read_options(
    argv: Sequence[str] | None, doc: str | None, *, calls: Sequence[int], seconds: float
) -> argparse.Namespace:
    """What was asked of a benchmark that has no options of its own."""
    return options_parser(doc, calls=calls, seconds=seconds).parse_args(argv)


def print_rows(title: str, rows: Iterable[Row], notes: Mapping[str, str] | None = None) -> None:
    """A table; ``notes`` stand beside the rows of a metric."""
    print(f"\n{title}\n{'calls':>6}  {'metric':26}{'p50':>11}{'p99':>11}{'max':>11}  unit")
    for row in rows:
        note = (notes or {}).get(row.metric, "")
        print(
            f"{row.calls:6}  {row.metric:26}{row.p50:11.3f}{row.p99:11.3f}{row.max:11.3f}  "
            f"{row.unit:6}{'  ' if note else ''}{note}".rstrip(),
            flush=True,
        )


def plain_row(row: Row) -> dict[str, Any]:
    """A row for JSON, which has no NaN: what was not measured is null."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in attrs.asdict(row).items()
    }


def write_report(options: argparse.Namespace, name: str, rows: Sequence[Row], **more: Any) -> None:
    """``--json``: the list of rows. In ``--out``: the same with the machine and all that is ``more``."""
    plain = [plain_row(row) for row in rows]
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(plain, indent=1) + "\n")
    options.out.mkdir(parents=True, exist_ok=True)
    report = options.out / f"{name}.json"
    report.write_text(json.dumps({"rows": plain, **more}, indent=1) + "\n")
    print(f"\nwritten: {report}" + (f", {options.json}" if options.json else ""))
