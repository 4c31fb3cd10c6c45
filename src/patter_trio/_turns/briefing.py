"""What a person who takes over a call is told about it, without asking a model."""

from __future__ import annotations

from collections.abc import Iterable

from .history import HistoryEntry

__all__ = ["brief"]

# Three exchanges say what it is about; a person who has just picked up does not listen for longer than
# half a minute, which is some 400 characters.
_TURNS = 6
_CHARACTERS = 400
_CHARACTERS_A_TURN = 140

_SPEAKERS = {"user": "Caller", "assistant": "Agent"}


def brief(entries: Iterable[HistoryEntry], waiting: str = "") -> str:
    """The last exchanges as one line, the latest of them in any case; empty when nothing was said.

    Args:
        entries: the conversation as it was heard.
        waiting: words of the caller that are no entry yet, for nobody has answered them.
    """
    said = [(entry.role, entry.text) for entry in entries if entry.text.strip()]
    if waiting.strip():
        said.append(("user", waiting))
    parts: list[str] = []
    left = _CHARACTERS
    for role, text in reversed(said[-_TURNS:]):
        part = f"{_SPEAKERS[role]}: {_shortened(' '.join(text.split()))}"
        left -= len(part) + 1
        if parts and left < 0:
            break
        parts.insert(0, part)
    return " ".join(parts)


def _shortened(text: str) -> str:
    if len(text) <= _CHARACTERS_A_TURN:
        return text
    kept = text[: _CHARACTERS_A_TURN - 1]
    return kept[: kept.rfind(" ") if " " in kept else None].rstrip(",;:. ") + "…"
