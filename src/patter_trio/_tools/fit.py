"""Whether a model's arguments fit the schema it was told, said so that the model can do better.

Checks what models get wrong: types, missing and unknown names, choices, bounds. Keywords that are not
understood (``pattern``, ``format`` …) are not checked; patterns above all not, since those of a foreign
server could keep a call busy for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["misfit"]

_KINDS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, float) and value.is_integer())
    ),
}
_DEEPEST = 64
_SHOWN = 80


def misfit(value: Any, schema: Any, root: Mapping[str, Any] | None = None) -> str | None:
    """What is wrong with ``value``, or ``None``."""
    return _misfit(value, schema, "", schema if root is None else root, 0)


def _misfit(value: Any, schema: Any, at: str, root: Any, depth: int) -> str | None:
    if schema is True or depth > _DEEPEST:
        return None
    if not isinstance(schema, dict):
        return f"{at or 'the arguments'}: nothing is allowed here" if schema is False else None
    if "$ref" in schema:
        return _misfit(value, _referred(schema["$ref"], root), at, root, depth + 1)
    name = at or "the arguments"
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if kinds and not any(_KINDS[kind](value) for kind in kinds if kind in _KINDS):
        return f"{name} must be {' or '.join(kinds)}, not {_shown(value)}"
    if "enum" in schema and not any(_same(value, choice) for choice in schema["enum"]):
        return f"{name} must be one of {', '.join(map(repr, schema['enum']))}, not {_shown(value)}"
    if "const" in schema and not _same(value, schema["const"]):
        return f"{name} must be {schema['const']!r}, not {_shown(value)}"
    return (
        _out_of_bounds(value, schema, name)
        or _misfit_inside(value, schema, at, root, depth)
        or _misfit_of_options(value, schema, at, root, depth)
    )


def _misfit_inside(value: Any, schema: Mapping[str, Any], at: str, root: Any, depth: int) -> str | None:
    if isinstance(value, list):
        for number, item in enumerate(value):
            wrong = _misfit(item, schema.get("items", True), f"{at}[{number}]", root, depth + 1)
            if wrong:
                return wrong
    if isinstance(value, dict):
        properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        missing = [key for key in schema.get("required", ()) if key not in value]
        if missing:
            return f"{', '.join(missing)} missing in {at or 'the arguments'}"
        for key, item in value.items():
            if key not in properties and rest is False:
                known = ", ".join(properties) or "none"
                return f"{key!r} is unknown in {at or 'the arguments'}; the names are: {known}"
            place = f"{at}.{key}" if at else key
            wrong = _misfit(item, properties.get(key, rest), place, root, depth + 1)
            if wrong:
                return wrong
    return None


def _misfit_of_options(value: Any, schema: Mapping[str, Any], at: str, root: Any, depth: int) -> str | None:
    for option in schema.get("allOf", ()):
        wrong = _misfit(value, option, at, root, depth + 1)
        if wrong:
            return wrong
    for union in ("anyOf", "oneOf"):
        if union in schema:
            complaints = [_misfit(value, option, at, root, depth + 1) for option in schema[union]]
            if all(complaints):
                return "; or ".join(str(complaint) for complaint in complaints)
    return None


def _out_of_bounds(value: Any, schema: Mapping[str, Any], name: str) -> str | None:
    size: float | None = None
    least, most, what = "", "", ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        size, least, most = value, "minimum", "maximum"
        if size <= schema.get("exclusiveMinimum", float("-inf")):
            return f"{name} must be above {schema['exclusiveMinimum']}"
        if size >= schema.get("exclusiveMaximum", float("inf")):
            return f"{name} must be below {schema['exclusiveMaximum']}"
    elif isinstance(value, str):
        size, least, most, what = len(value), "minLength", "maxLength", " characters"
    elif isinstance(value, list):
        size, least, most, what = len(value), "minItems", "maxItems", " items"
    if size is None:
        return None
    if size < schema.get(least, size):
        return (
            f"{name} must have at least {schema[least]}{what}" if what else f"{name} is below {schema[least]}"
        )
    if size > schema.get(most, size):
        return f"{name} must have at most {schema[most]}{what}" if what else f"{name} is above {schema[most]}"
    return None


def _same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _referred(reference: Any, root: Any) -> Any:
    found = root
    for part in str(reference).removeprefix("#").split("/")[1:]:
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    # One that points nowhere allows everything: it is the schema that is wrong, not the model.
    return True if found is None else found


def _shown(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
