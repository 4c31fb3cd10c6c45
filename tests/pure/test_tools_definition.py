"""Tools as they are written down: what a model is told, and what is refused when a tool is built."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import re
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio import CallControl
from patter_trio._tools.docstrings import read_docstring
from patter_trio._tools.fit import misfit
from patter_trio._tools.parameters import strict_parameters, without_nulls
from patter_trio.errors import PatterConfigError, ToolSchemaError
from patter_trio.tools import Reassurance, Tool, define_tool, tool


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Address(TypedDict):
    """Where to.

    Args:
        street: with the number.
    """

    street: str
    floor: NotRequired[int]


@dataclasses.dataclass
class Line:
    item: Annotated[str, "what to bring"]
    count: int = 1


@attrs.frozen
class Order:
    lines: list[Line]
    address: Address


@attrs.frozen
class Folder:
    inside: list[Folder]


def properties(made: Tool) -> dict[str, Any]:
    found: dict[str, Any] = made.schema["properties"]
    return found


# --- from functions -----------------------------------------------------------------------------------------


def test_a_decorated_function_tells_its_name_its_docstring_and_its_arguments() -> None:
    @tool
    async def find_order(number: int, name: str = "nobody") -> str:
        """Looks up an order.

        Use it when the caller asks.

        Args:
            number: the number on
                the invoice.
            name (str): who asks.

        Returns:
            the order.
        """
        return f"{number} {name}"

    assert find_order.definition() == {
        "type": "function",
        "function": {
            "name": "find_order",
            "description": "Looks up an order.\n\nUse it when the caller asks.",
            "parameters": {
                "type": "object",
                "properties": {
                    "number": {"type": "integer", "description": "the number on the invoice."},
                    "name": {"type": "string", "description": "who asks.", "default": "nobody"},
                },
                "required": ["number"],
                "additionalProperties": False,
            },
        },
    }


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (float, {"type": "number"}),
        (Any, {}),
        (datetime.date, {"type": "string", "format": "date"}),
        (int | None, {"type": ["integer", "null"]}),
        (int | str, {"type": ["integer", "string"]}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a", "b"] | None, {"type": ["string", "null"], "enum": ["a", "b", None]}),
        (Size, {"type": "string", "enum": ["small", "large"]}),
        (list[Size], {"type": "array", "items": {"type": "string", "enum": ["small", "large"]}}),
        (list, {"type": "array", "items": {}}),
        (set[int], {"type": "array", "uniqueItems": True, "items": {"type": "integer"}}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (tuple[int, int], {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (dict, {"type": "object", "additionalProperties": True}),
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (list[int] | None, {"type": ["array", "null"], "items": {"type": "integer"}}),
        (int | list[int], {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}),
    ],
)
def test_type_hints_become_schema(hint: Any, schema: dict[str, Any]) -> None:
    def function(it: Any) -> None: ...

    function.__annotations__["it"] = hint
    assert properties(tool(function))["it"] == schema


def test_records_are_written_out_in_place() -> None:
    @tool
    def place(order: Order) -> None: ...

    assert properties(place)["order"] == {
        "type": "object",
        "properties": {
            "lines": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "item": {"type": "string", "description": "what to bring"},
                        "count": {"type": "integer"},
                    },
                    "required": ["item"],
                    "additionalProperties": False,
                },
            },
            "address": {
                "type": "object",
                "properties": {
                    "street": {"type": "string", "description": "with the number."},
                    "floor": {"type": "integer"},
                },
                "required": ["street"],
                "additionalProperties": False,
            },
        },
        "required": ["lines", "address"],
        "additionalProperties": False,
    }


def test_the_control_of_the_call_is_not_an_argument() -> None:
    @tool
    def by_type(number: int, line: CallControl) -> None: ...

    @tool
    def maybe(number: int, line: CallControl | None = None) -> None: ...

    @tool
    def by_name(number: int, call) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001

    def unimported(number: int, line: Any) -> None: ...

    unimported.__annotations__["line"] = "known_to_the_checker_only.CallControl | None"

    for made in (by_type, maybe, by_name, tool(unimported)):
        assert list(properties(made)) == ["number"]


def test_an_argument_may_be_named_call_if_it_has_a_type() -> None:
    @tool
    def rate(call: int) -> None: ...

    assert properties(rate) == {"call": {"type": "integer"}}


@pytest.mark.parametrize("hint", [object(), bytearray, Folder, dict[int, str], Literal[1.5], "NoSuchName"])
def test_a_hint_that_means_nothing_in_json_is_refused(hint: Any) -> None:
    def function(it: Any) -> None: ...

    function.__annotations__["it"] = hint
    with pytest.raises(ToolSchemaError, match="'function', parameter 'it'"):
        tool(function)


def test_arguments_without_a_name_are_refused() -> None:
    def many(*them: int) -> None: ...
    def any_name(**them: int) -> None: ...
    def bare(it: int, /) -> None: ...

    for function in (many, any_name, bare):
        with pytest.raises(ToolSchemaError, match="no name"):
            tool(function)


def test_the_decorator_takes_settings() -> None:
    @tool(
        name="book", description="Books.", timeout_s=3, strict=True, on_barge_in="finish", irreversible=True
    )
    async def function(day: str) -> None:
        """Not this."""

    assert (function.name, function.description, function.timeout) == ("book", "Books.", 3.0)
    assert (function.strict, function.on_barge_in, function.irreversible) == (True, "finish", True)


def test_a_decorated_function_can_still_be_called() -> None:
    @tool
    def double(number: int) -> int:
        return 2 * number

    assert double.handler is not None
    assert double.handler(4) == 8


# --- strict -------------------------------------------------------------------------------------------------


def test_strict_closes_every_object_and_requires_every_property() -> None:
    @tool(strict=True)
    def place(order: Order, size: Size = Size.SMALL, note: str | None = None) -> None: ...

    function = place.definition()["function"]
    assert function["strict"] is True
    schema = function["parameters"]
    assert schema["required"] == ["order", "size", "note"]
    assert schema["properties"]["size"] == {"type": ["string", "null"], "enum": ["small", "large", None]}
    line = schema["properties"]["order"]["properties"]["lines"]["items"]
    assert line["required"] == ["item", "count"]
    assert line["properties"]["count"] == {"type": ["integer", "null"]}
    assert line["additionalProperties"] is False


def test_strict_refuses_an_object_with_any_names() -> None:
    def function(them: dict[str, int]) -> None: ...

    tool(function)
    with pytest.raises(ToolSchemaError, match="strict=False"):
        tool(strict=True)(function)


SCHEMAS = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": ["integer", "null"]}, {"enum": ["a"]}, {"const": 1}]),
    lambda inner: st.one_of(
        inner.map(lambda each: {"type": "array", "items": each}),
        st.lists(inner, min_size=1, max_size=2).map(lambda options: {"anyOf": options}),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).flatmap(
            lambda named: st.sets(st.sampled_from("abc")).map(
                lambda needed: {
                    "type": "object",
                    "properties": named,
                    "required": sorted(needed & set(named)),
                }
            )
        ),
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_strict_is_complete_and_on_one_line(schema: dict[str, Any]) -> None:
    strict = strict_parameters(schema, "it")
    assert strict_parameters(strict, "it") == strict

    def look(each: Any) -> None:
        if isinstance(each, Mapping):
            if each.get("type") == "object" or "properties" in each:
                assert each["additionalProperties"] is False
                assert each["required"] == list(each["properties"])
            for inner in each.values():
                look(inner)
        elif isinstance(each, list):
            for inner in each:
                look(inner)

    look(strict)


def test_nulls_that_only_strictness_asked_for_are_taken_out() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "required": ["kept"],
        "properties": {
            "kept": {"type": ["string", "null"]},
            "left": {"type": "integer"},
            "free": {"type": ["integer", "null"]},
            "deep": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "string"}}}},
            "one": {
                "anyOf": [{"type": "string"}, {"type": "object", "properties": {"x": {"type": "string"}}}]
            },
            "named": {"$ref": "#/$defs/text"},
        },
        "$defs": {"text": {"type": "string"}},
    }
    given_by_model: dict[str, Any] = {
        "kept": None,
        "left": None,
        "free": None,
        "deep": [{"x": None}],
        "one": {"x": None},
    }
    given_by_model["named"] = None
    assert without_nulls(given_by_model, schema) == {"kept": None, "free": None, "deep": [{}], "one": {}}
    named = strict_parameters(schema, "it")["properties"]["named"]
    assert named == {"anyOf": [{"$ref": "#/$defs/text"}, {"type": "null"}]}


# --- what is refused ----------------------------------------------------------------------------------------


def answer(arguments: dict[str, Any], context: dict[str, Any]) -> str:
    return "yes"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"name": ""}, "cannot be the name"),
        ({"name": "no spaces"}, "cannot be the name"),
        ({"name": "x" * 65}, "cannot be the name"),
        ({"name": 3}, "cannot be the name"),
        ({"description": 3}, "description"),
        ({"handler": None}, "exactly one"),
        ({"webhook_url": "https://example.com"}, "exactly one"),
        ({"handler": "answer"}, "not a function"),
        ({"handler": lambda: None}, r"\(arguments, call_context\)"),
        ({"handler": None, "webhook_url": "ftp://example.com"}, "not a web address"),
        ({"handler": None, "webhook_url": "https://"}, "not a web address"),
        ({"handler": None, "webhook_url": "https://[::1"}, "not a web address"),
        ({"webhook_url": 5}, "webhook_url"),
        ({"timeout_s": 0.05}, "timeout_s"),
        ({"timeout_s": 301}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"timeout_s": True}, "timeout_s"),
        ({"strict": "yes"}, "strict"),
        ({"irreversible": 1}, "irreversible"),
        ({"on_barge_in": "ignore"}, "on_barge_in"),
        ({"reassurance": ""}, "reassurance"),
        ({"reassurance": {"after_ms": 3}}, "reassurance"),
        ({"reassurance": {"message": "wait", "when": 3}}, "reassurance"),
        ({"reassurance": {"message": "wait", "after_ms": -1}}, "after_ms"),
    ],
)
def test_a_tool_that_cannot_be_is_refused_when_it_is_built(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PatterConfigError, match=complaint):
        Tool(**{"name": "ask", "handler": answer, **settings})


@pytest.mark.parametrize(
    "parameters",
    [
        [],
        {"type": "array"},
        {"properties": {}},
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": 3}},
        {"type": "object", "properties": {"a": {"type": "text"}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": {"type": ["string", 5]}}}},
        {"type": "object", "properties": {"a": {}}, "required": ["b"]},
        {"type": "object", "properties": {"a": {}}, "required": "a"},
        {"type": "object", "properties": {"a": {"enum": []}}},
        {"type": "object", "properties": {"a": {"anyOf": []}}},
        {"type": "object", "properties": {"a": {"default": object()}}},
    ],
)
def test_parameters_that_are_no_schema_are_refused(parameters: Any) -> None:
    with pytest.raises(ToolSchemaError):
        Tool("ask", parameters=parameters, handler=answer)


def test_settings_that_a_tool_does_not_have_are_named() -> None:
    with pytest.raises(PatterConfigError, match="retries"):
        define_tool("ask", "Asks.", {"type": "object"}, answer, retries=3)
    with pytest.raises(PatterConfigError, match="retries"):
        tool(retries=3)(lambda: None)
    with pytest.raises(PatterConfigError, match="parameters="):
        tool(name="ask", parameters={"type": "object"})


def test_a_plain_generator_is_refused() -> None:
    def steps() -> Any:
        yield {"result": 1}

    with pytest.raises(PatterConfigError, match="async def"):
        tool(steps)


def test_the_three_ways_to_say_it_agree() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    made = Tool("ask", "Asks.", parameters=schema, handler=answer)
    assert define_tool("ask", "Asks.", schema, answer) == made
    assert tool(name="ask", description="Asks.", parameters=schema, handler=answer) == made


def test_changing_the_schema_afterwards_changes_no_tool() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    made = Tool("ask", parameters=schema, handler=answer)
    schema["type"] = "array"
    assert made.schema["type"] == "object"


def test_reassurance_is_words_or_words_with_a_time() -> None:
    def told(reassurance: Any) -> Any:
        return Tool("ask", handler=answer, reassurance=reassurance).reassurance

    assert told(None) is None
    assert told("One moment.") == Reassurance("One moment.", 1500)
    assert told({"message": "One moment.", "after_ms": 300}) == Reassurance("One moment.", 300)


def test_what_may_be_secret_in_an_address_is_not_shown() -> None:
    made = Tool("ask", webhook_url="https://me:word@example.com/hook?token=t0ken")
    assert "word" not in repr(made)
    assert "t0ken" not in repr(made)
    assert "example.com" in repr(made)


# --- docstrings and arguments -------------------------------------------------------------------------------


@given(st.text())
def test_any_docstring_can_be_read(text: str) -> None:
    description, meanings = read_docstring(text)
    assert isinstance(description, str)
    assert all(name.isidentifier() or name.isalnum() or "_" in name for name in meanings)


def test_sections_end_the_arguments() -> None:
    said = """Does it.

    Args:
        a: first: with a colon.
        b (dict[str, int], optional): second
          goes on.

    Raises:
        c: never.
    """
    assert read_docstring(said) == ("Does it.", {"a": "first: with a colon.", "b": "second goes on."})


@pytest.mark.parametrize(
    ("value", "schema", "complaint"),
    [
        ({"a": "1"}, {"properties": {"a": {"type": "integer"}}}, "a must be integer, not '1'"),
        ({"a": True}, {"properties": {"a": {"type": "integer"}}}, "a must be integer"),
        ({"a": 1.5}, {"properties": {"a": {"type": "integer"}}}, "a must be integer"),
        ({"a": 1.0}, {"properties": {"a": {"type": "integer"}}}, None),
        ({}, {"properties": {"a": {}}, "required": ["a"]}, "a missing in the arguments"),
        ({"b": 1}, {"properties": {"a": {}}, "additionalProperties": False}, "'b' is unknown"),
        ({"b": 1}, {"additionalProperties": {"type": "string"}}, "b must be string"),
        ({"a": "c"}, {"properties": {"a": {"enum": ["x", 1]}}}, "a must be one of 'x', 1"),
        ({"a": True}, {"properties": {"a": {"enum": [1]}}}, "a must be one of 1"),
        ({"a": 2}, {"properties": {"a": {"const": 1}}}, "a must be 1"),
        ({"a": [1, "x"]}, {"properties": {"a": {"items": {"type": "integer"}}}}, r"a\[1\] must be integer"),
        ({"a": 1}, {"properties": {"a": {"minimum": 2}}}, "a is below 2"),
        ({"a": 3}, {"properties": {"a": {"maximum": 2}}}, "a is above 2"),
        ({"a": 2}, {"properties": {"a": {"exclusiveMinimum": 2}}}, "above 2"),
        ({"a": 2}, {"properties": {"a": {"exclusiveMaximum": 2}}}, "below 2"),
        ({"a": ""}, {"properties": {"a": {"minLength": 1}}}, "at least 1 characters"),
        ({"a": [1, 2]}, {"properties": {"a": {"maxItems": 1}}}, "at most 1 items"),
        ({"a": 1}, {"properties": {"a": False}}, "nothing is allowed"),
        ({"a": None}, {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}, None),
        ({"a": 1}, {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}, "or a must be"),
        ({"a": 1}, {"properties": {"a": {"allOf": [{"type": "string"}]}}}, "a must be string"),
        (
            {"a": 1},
            {"properties": {"a": {"$ref": "#/$defs/s"}}, "$defs": {"s": {"type": "string"}}},
            "string",
        ),
        ({"a": 1}, {"properties": {"a": {"$ref": "#"}}, "$ref": "#"}, None),
        ({"a": 1}, {"properties": {"a": {"$ref": "#/nowhere"}}}, None),
    ],
)
def test_arguments_that_do_not_fit_are_told_apart(
    value: Any, schema: dict[str, Any], complaint: str | None
) -> None:
    wrong = misfit(value, schema)
    if complaint is None:
        assert wrong is None
    else:
        assert wrong is not None
        assert re.search(complaint, wrong)


async def _steps() -> AsyncIterator[dict[str, Any]]:
    yield {"result": 1}


def test_an_async_generator_may_be_a_tool() -> None:
    assert tool(_steps).name == "_steps"
