"""A tool as it is written down: what the model is told, and what carries it out."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, overload
from urllib.parse import urlsplit

import attrs

from ..errors import PatterConfigError
from .function import TypedFunction, read_function
from .parameters import checked_parameters, strict_parameters

__all__ = ["DEFAULT_TIMEOUT_SECONDS", "OnBargeIn", "Reassurance", "Tool", "define_tool", "tool"]

OnBargeIn = Literal["cancel", "finish"]

DEFAULT_TIMEOUT_SECONDS = 10.0
_SHORTEST, _LONGEST = 0.1, 300.0
# What every model's API accepts as the name of a function.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


@attrs.frozen
class Reassurance:
    """What the agent says while a tool takes its time: ``message``, once it took ``after_ms``."""

    message: str
    after_ms: int = 1500

    def __attrs_post_init__(self) -> None:
        message: Any = self.message
        after: Any = self.after_ms
        if not isinstance(message, str) or not message.strip():
            raise PatterConfigError(f"a reassurance needs words, not {message!r}")
        if isinstance(after, bool) or not isinstance(after, int) or after < 0:
            raise PatterConfigError(f"after_ms must be a whole number of at least 0, not {after!r}")


def _reassurance(value: Any) -> Reassurance | None:
    if value is None or isinstance(value, Reassurance):
        return value
    if isinstance(value, str):
        return Reassurance(value)
    if isinstance(value, Mapping) and "message" in value and set(value) <= {"message", "after_ms"}:
        return Reassurance(**value)
    raise PatterConfigError(
        f"reassurance={value!r} cannot be said", hint="text, or {'message': text, 'after_ms': 1500}"
    )


def _place(url: str) -> str:
    """A web address without what may be secret in it: names, passwords, the query."""
    return repr(f"{urlsplit(url).scheme}://{urlsplit(url).hostname}/…") if url else "''"


def _by_reference(value: Any) -> str:
    return getattr(value, "__qualname__", None) or type(value).__name__


@attrs.frozen
class Tool:
    """Something that a model may have done for it.

    Args:
        name: letters, digits, ``_`` and ``-``, at most 64.
        description: what it does and when to use it, for the model.
        parameters: the JSON schema of its arguments; ``None`` for a tool without.
        handler: the function that does it, called with ``(arguments, call_context)``. It is async, an async
            generator of ``{"progress": text}`` and at last ``{"result": value}``, or a plain function, which
            runs in a thread so that it holds up no call. It is never run twice for one call.
        webhook_url: the web address that does it instead.
        strict: tells models to keep to the schema; every object is closed and every property required.
        reassurance: said while it takes its time: text, or ``{"message": text, "after_ms": 1500}``.
        timeout_s: seconds that it may take, 0.1 to 300; 10 when left out.
        on_barge_in: ``"cancel"`` ends it when the caller takes the floor; ``"finish"`` lets it finish.
        irreversible: it runs only in a turn that is certain to be answered.

    Raises:
        PatterConfigError: a value is out of range, or there is not exactly one of handler and webhook.
        ToolSchemaError: the parameters are no schema that a model can be told.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    handler: Callable[..., Any] | None = attrs.field(default=None, repr=_by_reference)
    webhook_url: str = attrs.field(default="", repr=_place)
    strict: bool = False
    reassurance: Reassurance | None = attrs.field(default=None, converter=_reassurance)
    timeout_s: float | None = None
    on_barge_in: OnBargeIn = "cancel"
    irreversible: bool = False

    def __attrs_post_init__(self) -> None:
        name: Any = self.name
        if not isinstance(name, str) or not _NAME.match(name):
            raise PatterConfigError(
                f"{name!r} cannot be the name of a tool",
                hint="letters, digits, _ and -, at most 64 of them",
            )
        self._check_values()
        if (self.handler is None) == (not self.webhook_url):
            raise PatterConfigError(f"tool {self.name!r} needs exactly one of handler= and webhook_url=")
        if self.handler is not None:
            _check_handler(self.handler, self.name)
        if self.webhook_url:
            _check_url(self.webhook_url, self.name)
        schema = checked_parameters(self.parameters, self.name)
        if self.strict:
            strict_parameters(schema, self.name)
        object.__setattr__(self, "parameters", schema)

    def _check_values(self) -> None:
        if not isinstance(self.description, str):
            raise PatterConfigError(f"description of {self.name!r} must be text, not {self.description!r}")
        if not isinstance(self.webhook_url, str):
            raise PatterConfigError(f"webhook_url of {self.name!r} must be text")
        for flag in ("strict", "irreversible"):
            if not isinstance(getattr(self, flag), bool):
                raise PatterConfigError(f"{flag} of {self.name!r} must be True or False")
        if self.on_barge_in not in ("cancel", "finish"):
            raise PatterConfigError(
                f"on_barge_in of {self.name!r} must be 'cancel' or 'finish', not {self.on_barge_in!r}"
            )
        seconds: Any = self.timeout_s
        if seconds is not None and (
            isinstance(seconds, bool)
            or not isinstance(seconds, (int, float))
            or not math.isfinite(seconds)
            or not _SHORTEST <= seconds <= _LONGEST
        ):
            raise PatterConfigError(
                f"timeout_s of {self.name!r} must be {_SHORTEST} to {_LONGEST:.0f} seconds, not {seconds!r}"
            )

    @property
    def timeout(self) -> float:
        """Seconds that it may take."""
        return DEFAULT_TIMEOUT_SECONDS if self.timeout_s is None else float(self.timeout_s)

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of the arguments as the model is told it."""
        loose = dict(self.parameters or {})
        return strict_parameters(loose, self.name) if self.strict else loose

    def definition(self) -> dict[str, Any]:
        """What a model is told, in the form of Chat Completions, which all our providers take."""
        function: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "parameters": self.schema,
        }
        if self.strict:
            function["strict"] = True
        return {"type": "function", "function": function}


def _check_handler(handler: Any, name: str) -> None:
    if not callable(handler):
        raise PatterConfigError(f"handler of {name!r} is not a function: {handler!r}")
    if inspect.isgeneratorfunction(getattr(handler, "function", handler)):
        raise PatterConfigError(f"handler of {name!r} is a plain generator", hint="make it `async def`")
    if isinstance(handler, TypedFunction):
        return
    try:
        inspect.signature(handler).bind({}, {})
    except TypeError as error:
        raise PatterConfigError(
            f"handler of {name!r} must take (arguments, call_context): {error}",
            hint="a function with parameters of its own becomes a tool with @tool",
        ) from error
    except ValueError:
        pass  # a builtin, whose signature nobody knows


def _check_url(url: str, name: str) -> None:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise PatterConfigError(
            f"webhook_url of {name!r} is not a web address", hint="like https://example.com/tools/book"
        )


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


# The last one takes any settings, so it overlaps these two; the first that fits is meant.
@overload
def tool(  # pyright: ignore[reportOverlappingOverload]
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str,
    description: str = ...,
    parameters: Mapping[str, Any] | None = ...,
    handler: Callable[..., Any],
    **settings: Any,
) -> Tool: ...


@overload
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str,
    description: str = ...,
    parameters: Mapping[str, Any] | None = ...,
    webhook_url: str,
    **settings: Any,
) -> Tool: ...


@overload
def tool(
    function: None = None,
    /,
    *,
    name: str | None = ...,
    description: str | None = ...,
    **settings: Any,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    handler: Callable[..., Any] | None = None,
    webhook_url: str = "",
    **settings: Any,
) -> Any:
    """Makes a :class:`Tool`.

    As a decorator, bare or with settings, it reads the function: its name, its docstring, and the schema of
    its parameters from their type hints. The function then receives its arguments by name, with their
    types; a parameter annotated as :class:`CallControl`, or one named ``call`` without annotation, receives
    the call. With ``handler=`` or ``webhook_url=`` it takes the same settings as :class:`Tool`::

        @tool
        async def find_order(number: int, call: CallControl) -> str:
            \"\"\"Looks up an order.

            Args:
                number: the number on the invoice.
            \"\"\"

        book = tool(name="book", description="Books a table.", webhook_url="https://example.com/book")

    Raises:
        PatterConfigError: a setting cannot be right.
        ToolSchemaError: the parameters cannot be told to a model.
    """
    if handler is not None or webhook_url:
        if function is not None:
            raise PatterConfigError("@tool decorates a function, so it takes no handler= and no webhook_url=")
        return Tool(
            name or "",
            description or "",
            parameters=parameters,
            handler=handler,
            webhook_url=webhook_url,
            **_known(settings),
        )
    if parameters is not None:
        raise PatterConfigError(
            "parameters= belongs to handler= or webhook_url=",
            hint="@tool reads them from the function; define_tool(…) takes a schema first",
        )

    def made(decorated: Callable[..., Any]) -> Tool:
        if not callable(decorated):
            raise PatterConfigError(f"@tool decorates functions, not {decorated!r}")
        called = name or str(getattr(decorated, "__name__", type(decorated).__name__))
        typed, said, schema = read_function(decorated, called)
        about = said if description is None else description
        return Tool(called, about, parameters=schema, handler=typed, **_known(settings))

    return made if function is None else made(function)


def define_tool(
    name: str,
    description: str,
    parameters: Mapping[str, Any],
    handler: Callable[..., Any],
    **settings: Any,
) -> Tool:
    """A tool from a schema that is already there; ``handler`` takes ``(arguments, call_context)``.

    Raises:
        PatterConfigError: a setting cannot be right.
        ToolSchemaError: the parameters cannot be told to a model.
    """
    return Tool(name, description, parameters=parameters, handler=handler, **_known(settings))


_SETTINGS = frozenset({"strict", "reassurance", "timeout_s", "on_barge_in", "irreversible"})


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(settings) - _SETTINGS)
    if unknown:
        raise PatterConfigError(
            f"a tool has no setting {', '.join(unknown)}", hint=f"it has {', '.join(sorted(_SETTINGS))}"
        )
    return settings
