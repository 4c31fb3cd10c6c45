"""The picture of a call: both voices, the turns, every reply gap and every interruption with its time.

One scene, laid out here, drawn as SVG (no dependency) or as PNG (Pillow). The caller is above, the agent as
heard below; a long call runs on over several rows that break where nobody speaks. The colours are Okabe and
Ito's, told apart with any colour vision; what they say is also said by position and in words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from .draw_png import to_png
from .draw_svg import to_svg
from .labels import CUT, Word, fitted, runs_of
from .record import CallArtefacts, FloorChange
from .scene import Bars, Box, Line, Run, Scene, Shape, Text, text_width

__all__ = ["layout", "timeline_png", "timeline_svg"]

WIDTH = 1600
_LEFT, _RIGHT, _TOP = 96, 32, 128
_WAVE, _STRIP, _LINE, _AXIS, _ROW_GAP = 60, 34, 17, 26, 34
_ROW_SECONDS = 27.0
"""A row is at most about this long: 54 pixels a second, in which a word of speech can still be labelled."""

_INK, _FAINT, _GRID = "#222222", "#6b6b6b", "#e6e6e6"
_CALLER, _CALLER_TINT = "#0072b2", "#e3f0f8"
_AGENT, _AGENT_TINT = "#00805f", "#e0f3ec"
_BARGE, _BARGE_TINT = "#d55e00", "#fbdcc6"
_HELD, _HELD_TINT = "#8f4a7c", "#f2dfec"


def timeline_svg(call: CallArtefacts) -> str:
    """The timeline as an SVG document."""
    return to_svg(layout(call))


def timeline_png(call: CallArtefacts, *, scale: int = 2) -> bytes:
    """The timeline as a PNG file's bytes.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    return to_png(layout(call), scale=scale)


def layout(call: CallArtefacts) -> Scene:
    """The scene of a call, ``WIDTH`` pixels wide and as high as it needs."""
    rows = _rows(call)
    longest = max(end - start for start, end in rows)
    pace = (WIDTH - _LEFT - _RIGHT) / longest
    shapes, y = _heading(call), float(_TOP)
    sound = _Sound.of(call, pace)
    for start, end in rows:
        row = _Row(call, sound, start, end, pace, y)
        shapes += row.shapes()
        y += row.height + _ROW_GAP
    return Scene(WIDTH, round(y - _ROW_GAP + 16), f"{call.title}: timeline", tuple(shapes))


# --- rows ---------------------------------------------------------------------------------------------------


def _spoken(call: CallArtefacts) -> list[tuple[float, float]]:
    """The stretches in which somebody has the word, and the gap between a question and its answer."""
    spans: list[tuple[float, float]] = []
    for turn in call.turns:
        known = [
            t for t in (turn.t_user_start, turn.t_user_end, turn.t_first_audio, turn.t_end) if t is not None
        ]
        if known:
            spans.append((min(known), max(known)))
    return spans


