"""The seven speech-edge callbacks of one call, and its events as something to iterate over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, overload

import trio

from .._actors.channels import LossySender, open_lossy_channel
from .._actors.observe import Listener
from .._foreign import call_back
from ..events import (
    AgentSpeechEnded,
    AgentSpeechStarted,
    AudioOut,
    CallEnded,
    CallEvent,
    LlmToken,
    UserSpeechEnded,
    UserSpeechEos,
    UserSpeechStarted,
)

__all__ = ["SPEECH_EDGES", "EventStream", "SpeechEventCallback", "TellsSpeechEdges", "speech_payload"]

SpeechEventCallback = Callable[[dict[str, Any]], Awaitable[None] | None]

SPEECH_EDGES: Mapping[str, type[CallEvent]] = {
    "on_user_speech_started": UserSpeechStarted,
    "on_user_speech_ended": UserSpeechEnded,
    "on_user_speech_eos": UserSpeechEos,
    "on_agent_speech_started": AgentSpeechStarted,
    "on_agent_speech_ended": AgentSpeechEnded,
    "on_llm_token": LlmToken,
    "on_audio_out": AudioOut,
}
"""Which event each of the callbacks is told of."""

# Less than a listener has, so that a callback that hangs is named and not its neighbours.
_CALLBACK_SECONDS = 4.5

# Some ten seconds of a lively call, for a reader that is behind.
_EVENTS = 256


def speech_payload(event: CallEvent) -> dict[str, Any] | None:
    """What a speech-edge callback receives; ``None`` for words that no model wrote, such as a greeting."""
    if isinstance(event, LlmToken) and event.llm_provider == "fixed":
        return None
    return event.payload()


class _SpeechEdge:
    """An attribute of a call that is a callback: assigned, it is told of this call's events from then on."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, call: None, owner: type) -> _SpeechEdge: ...
    @overload
    def __get__(self, call: TellsSpeechEdges, owner: type) -> SpeechEventCallback | None: ...
    def __get__(self, call: TellsSpeechEdges | None, owner: type) -> _SpeechEdge | SpeechEventCallback | None:
        return self if call is None else call._edge_callbacks.get(SPEECH_EDGES[self._name])

    def __set__(self, call: TellsSpeechEdges, callback: SpeechEventCallback | None) -> None:
        call._set_edge(SPEECH_EDGES[self._name], callback)


class TellsSpeechEdges:
    """Seven attributes, each ``None`` or a callback (sync or async) that gets the event's payload as a dict.

    They may be set before the call runs and at any time while it does.
    """

    on_user_speech_started = _SpeechEdge()
    on_user_speech_ended = _SpeechEdge()
    on_user_speech_eos = _SpeechEdge()
    on_agent_speech_started = _SpeechEdge()
    on_agent_speech_ended = _SpeechEdge()
    on_llm_token = _SpeechEdge()
    on_audio_out = _SpeechEdge()

    def __init__(self) -> None:
        self._edge_callbacks: dict[type[CallEvent], SpeechEventCallback] = {}
        self._edges_heard = False
        self._complained: set[str] = set()

    def listen(self, listener: Listener) -> None:
        """Has ``listener`` told of everything that happens from now on."""
        raise NotImplementedError

    def _set_edge(self, kind: type[CallEvent], callback: SpeechEventCallback | None) -> None:
        if callback is None:
            self._edge_callbacks.pop(kind, None)
            return
        self._edge_callbacks[kind] = callback
        if not self._edges_heard:
            self._edges_heard = True
            self.listen(self._tell_edge)

    async def _tell_edge(self, event: CallEvent) -> None:
        callback = self._edge_callbacks.get(type(event))
        payload = None if callback is None else speech_payload(event)
        if callback is not None and payload is not None:
            name = f"on_{event.name}"
            await call_back(
                callback, payload, name=name, deadline=_CALLBACK_SECONDS, complained=self._complained
            )


class EventStream:
    """What happens in a call, in order: ``async for event in call.events()``; it ends with the call.

    It never slows the call down. A reader that is more than 256 events behind loses the oldest ones (the
    policy is *drop oldest*), and ``dropped`` counts those.
    """

    def __init__(self) -> None:
        self._inlet: LossySender[CallEvent]
        self._inlet, self._events = open_lossy_channel(_EVENTS)
        self._closed = False

    @property
    def dropped(self) -> int:
        """Events that gave way because the reader was too slow."""
        return self._inlet.dropped

    def push(self, event: CallEvent) -> None:
        """Takes an event in; the last one of a call ends the stream."""
        if not self._closed:
            self._inlet.push(event)
            if isinstance(event, CallEnded):
                self.close()

    def close(self) -> None:
        """Nothing more comes; what is there may still be read."""
        if not self._closed:
            self._closed = True
            self._inlet.close()

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> CallEvent:
        try:
            return await self._events.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
