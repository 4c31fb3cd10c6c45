"""A typed function as a tool: what its signature tells a model, and how arguments reach it."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, get_args

import attrs
import msgspec

from ..errors import ToolSchemaError
from .contracts import ToolContext
from .docstrings import read_docstring
from .schema import resolve, schema_of

__all__ = ["TypedFunction", "read_function"]

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@attrs.frozen
class TypedFunction:
    """The handler of a ``@tool`` function. Called, it is the function itself.

    Args:
        function: what the user wrote.
        hints: the type of each argument that the model gives.
        control: the parameter that receives the call's :class:`CallControl`, if there is one.
    """

    function: Callable[..., Any]
    hints: Mapping[str, Any]
    control: str | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function as it was written."""
        return self.function(*args, **kwargs)

    def bind(self, arguments: Mapping[str, Any], context: ToolContext) -> functools.partial[Any]:
        """The function with its arguments, turned from JSON into the types it is annotated with.

        Raises:
            msgspec.ValidationError: an argument does not have its type.
        """
        given = {
            # Not strict, for JSON knows one kind of number; all else was checked against the schema.
            name: msgspec.convert(value, self.hints[name], strict=False)
            for name, value in arguments.items()
        }
        if self.control is not None:
            given[self.control] = context.control
        return functools.partial(self.function, **given)


def read_function(function: Callable[..., Any], tool: str) -> tuple[TypedFunction, str, dict[str, Any]]:
    """The function as a handler, its description, and the schema of its parameters.

    Raises:
        ToolSchemaError: a parameter is of a kind that a model cannot give.
    """
    where = f"tool {tool!r}"
    bare = inspect.unwrap(function.func if isinstance(function, functools.partial) else function)
    scope = {**vars(typing), **getattr(bare, "__globals__", {})}
    scope.update(_enclosing(bare))
    description, meanings = read_docstring(inspect.getdoc(bare))
    hints: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    control = None
    for parameter in inspect.signature(function).parameters.values():
        name, place = parameter.name, f"{where}, parameter {parameter.name!r}"
        if _is_control(parameter):
            control = name
            continue
        if parameter.kind not in _NAMED:
            raise ToolSchemaError(
                f"{place} has no name that a model could give",
                hint="no *args, no **kwargs and no positional-only parameters, or write parameters= yourself",
            )
        annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
        hint = resolve(annotation, scope, place)
        if _control_class(hint):
            control = name
            continue
        hints[name] = hint
        properties[name] = _property(hint, parameter.default, meanings.get(name), place)
        if parameter.default is parameter.empty:
            required.append(name)
    schema = {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }
    return TypedFunction(function, hints, control), description, schema


def _property(hint: Any, default: Any, meaning: str | None, place: str) -> dict[str, Any]:
    schema = schema_of(hint, place)
    try:
        msgspec.json.Decoder(hint)
    except (TypeError, NameError) as error:
        raise ToolSchemaError(f"{place}: {error}", hint="or write parameters= yourself") from error
    if meaning:
        schema.setdefault("description", meaning)
    if isinstance(default, (str, int, float, bool)):
        schema["default"] = default
    return schema


def _is_control(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return parameter.name == "call"
    if isinstance(annotation, str):
        # Also where it is imported for the type checker only.
        return "CallControl" in annotation.replace("|", " ").replace(".", " ").split()
    return _control_class(annotation)


def _control_class(hint: Any) -> bool:
    """Whether it is the control of a call, which lives on a floor above and is known here by its name."""
    ours = (__package__ or "").partition(".")[0]
    classes = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type)]
    return any(
        base.__name__ == "CallControl" and base.__module__.partition(".")[0] == ours
        for kind in classes
        for base in kind.__mro__
    )


def _enclosing(function: Any) -> dict[str, Any]:
    """The names that a nested function took from around it, which its annotations may use."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    found = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # not bound yet
    return found
