"""The words between a model's tool calls and what carries them out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    from .definition import Tool

__all__ = ["Progress", "ToolCall", "ToolContext", "ToolExecutor", "ToolOutcome", "WebhookTransport"]

Progress = Callable[["ToolCall", str], Awaitable[None]]
"""Told what a running tool says about itself; the tool waits until it returns."""


@attrs.frozen
class ToolCall:
    """One call that a model asks for. ``arguments`` is JSON text, exactly as the model wrote it."""

    id: str
    name: str
    arguments: str = ""


@attrs.frozen
class ToolContext:
    """The call in which a tool runs; ``control`` is its :class:`CallControl`."""

    call_id: str
    caller: str = ""
    callee: str = ""
    control: Any = None

    def as_mapping(self) -> dict[str, Any]:
        """As a handler of the form ``(arguments, call_context)`` receives it."""
        return {
            "call_id": self.call_id,
            "caller": self.caller,
            "callee": self.callee,
            "control": self.control,
        }


@attrs.frozen
class ToolOutcome:
    """How a tool call went.

    Args:
        id: the id of the call that this answers.
        name: the tool that was asked for.
        content: what the model is told: a handler's text as it is, anything else as JSON; a failure is the
            JSON object ``{"error": …, "fallback": true, …}``.
        ok: whether the tool did what it was asked.
        error: what went wrong, for logs and records; empty when nothing did.
        seconds: how long it took.
    """

    id: str
    name: str
    content: str
    ok: bool
    error: str = ""
    seconds: float = 0.0


class WebhookTransport(Protocol):
    """Carries calls of tools that live behind a web address."""

    def check(self, url: str) -> None:
        """Looks at an address before any call.

        Raises:
            PatterConfigError: it may not be called.
        """
        ...

    async def send(self, url: str, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Any:
        """Posts a call and returns the decoded JSON answer.

        ``attempt`` is added to ``body``. The request is repeated after a failure only with a key, which all
        attempts of one call share.

        Raises:
            ToolError: there is no usable answer.
        """
        ...


@runtime_checkable
class ToolExecutor(Protocol):
    """Carries out the tool calls of an agent; :class:`DefaultToolExecutor` is ours."""

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools by name."""
        ...

    def definitions(self) -> list[dict[str, Any]]:
        """The tools as a model is told about them."""
        ...

    def including(self, tools: Iterable[Tool]) -> ToolExecutor:
        """The same with more tools, for one call.

        Raises:
            PatterConfigError: a name is taken.
        """
        ...

    async def execute_all(
        self, calls: Sequence[ToolCall], context: ToolContext, *, progress: Progress | None = None
    ) -> list[ToolOutcome]:
        """Carries out the calls of one message, side by side; an outcome for each, in their order."""
        ...