def _rows(call: CallArtefacts) -> list[tuple[float, float]]:
    """Rows of about equal length, broken at the quiet moment nearest to an even division."""
    total = max(call.seconds, 1.0)
    count = max(1, -int(-total // _ROW_SECONDS))
    spans = _spoken(call)
    edges = [0.0]
    quiet = [end + 0.1 for _, end in spans if all(not s < end + 0.1 < e for s, e in spans)]
    for n in range(1, count):
        even, reach = total * n / count, total / count * 0.3
        near = [t for t in quiet if abs(t - even) < reach and t > edges[-1] + 1]
        edges.append(min(near, key=lambda t: abs(t - even)) if near else even)
    return list(zip(edges, [*edges[1:], total], strict=True))


@attrs.frozen
class _Sound:
    """Both legs' envelopes, one column per two pixels: the loudest sample each way, scaled to -1..1."""

    legs: tuple[NDArray[Any], NDArray[Any]]
    column: float

    @classmethod
    def of(cls, call: CallArtefacts, pace: float) -> _Sound:
        samples = np.frombuffer(call.audio[: len(call.audio) // 4 * 4], "<i2").reshape(-1, 2)
        column = 2.0 / pace
        return cls((_envelope(samples[:, 0], call, column), _envelope(samples[:, 1], call, column)), column)


def _envelope(leg: NDArray[Any], call: CallArtefacts, column: float) -> NDArray[Any]:
    """Rows of (lowest, highest) per column, by the leg's own peak; the root makes quiet speech visible."""
    step = column * call.sample_rate
    starts = np.arange(0, max(len(leg) - 1, 0), step).astype(int)
    if not len(starts):
        return np.zeros((0, 2))
    loud = np.stack([np.minimum.reduceat(leg, starts), np.maximum.reduceat(leg, starts)], axis=1).astype(
        float
    )
    loud /= max(float(np.abs(loud).max()), 1.0)
    return np.asarray(np.sign(loud) * np.abs(loud) ** 0.7)


# --- one row ------------------------------------------------------------------------------------------------


@attrs.define
class _Placed:
    x: float
    lines: list[list[Word]]


@attrs.define
class _Flag:
    x: float
    text: str
    colour: str
    lane: int = 0

    @property
    def width(self) -> float:
        return text_width(self.text, 13) + 12

    @property
    def left(self) -> float:
        return min(self.x, WIDTH - 4 - self.width)


class _Row:
    """One stretch of the call, from the top: flags, caller's words, caller, gaps, agent, its words, axis."""

    def __init__(
        self, call: CallArtefacts, sound: _Sound, start: float, end: float, pace: float, top: float
    ) -> None:
        self._call, self._sound = call, sound
        self._start, self._end, self._pace = start, end, pace
        self._flags = self._placed_flags()
        self._caller_words = self._placed_words(
            [(t.t_user_start, t.user_text, "") for t in call.turns], most=3
        )
        self._agent_words = self._placed_words(
            [(t.t_first_audio, t.agent_text_heard, t.agent_text_cut) for t in call.turns], most=4
        )
        self._top = top
        flags = 20 * (1 + max((flag.lane for flag in self._flags), default=-1))
        self._caller_top = top + flags + self._lines(self._caller_words) * _LINE + 8
        self._strip_top = self._caller_top + _WAVE
        self._agent_top = self._strip_top + _STRIP
        self._axis_top = self._agent_top + _WAVE + 6 + self._lines(self._agent_words) * _LINE + 4
        self.height = self._axis_top + _AXIS - top

    @staticmethod
    def _lines(placed: list[_Placed]) -> int:
        return max((len(label.lines) for label in placed), default=0)

    def _x(self, at: float) -> float:
        return _LEFT + (min(max(at, self._start), self._end) - self._start) * self._pace

    def _within(self, at: float | None) -> bool:
        return at is not None and self._start <= at < self._end

    def _placed_words(self, labels: list[tuple[float | None, str, str]], most: int) -> list[_Placed]:
        here = [(at, heard, cut) for at, heard, cut in labels if at is not None and self._within(at)]
        here = sorted(label for label in here if label[1] or label[2])
        placed: list[_Placed] = []
        for n, (at, heard, cut) in enumerate(here):
            right = self._x(here[n + 1][0]) if n + 1 < len(here) else float(WIDTH - 8)
            lines = fitted(heard, cut, right - self._x(at) - 18, 13, most)
            placed.append(_Placed(self._x(at) + 4, lines))
        return placed

    def _placed_flags(self) -> list[_Flag]:
        flags: list[_Flag] = []
        ends: list[float] = []
        for change in self._call.floor:
            flag = self._flag(change)
            if flag is None:
                continue
            lane = next((n for n, end in enumerate(ends) if end < flag.left), len(ends))
            ends[lane:] = [flag.left + flag.width + 12, *ends[lane + 1 :]]
            flags.append(attrs.evolve(flag, lane=lane))
        return flags

    def _flag(self, change: FloorChange) -> _Flag | None:
        at = self._onset(change)
        if not self._within(at) or change.kind == "held":
            return None
        if change.kind == "taken":
            reaction = change.reaction_ms
            text = "barge-in" if reaction is None else f"barge-in: silent after {reaction:.0f} ms"
            return _Flag(self._x(at), text, _BARGE)
        held = (change.at - (self._held_at(change) or at)) * 1000
        return _Flag(self._x(at), f"a noise: held {held:.0f} ms, then went on", _HELD)

    def _held_at(self, change: FloorChange) -> float | None:
        """When the gate closed that this change opened or made final."""
        held = [c for c in self._call.floor if c.kind == "held" and c.turn_idx == change.turn_idx]
        return max((c.at for c in held if c.at <= change.at), default=None)

    def _onset(self, change: FloorChange) -> float:
        return change.onset if change.onset is not None else self._held_at(change) or change.at

    def shapes(self) -> list[Shape]:
        """All shapes of the row, background first."""
        return [
            *self._axis(),
            *self._bands(),
            *self._interruptions(),
            *self._wave(0, self._caller_top, _CALLER),
            *self._wave(1, self._agent_top, _AGENT),
            *self._gaps(),
            *self._flag_shapes(),
            *self._words(self._caller_words, self._caller_top - 8 - self._lines(self._caller_words) * _LINE),
            *self._words(self._agent_words, self._agent_top + _WAVE + 6),
        ]

    def _axis(self) -> Iterable[Shape]:
        right = self._x(self._end)
        yield Line(_LEFT, self._axis_top, right, self._axis_top, "#bdbdbd")
        for second in range(int(np.ceil(self._start)), int(self._end) + 1):
            x, major = self._x(second), second % 5 == 0
            if major:
                yield Line(x, self._caller_top, x, self._agent_top + _WAVE, _GRID)
                yield Text(x, self._axis_top + 20, (Run(f"{second} s", _FAINT),), 12, "middle")
            yield Line(x, self._axis_top, x, self._axis_top + (6 if major else 3), "#9a9a9a")
        for name, top, colour in (("caller", self._caller_top, _CALLER), ("agent", self._agent_top, _AGENT)):
            yield Text(_LEFT - 14, top + _WAVE / 2 + 5, (Run(name, colour),), 15, "end")
            yield Line(_LEFT, top + _WAVE / 2, right, top + _WAVE / 2, "#d0d0d0")

    def _bands(self) -> Iterable[Shape]:
        for turn in self._call.turns:
            for span, top, tint in (
                ((turn.t_user_start, turn.t_user_end), self._caller_top, _CALLER_TINT),
                ((turn.t_first_audio, turn.t_end), self._agent_top, _AGENT_TINT),
            ):
                start, end = span
                if start is not None and end is not None and start < self._end and end > self._start:
                    yield Box(self._x(start), top, max(2, self._x(end) - self._x(start)), _WAVE, tint, 4)

    def _interruptions(self) -> Iterable[Shape]:
        for change in self._call.floor:
            at = self._onset(change)
            if change.kind == "held" or not self._within(at):
                continue
            taken = change.kind == "taken"
            end = (change.silence or change.at) if taken else change.at
            left, right = self._x(at), self._x(end)
            colour, tint = (_BARGE, _BARGE_TINT) if taken else (_HELD, _HELD_TINT)
            bottom = self._agent_top + _WAVE
            yield Box(left, self._caller_top, max(3, right - left), bottom - self._caller_top, tint)
            yield Line(right, self._agent_top, right, bottom, colour, 1.5)

    def _flag_shapes(self) -> Iterable[Shape]:
        for flag in self._flags:
            yield Line(flag.x, self._top + 20 * flag.lane, flag.x, self._agent_top + _WAVE, flag.colour, 1.5)
        for flag in self._flags:
            y = self._top + 20 * flag.lane
            yield Box(flag.left, y, flag.width, 18, flag.colour, 3)
            yield Text(flag.left + 6, y + 13.5, (Run(flag.text, "#ffffff"),), 13)

    def _wave(self, leg: int, top: float, colour: str) -> Iterable[Shape]:
        envelope, middle, half = self._sound.legs[leg], top + _WAVE / 2, _WAVE / 2 - 2
        first, last = int(self._start / self._sound.column), int(self._end / self._sound.column)
        strokes = [
            (self._x((n + 0.5) * self._sound.column), middle - high * half, middle - low * half)
            for n, (low, high) in enumerate(envelope[first:last].tolist(), first)
            if high - low > 0.1
        ]
        if strokes:
            yield Bars(tuple(strokes), colour)

    def _gaps(self) -> Iterable[Shape]:
        y = self._strip_top + 23
        for turn in self._call.turns:
            if turn.gap_ms is None or not self._within(turn.t_first_audio) or turn.t_user_end is None:
                continue
            left, right = self._x(turn.t_user_end), self._x(turn.t_first_audio or 0.0)
            yield Line(left, y, right, y, _INK, 1.5)
            for x in (left, right):
                yield Line(x, y - 4, x, y + 4, _INK, 1.5)
            said = Text((left + right) / 2, y - 8, (Run(f"{turn.gap_ms:.0f} ms", _INK),), 13, "middle")
            yield Box(
                said.x - text_width(said.runs[0].text, 13) / 2 - 2,
                y - 20,
                text_width(said.runs[0].text, 13) + 4,
                15,
                "#ffffff",
                2,
            )
            yield said

    def _words(self, placed: list[_Placed], top: float) -> Iterable[Shape]:
        for label in placed:
            for n, line in enumerate(label.lines):
                yield Text(label.x, top + n * _LINE + 13, runs_of(line, _INK), 13)


# --- heading ------------------------------------------------------------------------------------------------


def _heading(call: CallArtefacts) -> list[Shape]:
    conditions = "  ·  ".join(f"{name} {value}" for name, value in call.conditions.items())
    summary = call.summary()
    numbers = [f"{call.seconds:.1f} s", f"{len(call.turns)} turns"]
    if summary["reply_gap_ms"]:
        gap = summary["reply_gap_ms"]
        numbers.append(f"reply gap {gap['median']:.0f} ms median, {gap['worst']:.0f} ms worst")
    if summary["barge_in_ms"]:
        numbers.append(f"silent {summary['barge_in_ms']['worst']:.0f} ms after a barge-in, at worst")
    shapes: list[Shape] = [
        Text(_LEFT, 40, (Run(call.title, _INK),), 25),
        Text(_LEFT, 64, (Run("  ·  ".join(numbers), _INK),), 15),
        Text(_LEFT, 84, (Run(conditions, _FAINT),), 13),
    ]
    x = float(_LEFT)
    for colour, said in (
        (_CALLER, "caller"),
        (_AGENT, "agent, as heard"),
        (_INK, "reply gap"),
        (_BARGE, "barge-in, until silence"),
        (_HELD, "held and resumed"),
    ):
        shapes += [Box(x, 96, 12, 12, colour, 2), Text(x + 18, 106.5, (Run(said, _FAINT),), 13)]
        x += 18 + text_width(said, 13) + 26
    shapes.append(
        Text(x, 106.5, (Run("struck words", CUT, struck=True), Run(" were never heard", _FAINT)), 13)
    )
    return shapes
