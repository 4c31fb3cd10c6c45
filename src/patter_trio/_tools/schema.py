"""JSON schema from type hints, written out in place: not every model understands references."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import inspect
import types
import typing
import uuid
from collections import abc
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
import msgspec

from ..errors import ToolSchemaError
from .docstrings import read_docstring

__all__ = ["accepts_none", "resolve", "schema_of"]

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    decimal.Decimal: {"type": "string", "format": "decimal"},
}
_LISTS = (list, abc.Sequence, abc.Iterable, abc.Collection)
_SETS = (set, frozenset, abc.Set)
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
_JSON_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", type(None): "null"}


def schema_of(hint: Any, where: str, inside: tuple[Any, ...] = ()) -> dict[str, Any]:
    """The schema of a type hint; ``where`` names it in an error.

    Raises:
        ToolSchemaError: the hint means nothing in JSON.
    """
    if hint is Any or hint is object:
        return {}
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(args, where, inside)
    if origin in (Union, types.UnionType):
        return _union(args, where, inside)
    if origin is Literal:
        return _choices(args, where)
    if origin in (typing.Required, typing.NotRequired):
        return schema_of(args[0], where, inside)
    kind = origin or hint
    if kind in _LISTS:
        return {"type": "array", **_items(args, where, inside)}
    if kind in _SETS:
        return {"type": "array", "uniqueItems": True, **_items(args, where, inside)}
    if kind is tuple:
        return _tuple(args, where, inside)
    if kind in _MAPPINGS:
        return _mapping(args, where, inside)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _choices(tuple(member.value for member in hint), where)
    fields = _fields(hint, where) if isinstance(hint, type) else None
    if fields is None:
        raise ToolSchemaError(
            f"{where}: {_spelled(hint)} has no JSON schema",
            hint="use plain types, lists, dicts, Literal, Enum, TypedDict, a dataclass or an attrs class, "
            "or write parameters= yourself",
        )
    if hint in inside:
        raise ToolSchemaError(f"{where}: {_spelled(hint)} contains itself, which models cannot be told")
    return _record(hint, fields, where, (*inside, hint))


def accepts_none(schema: abc.Mapping[str, Any]) -> bool:
    """Whether ``null`` certainly fits; what a reference means is not looked up."""
    if "$ref" in schema:
        return False
    kind = schema.get("type")
    if "enum" in schema:
        return None in schema["enum"]
    if isinstance(kind, str):
        return kind == "null"
    if isinstance(kind, (list, tuple)):
        return "null" in kind
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return any(accepts_none(option) for option in schema[union])
    if "allOf" in schema:
        return all(accepts_none(part) for part in schema["allOf"])
    return "const" not in schema or schema["const"] is None


def resolve(annotation: Any, scope: abc.Mapping[str, Any], where: str) -> Any:
    """The type that an annotation names, also one that was left as text.

    Raises:
        ToolSchemaError: a name in it is unknown at run time.
    """
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(holder, globalns=dict(scope), include_extras=True)["it"]
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise ToolSchemaError(
            f"{where}: the annotation {annotation!r} cannot be read: {error}",
            hint="import the names it uses at run time and on module level",
        ) from error


def _annotated(args: tuple[Any, ...], where: str, inside: tuple[Any, ...]) -> dict[str, Any]:
    schema = schema_of(args[0], where, inside)
    for extra in args[1:]:
        said = extra if isinstance(extra, str) else getattr(extra, "description", None)
        if isinstance(said, str):
            schema["description"] = said
    return schema


def _union(args: tuple[Any, ...], where: str, inside: tuple[Any, ...]) -> dict[str, Any]:
    options = [schema_of(arg, where, inside) for arg in args]
    if {} in options:
        return {}
    if all(set(option) == {"type"} for option in options):
        return {"type": [option["type"] for option in options]}
    if len(options) == 2 and {"type": "null"} in options:
        (option,) = (option for option in options if option != {"type": "null"})
        if isinstance(option.get("type"), str):
            option["type"] = [option["type"], "null"]
            if "enum" in option:
                option["enum"].append(None)
            return option
    return {"anyOf": options}


def _choices(values: tuple[Any, ...], where: str) -> dict[str, Any]:
    kinds = []
    for value in values:
        if type(value) not in _JSON_TYPES:
            raise ToolSchemaError(
                f"{where}: {value!r} cannot be one of a choice", hint="text or whole numbers"
            )
        if _JSON_TYPES[type(value)] not in kinds:
            kinds.append(_JSON_TYPES[type(value)])
    if not values:
        raise ToolSchemaError(f"{where}: a choice of nothing")
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": list(values)}


def _items(args: tuple[Any, ...], where: str, inside: tuple[Any, ...]) -> dict[str, Any]:
    return {"items": schema_of(args[0], f"{where}[]", inside)} if args else {"items": {}}


def _tuple(args: tuple[Any, ...], where: str, inside: tuple[Any, ...]) -> dict[str, Any]:
    if len(args) == 2 and args[1] is Ellipsis:
        return {"type": "array", **_items(args, where, inside)}
    options: list[dict[str, Any]] = []
    for arg in args:
        option = schema_of(arg, f"{where}[]", inside)
        if option not in options:
            options.append(option)
    # Positions of their own are what few models understand; the conversion checks them afterwards.
    items = options[0] if len(options) == 1 else {"anyOf": options} if options else {}
    length = {"minItems": len(args), "maxItems": len(args)} if args else {}
    return {"type": "array", "items": items, **length}


def _mapping(args: tuple[Any, ...], where: str, inside: tuple[Any, ...]) -> dict[str, Any]:
    if args and args[0] not in (str, Any):
        raise ToolSchemaError(f"{where}: the keys of a mapping are text in JSON, not {_spelled(args[0])}")
    values = schema_of(args[1], f"{where}{{}}", inside) if args else {}
    return {"type": "object", "additionalProperties": values or True}


def _fields(kind: type, where: str) -> dict[str, tuple[Any, bool]] | None:
    """The fields of a record as they stand in JSON: type, and whether it must be given."""
    scope = vars(inspect.getmodule(kind) or typing)

    def read(name: str, annotation: Any) -> Any:
        return resolve(annotation, scope, f"{where}.{name}")

    if typing.is_typeddict(kind):
        hints = {name: read(name, annotation) for name, annotation in _annotations(kind).items()}
        needed: abc.Set[str] = kind.__required_keys__  # type: ignore[attr-defined]
        return {name: (hint, _is_required(hint, name in needed)) for name, hint in hints.items()}
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        return {
            field.name: (
                read(field.name, field.type),
                field.default is missing and field.default_factory is missing,
            )
            for field in dataclasses.fields(kind)
            if field.init
        }
    if attrs.has(kind):
        return {
            field.name: (read(field.name, field.type or Any), field.default is attrs.NOTHING)
            for field in attrs.fields(kind)
            if field.init
        }
    if issubclass(kind, msgspec.Struct):
        return {
            field.encode_name: (read(field.name, field.type), field.required)
            for field in msgspec.structs.fields(kind)
        }
    return None


def _annotations(kind: type) -> dict[str, Any]:
    # A TypedDict keeps the annotations it inherits; as text they became ForwardRefs.
    return {
        name: hint.__forward_arg__ if isinstance(hint, typing.ForwardRef) else hint
        for name, hint in kind.__annotations__.items()
    }


def _is_required(hint: Any, otherwise: bool) -> bool:
    # With annotations as text, Required[…] and NotRequired[…] are unknown to the class itself.
    if get_origin(hint) is typing.NotRequired:
        return False
    return get_origin(hint) is typing.Required or otherwise


def _record(
    kind: type, fields: dict[str, tuple[Any, bool]], where: str, inside: tuple[Any, ...]
) -> dict[str, Any]:
    _, meanings = read_docstring(kind.__doc__)
    properties = {}
    for name, (hint, _) in fields.items():
        properties[name] = schema_of(hint, f"{where}.{name}", inside)
        if name in meanings:
            properties[name].setdefault("description", meanings[name])
    required = [name for name, (_, needed) in fields.items() if needed]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _spelled(hint: Any) -> str:
    return getattr(hint, "__qualname__", None) or repr(hint)
