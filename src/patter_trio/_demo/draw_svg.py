"""A scene as SVG: plain text, no dependency."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from .scene import FONT_STACK, Bars, Box, Line, Run, Scene, Shape, Text

__all__ = ["to_svg"]


def to_svg(scene: Scene) -> str:
    """The picture as one SVG document, readable by browsers and by drawing programs."""
    size = f'width="{scene.width}" height="{scene.height}" viewBox="0 0 {scene.width} {scene.height}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family={quoteattr(FONT_STACK)}>',
        f"<title>{escape(scene.title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    return "\n".join([*head, *(_shape(shape) for shape in scene.shapes), "</svg>", ""])


def _shape(shape: Shape) -> str:
    match shape:
        case Box():
            corners = f' rx="{_n(shape.radius)}"' if shape.radius else ""
            box = f'x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" height="{_n(shape.height)}"'
            return f'<rect {box}{corners} fill="{shape.fill}"/>'
        case Line():
            ends = f'x1="{_n(shape.x1)}" y1="{_n(shape.y1)}" x2="{_n(shape.x2)}" y2="{_n(shape.y2)}"'
            return f'<line {ends} stroke="{shape.colour}" stroke-width="{_n(shape.width)}"/>'
        case Bars():
            path = "".join(f"M{_n(x)} {_n(top)}V{_n(bottom)}" for x, top, bottom in shape.strokes)
            return f'<path d="{path}" stroke="{shape.colour}" stroke-width="{_n(shape.width)}" fill="none"/>'
        case Text():
            anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
            place = f'x="{_n(shape.x)}" y="{_n(shape.y)}" font-size="{_n(shape.size)}"{anchor}'
            return f'<text {place} xml:space="preserve">{"".join(_run(run) for run in shape.runs)}</text>'


def _run(run: Run) -> str:
    struck = ' text-decoration="line-through"' if run.struck else ""
    return f'<tspan fill="{run.colour}"{struck}>{escape(run.text)}</tspan>'


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
