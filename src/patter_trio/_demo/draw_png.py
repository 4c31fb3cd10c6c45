"""A scene as PNG, drawn with Pillow and the typeface inside it: the same picture everywhere."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from ..errors import MissingExtraError
from .scene import Bars, Box, Line, Scene, Shape, Text

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

__all__ = ["to_png"]

# The built-in typeface has no dashes but the hyphen.
_SUBSTITUTES = str.maketrans({"–": "-", "—": "-", "−": "-", "→": ">", "×": "x", "\u00a0": " "})


def to_png(scene: Scene, *, scale: int = 2) -> bytes:
    """The picture as PNG, ``scale`` device pixels to each pixel of the scene.

    Raises:
        MissingExtraError: Pillow (10.1 or later, with FreeType) is not installed.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError as error:
        raise MissingExtraError(
            "timeline.png needs Pillow",
            hint="pip install 'patter-trio[pictures]'; timeline.svg needs nothing",
        ) from error
    image = Image.new("RGB", (scene.width * scale, scene.height * scale), "#ffffff")
    pen = _Pen(ImageDraw.Draw(image), scale)
    for shape in scene.shapes:
        pen.draw(shape)
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


class _Pen:
    def __init__(self, canvas: ImageDraw, scale: int) -> None:
        self._canvas = canvas
        self._scale = scale
        self._fonts: dict[float, FreeTypeFont] = {}

    def draw(self, shape: Shape) -> None:
        s = self._scale
        match shape:
            case Box(x, y, width, height, fill, radius):
                corners = (x * s, y * s, max((x + width) * s - 1, x * s), max((y + height) * s - 1, y * s))
                self._canvas.rounded_rectangle(corners, radius * s, fill=fill)
            case Line(x1, y1, x2, y2, colour, width):
                self._canvas.line(
                    (x1 * s, y1 * s, x2 * s, y2 * s), fill=colour, width=max(1, round(width * s))
                )
            case Bars(strokes, colour, width):
                for x, top, bottom in strokes:
                    self._canvas.line(
                        (x * s, top * s, x * s, bottom * s), fill=colour, width=round(width * s)
                    )
            case Text():
                self._write(shape)

    def _write(self, text: Text) -> None:
        font = self._font(text.size)
        lines = [(run, run.text.translate(_SUBSTITUTES)) for run in text.runs]
        total = sum(font.getlength(line) for _, line in lines)
        x = text.x * self._scale - {"start": 0.0, "middle": total / 2, "end": total}[text.anchor]
        y = text.y * self._scale
        for run, line in lines:
            self._canvas.text((x, y), line, fill=run.colour, font=font, anchor="ls")
            length = font.getlength(line)
            if run.struck:
                middle = y - text.size * self._scale * 0.3
                ends = (x, middle, x + font.getlength(line.rstrip()), middle)
                self._canvas.line(ends, fill=run.colour, width=max(1, self._scale // 2))
            x += length

    def _font(self, size: float) -> FreeTypeFont:
        from PIL import ImageFont

        if size not in self._fonts:
            font = ImageFont.load_default(size * self._scale)
            assert not isinstance(font, ImageFont.ImageFont), "Pillow was built without FreeType"
            self._fonts[size] = font
        return self._fonts[size]
