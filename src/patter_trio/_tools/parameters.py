"""The schema of a tool's parameters: checked when the tool is built, and made strict where that is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..errors import ToolSchemaError
from .fit import misfit
from .schema import accepts_none

__all__ = ["checked_parameters", "strict_parameters", "without_nulls"]

_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
# Keywords that hold one schema, several, or several by name.
_ONE = ("items", "additionalProperties", "not")
_SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "$defs", "definitions")
_DEEPEST = 32


def checked_parameters(parameters: Any, tool: str) -> dict[str, Any]:
    """A copy of the schema; nothing at all means no parameters.

    Raises:
        ToolSchemaError: it is no JSON schema of an object, or requires what it does not describe.
    """
    if parameters is None:
        return {"type": "object", "properties": {}}
    where = f"parameters of {tool!r}"
    if not isinstance(parameters, Mapping):
        raise ToolSchemaError(f"{where} must be a JSON schema, not {type(parameters).__name__}")
    try:
        copy = msgspec.json.decode(msgspec.json.encode(parameters))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ToolSchemaError(f"{where} cannot be written as JSON: {error}") from error
    schema: dict[str, Any] = copy
    if schema.get("type") != "object":
        raise ToolSchemaError(
            f"{where} must have the type 'object' at its root, not {schema.get('type')!r}",
            hint="arguments have names: {'type': 'object', 'properties': {…}}",
        )
    schema.setdefault("properties", {})
    _check(schema, where, 0)
    return schema


def _check(schema: Any, where: str, depth: int) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise ToolSchemaError(f"{where} must be a schema, not {schema!r}")
    if depth > _DEEPEST:
        raise ToolSchemaError(f"{where} is nested deeper than {_DEEPEST} levels")
    _check_type(schema.get("type", []), where)
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(properties, dict):
        raise ToolSchemaError(f"{where}: properties must be a mapping of names to schemas")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise ToolSchemaError(f"{where}: required must be a list of names")
    unknown = [name for name in required if name not in properties]
    if unknown:
        raise ToolSchemaError(
            f"{where}: {', '.join(unknown)} required but not among the properties",
            hint="describe each required name in properties",
        )
    if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
        raise ToolSchemaError(f"{where}: enum must be a list of at least one value")
    for keyword in _SEVERAL:
        if keyword in schema and not (isinstance(schema[keyword], list) and schema[keyword]):
            raise ToolSchemaError(f"{where}: {keyword} must be a list of schemas")
    for inner, place in _inner(schema):
        _check(inner, f"{where}, {place}", depth + 1)


def _check_type(kinds: Any, where: str) -> None:
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if not isinstance(kind, str) or kind not in _TYPES:
            raise ToolSchemaError(
                f"{where}: {kind!r} is not a type of JSON schema", hint=f"one of {', '.join(sorted(_TYPES))}"
            )


def _inner(schema: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    for keyword in _ONE:
        if keyword in schema:
            yield schema[keyword], keyword
    for keyword in _SEVERAL:
        for number, inner in enumerate(schema.get(keyword, ())):
            yield inner, f"{keyword} {number + 1}"
    for keyword in _NAMED:
        named = schema.get(keyword, {})
        for name, inner in named.items() if isinstance(named, dict) else ():
            yield inner, name


def strict_parameters(schema: dict[str, Any], tool: str) -> dict[str, Any]:
    """The schema as strict models want it: each object closed, each property required.

    A property that may be left out becomes one that may be ``null``; :func:`without_nulls` is the way back.

    Raises:
        ToolSchemaError: an object takes names that the schema does not list.
    """
    strict = dict(schema)
    for keyword in _ONE:
        if isinstance(strict.get(keyword), dict) and keyword != "additionalProperties":
            strict[keyword] = strict_parameters(strict[keyword], tool)
    for keyword in _SEVERAL:
        if keyword in strict:
            strict[keyword] = [
                strict_parameters(inner, tool) if isinstance(inner, dict) else inner
                for inner in strict[keyword]
            ]
    for keyword in _NAMED:
        if keyword in strict:
            strict[keyword] = {
                name: strict_parameters(inner, tool) if isinstance(inner, dict) else inner
                for name, inner in strict[keyword].items()
            }
    kinds = strict.get("type", [])
    if "properties" in strict or kinds == "object" or "object" in kinds:
        if strict.get("additionalProperties"):
            raise ToolSchemaError(
                f"{tool!r} is strict, and takes names that it does not list",
                hint="list them as properties, or use strict=False",
            )
        needed = strict.get("required", [])
        properties = {
            name: inner if name in needed else _or_null(inner)
            for name, inner in strict.get("properties", {}).items()
        }
        strict.update(properties=properties, required=list(properties), additionalProperties=False)
    return strict


def _or_null(schema: Any) -> Any:
    if not isinstance(schema, dict) or accepts_none(schema):
        return schema
    kind = schema.get("type")
    if kind is None or "const" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    nullable = {**schema, "type": [*(kind if isinstance(kind, list) else [kind]), "null"]}
    if "enum" in schema:
        nullable["enum"] = [*schema["enum"], None]
    return nullable


def without_nulls(value: Any, schema: Any) -> Any:
    """The value without the ``null`` of each property that may be left out but may not be ``null``."""
    if not isinstance(schema, dict):
        return value
    for union in ("anyOf", "oneOf"):
        for option in schema.get(union, ()):
            cleaned = without_nulls(value, option)
            if misfit(cleaned, option) is None:
                return cleaned
    if isinstance(value, list):
        return [without_nulls(item, schema.get("items")) for item in value]
    if not isinstance(value, dict):
        return value
    properties, needed = schema.get("properties", {}), schema.get("required", [])
    return {
        name: without_nulls(item, properties.get(name))
        for name, item in value.items()
        if item is not None
        or name in needed
        or name not in properties
        or not isinstance(properties[name], dict)
        or accepts_none(properties[name])
    }
