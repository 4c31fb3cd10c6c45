"""Words under a voice, in the room there is: wrapped, shortened, and struck where they were never heard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from .scene import Run, text_width

__all__ = ["CUT", "Word", "fitted", "runs_of"]

CUT = "#8a8a8a"
"""The colour of words that were cut."""

Word = tuple[str, bool]
"""A word, and whether it was cut."""


def _width(line: Sequence[Word], size: float) -> float:
    return text_width(" ".join(text for text, _ in line), size)


def _wrapped(words: Sequence[Word], width: float, size: float) -> list[list[Word]]:
    lines: list[list[Word]] = [[]]
    for word in words:
        if lines[-1] and _width([*lines[-1], word], size) > width:
            lines.append([])
        lines[-1].append(word)
    return lines


def fitted(heard: str, cut: str, width: float, size: float, most: int) -> list[list[Word]]:
    """The words in at most ``most`` lines: what does not fit is left out of the middle, then of the end."""
    kept, lost = heard.split(), cut.split()
    for room in range(len(kept) + len(lost), -1, -1):
        for_cut = min(len(lost), max(4, room - len(kept)), room)
        first = [*kept[: room - for_cut], *(["…"] if room - for_cut < len(kept) else [])]
        last = [*lost[:for_cut], *(["…"] if for_cut < len(lost) else [])]
        lines = _wrapped([*((w, False) for w in first), *((w, True) for w in last)], width, size)
        if len(lines) <= most and all(_width(line, size) <= width for line in lines):
            return lines
    return []


def runs_of(line: Iterable[Word], colour: str) -> tuple[Run, ...]:
    """One line as runs of text: heard words in ``colour``, cut ones grey and struck."""
    runs: list[Run] = []
    for text, cut in line:
        if runs and runs[-1].struck == cut:
            runs[-1] = attrs.evolve(runs[-1], text=f"{runs[-1].text} {text}")
        else:
            if runs:
                runs[-1] = attrs.evolve(runs[-1], text=runs[-1].text + " ")
            runs.append(Run(text, CUT if cut else colour, cut))
    return tuple(runs)
