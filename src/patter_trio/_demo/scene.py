"""A picture as a list of shapes, in pixels from the top left, and the two small renderers' common words."""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["FONT_STACK", "Bars", "Box", "Line", "Run", "Scene", "Shape", "Text", "text_width"]

FONT_STACK = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"


@attrs.frozen
class Box:
    """A filled rectangle with rounded corners."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    radius: float = 0.0


@attrs.frozen
class Line:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str
    width: float = 1.0


@attrs.frozen
class Bars:
    """Vertical strokes, each ``(x, top, bottom)``: the envelope of a sound."""

    strokes: tuple[tuple[float, float, float], ...]
    colour: str
    width: float = 1.4


@attrs.frozen
class Run:
    """Words in one colour; ``struck`` draws a line through them."""

    text: str
    colour: str
    struck: bool = False


@attrs.frozen
class Text:
    """One line of text on the baseline ``y``; ``x`` is its start, middle or end."""

    x: float
    y: float
    runs: tuple[Run, ...]
    size: float = 13.0
    anchor: Literal["start", "middle", "end"] = "start"


Shape = Box | Line | Bars | Text


@attrs.frozen
class Scene:
    """The whole picture on white; later shapes lie over earlier ones."""

    width: int
    height: int
    title: str
    shapes: tuple[Shape, ...]


# Advance widths of a common grotesque (Helvetica's published metrics, in thousandths of the size),
# grouped by width; anything else counts as a wide letter.
_WIDTHS = {
    char: width
    for width, chars in {
        222: "ijl'‘’",
        278: " .,;:!/\\|ftI[]·",
        333: "-()r`",
        355: '"',
        389: "*",
        500: "ckvxyzsJ",
        556: "abdeghnopqu0123456789?$L#_",
        584: "+=<>~",
        611: "FTZ",
        667: "ABEKPSVXY&",
        722: "CDHNRUw",
        778: "GOQ",
        833: "mM",
        889: "%",
        944: "W",
        1000: "…—@",
    }.items()
    for char in chars
}


def text_width(text: str, size: float) -> float:
    """Pixels a line of text takes, with 4 % to spare for other fonts than the one measured."""
    return sum(_WIDTHS.get(char, 700) for char in text) * size / 1000 * 1.04
