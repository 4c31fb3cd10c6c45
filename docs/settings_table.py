"""Tables of settings, made from the attrs classes when the documentation is built.

A page says ``<!-- settings: Agent -->``; the comment is replaced by a table of that class's fields, with the
meaning of each taken from the ``Args:`` of the class's docstring. A field without a meaning fails the build.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import attrs

from patter_trio import Agent, SessionSettings
from patter_trio._server.limits import PortLimits

CLASSES: Mapping[str, type[Any]] = {
    "Agent": Agent,
    "SessionSettings": SessionSettings,
    "PortLimits": PortLimits,
}

# What the class's docstring leaves to the page on callbacks.
CALLBACKS = {
    "on_call_start": "called with the call's facts when its media stream is up; may return settings for it",
    "on_call_end": "called with the transcript and the `CallResult` when a call is over",
    "on_transcript": "called with each final text of either side; the agent's is what was heard",
    "on_metrics": "called with the `TurnMetrics` of each turn, interrupted ones included",
    "on_event": "called with every `CallEvent`, in order",
}

_PLACE = re.compile(r"<!-- settings: (\w+) -->")


def meanings(settings: type[Any]) -> dict[str, str]:
    """The ``Args:`` of a class's docstring by name, as Markdown."""
    doc = inspect.cleandoc(settings.__doc__ or "")
    section = re.search(r"^Args:\n((?:    .*\n?|\n)+)", doc, re.MULTILINE)
    found: dict[str, str] = {}
    entries = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", section[1] if section else "", re.MULTILINE)
    for name, meaning in entries:
        found[name] = _markdown(" ".join(meaning.split())).rstrip(".")
    return found


def table(settings: type[Any]) -> str:
    """A Markdown table of a class's fields.

    Raises:
        KeyError: a field has no meaning written down.
    """
    known = {**CALLBACKS, **meanings(settings)}
    rows = [
        f"| `{field.name}` | {_default(field)} | {known[field.name]} |" for field in attrs.fields(settings)
    ]
    return "\n".join(["| setting | default | meaning |", "| --- | --- | --- |", *rows])


def _default(field: attrs.Attribute[Any]) -> str:
    if field.default is attrs.NOTHING:
        return "required"
    # Every factory of these classes takes no argument; attrs types it as any default.
    value = getattr(field.default, "factory", lambda: field.default)()
    return f"`{value!r}`" if len(repr(value)) < 20 else f"`{type(value).__name__}()`"


def _markdown(text: str) -> str:
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`").replace("|", "\\|")


def fill(app: Any, page: str, source: list[str]) -> None:
    """Puts the tables into a page as Sphinx reads it."""
    source[0] = _PLACE.sub(lambda place: table(CLASSES[place[1]]), source[0])


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry point of an extension."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
