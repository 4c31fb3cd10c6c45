"""What callers of the desk may want, with the sentences and the key words that say so.

The examples are compared by embedding; the rules stand beside them and, where no model is installed, alone.
``OTHER`` is everything that a dental desk is asked by mistake: it exists so that the nearest example of a
strange sentence is a strange one.
"""

from __future__ import annotations

import re
from enum import StrEnum
from importlib import resources

__all__ = ["EXAMPLES", "RULES", "Intent"]


class Intent(StrEnum):
    """One thing a caller may want from the desk."""

    HOURS = "hours"
    PRICE = "price"
    ADDRESS = "address"
    PARKING = "parking"
    OPENINGS = "openings"
    BOOK = "book"
    MOVE = "move"
    CANCEL = "cancel"
    MINE = "mine"
    TRANSFER = "transfer"
    EMERGENCY = "emergency"
    REPEAT = "repeat"
    YES = "yes"
    NO = "no"
    WAIT = "wait"
    HELP = "help"
    THANKS = "thanks"
    GREETING = "greeting"
    GOODBYE = "goodbye"
    OTHER = "other"


def _lines(name: str) -> list[str]:
    text = resources.files(__name__.rpartition(".")[0]).joinpath(name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _read_examples() -> dict[Intent, tuple[str, ...]]:
    found: dict[Intent, list[str]] = {}
    current: list[str] = []
    for line in _lines("examples.txt"):
        if line.startswith("["):
            current = found.setdefault(Intent(line.strip("[]")), [])
        else:
            current.append(line)
    return {intent: tuple(sentences) for intent, sentences in found.items()}


def _read_rules() -> tuple[tuple[Intent, re.Pattern[str]], ...]:
    rows = (line.split("\t") for line in _lines("rules.tsv"))
    return tuple(
        (Intent(name), re.compile(said.replace("<appointment>", _APPOINTMENT))) for name, said in rows
    )


_APPOINTMENT = r"(?:appointment|booking|visit|reservation|slot)"

EXAMPLES = _read_examples()
"""Example sentences by intent, as plain words."""

RULES = _read_rules()
"""Patterns over plain words; the first that matches decides."""
