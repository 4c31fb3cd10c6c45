"""Google-style docstrings: what a function does, and what its arguments mean."""

from __future__ import annotations

import inspect
import re

__all__ = ["read_docstring"]

_ARGUMENTS = ("Args:", "Arguments:", "Parameters:")
_SECTION = re.compile(
    r"(Returns|Return|Raises|Yields|Yield|Examples?|Notes?|Attributes|See Also|Warnings?|Todo|References"
    r"|Keyword Args|Keyword Arguments|Other Parameters):\s*\Z"
)
_ENTRY = re.compile(r"\*{0,2}(?P<name>\w+)\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?\s*:\s*(?P<text>.*)\Z")


def read_docstring(docstring: str | None) -> tuple[str, dict[str, str]]:
    """The description (all that stands before the first section) and the meaning of each argument."""
    description: list[str] = []
    meanings: dict[str, list[str]] = {}
    section, entry, depth = "", None, None
    for line in inspect.cleandoc(docstring or "").splitlines():
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if not indent and (bare in _ARGUMENTS or _SECTION.match(bare)):
            section, entry, depth = ("arguments" if bare in _ARGUMENTS else "other"), None, None
        elif section == "arguments" and bare and not indent:
            section = "other"  # prose behind the section
        elif not section:
            description.append(line)
        elif section == "arguments" and bare:
            depth = indent if depth is None else depth
            found = _ENTRY.match(bare) if indent <= depth else None
            if found:
                entry = meanings.setdefault(found["name"], [])
                bare = found["text"]
            if entry is not None and bare:
                entry.append(bare)
    return "\n".join(description).strip(), {name: " ".join(lines) for name, lines in meanings.items()}
