"""The pictures of the benchmarks, as SVG and, where Pillow is installed, PNG."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import attrs

from patter_trio._demo.draw_png import to_png
from patter_trio._demo.draw_svg import to_svg
from patter_trio._demo.scene import Box, Line, Run, Scene, Shape, Text
from patter_trio.errors import MissingExtraError

__all__ = ["Bar", "Lane", "Moment", "Panel", "bars", "histograms", "lanes", "save"]

WIDTH = 1200
_LEFT, _RIGHT, _VALUES = 250, 60, 260
_INK, _FAINT, _GRID = "#222222", "#6b6b6b", "#e6e6e6"
# Okabe and Ito: told apart with any colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_BINS = 60

Anchor = Literal["start", "middle", "end"]


def _text(
    x: float, y: float, text: str, colour: str = _INK, size: float = 14.0, anchor: Anchor = "start"
) -> Text:
    return Text(x, y, (Run(text, colour),), size, anchor)


def save(shapes: Sequence[Shape], height: float, title: str, folder: Path, name: str) -> None:
    """Writes ``name.svg`` and ``name.png``; says so where only the first is possible."""
    heading = _text(24, 36, title, size=20)
    scene = Scene(WIDTH, round(height), title, (heading, *shapes))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.svg").write_text(to_svg(scene))
    try:
        (folder / f"{name}.png").write_bytes(to_png(scene))
    except MissingExtraError as error:
        print(f"no picture {name}.png: {error}")


# --- how values are spread ----------------------------------------------------------------------------------


@attrs.frozen
class Panel:
    """One measure: its values by the number of calls at once."""

    label: str
    unit: str
    values: Mapping[int, Sequence[float]]


def histograms(panels: Sequence[Panel], top: float) -> tuple[list[Shape], float]:
    """One row of bars per panel and number of calls, a common scale within the panel."""
    shapes: list[Shape] = []
    y = top
    for panel in panels:
        filled = {calls: values for calls, values in panel.values.items() if values}
        if not filled:
            continue
        low, high, step = _scale(filled.values())
        shapes.append(_text(24, y + 14, panel.label))
        y += 22
        for place, (calls, values) in enumerate(filled.items()):
            shapes += _histogram(values, calls, low, high, y, COLOURS[place % len(COLOURS)])
            y += 44
        shapes += _axis(low, high, step, panel.unit, y)
        y += 52
    return shapes, y


def _scale(groups: Collection[Sequence[float]]) -> tuple[float, float, float]:
    """Where an axis begins and ends, and the round step between its numbers, about six of them."""
    least, most = min(map(min, groups)), max(map(max, groups))
    rough = max(most - least, 0.05 * abs(most), 0.05) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough)
    return math.floor(least / step) * step, (math.floor(most / step) + 1) * step, step


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - low) / (high - low)


def _histogram(
    values: Sequence[float], calls: int, low: float, high: float, y: float, colour: str
) -> list[Shape]:
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, int((value - low) / (high - low) * _BINS))] += 1
    step, most = (WIDTH - _LEFT - _RIGHT) / _BINS, max(counts)
    said = f"{calls} call{'s' * (calls != 1)}, n={len(values)}"
    shapes: list[Shape] = [_text(_LEFT - 12, y + 32, said, _FAINT, 12, "end")]
    for place, count in enumerate(counts):
        if count:
            height = max(2.0, 36 * count / most)
            shapes.append(Box(_LEFT + place * step, y + 38 - height, step - 1, height, colour))
    return shapes


def _axis(low: float, high: float, step: float, unit: str, y: float) -> list[Shape]:
    shapes: list[Shape] = [Line(_LEFT, y, WIDTH - _RIGHT, y, _GRID)]
    digits, ticks = max(0, -math.floor(math.log10(step))), round((high - low) / step)
    for place in range(ticks + 1):
        value = low + step * place
        said = f"{value:.{digits}f}" + (f" {unit}" if place == ticks else "")
        shapes.append(_text(_x(value, low, high), y + 18, said, _FAINT, 12, "middle"))
    return shapes


# --- amounts beside each other ------------------------------------------------------------------------------


@attrs.frozen
class Bar:
    """An amount, with the budget it should stay below where there is one."""

    label: str
    value: float
    unit: str
    budget: float | None = None
    colour: int = 0


def bars(rows: Sequence[Bar], top: float) -> tuple[list[Shape], float]:
    """Horizontal bars on one scale; a budget is a line across its bar."""
    shapes: list[Shape] = []
    most = max([row.value for row in rows] + [row.budget or 0.0 for row in rows] + [1e-9])
    room = WIDTH - _LEFT - _VALUES
    y = top
    for row in rows:
        shapes.append(_text(_LEFT - 12, y + 17, row.label, _INK, 13, "end"))
        end = _LEFT + room * row.value / most
        shapes.append(Box(_LEFT, y, max(end - _LEFT, 1.0), 22, COLOURS[row.colour % len(COLOURS)]))
        said = f"{row.value:.4g} {row.unit}"
        if row.budget is not None:
            edge = _LEFT + room * row.budget / most
            shapes.append(Line(edge, y - 3, edge, y + 25, _INK, 2))
            said += f" (budget {row.budget:g})"
        shapes.append(_text(_LEFT + room + 16, y + 16, said, _INK, 13))
        y += 30
    return shapes, y + 20


# --- what happened when -------------------------------------------------------------------------------------


@attrs.frozen
class Lane:
    """Frames of one voice: when each was sent or received, in seconds."""

    label: str
    frames: Sequence[float]
    colour: int


@attrs.frozen
class Moment:
    """An event with its place in time."""

    label: str
    at: float
    colour: int


def lanes(
    rows: Sequence[Lane], moments: Sequence[Moment], start: float, end: float, top: float
) -> tuple[list[Shape], float]:
    """A stretch of one call: voices frame by frame, events as lines with their names."""
    shapes: list[Shape] = []
    y = top
    for row in rows:
        shapes.append(_text(_LEFT - 12, y + 26, row.label, _INK, 13, "end"))
        for at in row.frames:
            if start <= at < end:
                width = max(2.0, (WIDTH - _LEFT - _RIGHT) * 0.016 / (end - start))
                shapes.append(Box(_x(at, start, end), y, width, 38, COLOURS[row.colour]))
        y += 54
    # The last moment's name on top: no line then runs through a name.
    for place, moment in enumerate(sorted(moments, key=lambda moment: -moment.at)):
        x, under = _x(moment.at, start, end), y + 20 + 20 * place
        shapes.append(Line(x, top - 6, x, under - 12, COLOURS[moment.colour], 1.5))
        shapes.append(_text(x + 4, under, moment.label, COLOURS[moment.colour], 13))
    return shapes, y + 20 * len(moments) + 34
