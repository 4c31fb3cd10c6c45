"""What hears, thinks and speaks in one: an engine."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

import attrs

from ..events import AudioFormat, CallInfo, HearingItem, LLMChunk, Message, Transcript

__all__ = ["Engine", "EngineRequest", "EngineSession", "EngineSound"]


@attrs.frozen
class EngineSound:
    """A piece of an engine's speech, in the call's format. ``item`` is the engine's name for what it says."""

    audio: bytes
    item: str


@attrs.frozen
class EngineRequest:
    """What an engine is asked for: an answer to the conversation so far.

    Args:
        text: words that belong to the caller and were not spoken, such as keys they pressed.
        say: say exactly this instead of an answer.
    """

    text: str = ""
    say: str = ""


class EngineSession(Protocol):
    """An engine's end of one call. It takes no turns by itself: the call says when it is to speak.

    As an iterator it gives what the caller said: interim transcripts, and one final transcript for each
    :meth:`commit`, in their order, an empty one where nothing was understood. It ends once no more sound
    comes and those are given, and raises when the far side is lost.
    """

    def __aiter__(self) -> EngineSession:
        """Itself."""
        ...

    async def __anext__(self) -> Transcript:
        """The next transcript of the caller."""
        ...

    async def hear(self, item: HearingItem) -> None:
        """Takes the caller's sound in blocks, and the detector's edges between them."""
        ...

    def finish(self) -> None:
        """No more sound will come."""
        ...

    def commit(self) -> bool:
        """The caller has finished: what was heard is theirs to be answered. ``False`` if there is nothing."""
        ...

    def forget(self) -> None:
        """What was heard since the last commit was a noise, and is nobody's to answer."""
        ...

    def update(self, instructions: str, tools: Sequence[Mapping[str, Any]]) -> None:
        """From now on these are the instructions and the tools (in the shape of Chat Completions)."""
        ...

    def respond(
        self, request: EngineRequest
    ) -> AbstractAsyncContextManager[AsyncIterable[EngineSound | LLMChunk]]:
        """Speaks: sound comes, and chunks with its ``text``, its ``tool_call``s, its ``usage``, and ``done``.

        A ``text`` chunk has the item that it belongs to for its ``id``. Leaving the context early stops the
        engine. One response at a time.
        """
        ...

    def give_result(self, call_id: str, result: str) -> None:
        """What came of a tool call. A call that has none by the next :meth:`respond` was cancelled."""
        ...

    def truncate(self, item: str, heard_ms: int) -> None:
        """The caller has heard so much of what was said under that name, and the rest was never said."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Speech to speech: ears, model and voice behind one connection."""

    @property
    def name(self) -> str:
        """A short name for metrics and logs."""
        ...

    @property
    def model(self) -> str:
        """The model's own name."""
        ...

    def open_session(
        self, audio: AudioFormat, call: CallInfo, memory: Sequence[Message] = ()
    ) -> AbstractAsyncContextManager[EngineSession]:
        """Connects for one call, or for what is left of it: ``memory`` is what was said before.

        ``audio`` is the format of the call, both ways. Raise when the far side cannot be had.
        """
        ...
