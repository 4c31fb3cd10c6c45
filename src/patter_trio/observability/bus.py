"""Subscriptions to fine-grained events of every call, by the type of the event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Protocol

from .._actors.observe import Listener
from .._foreign import call_back
from .._turns.latency import TurnMetrics
from ..errors import PatterConfigError
from ..events import (
    CallEnded,
    CallEvent,
    FloorReleased,
    FloorTaken,
    LlmText,
    ToolFinished,
    ToolStarted,
    TranscriptHeard,
    TtsSound,
    TurnEnded,
    UserSpeechEos,
)

__all__ = ["BusCallback", "EventBus", "PatterEventType"]

BusCallback = Callable[[dict[str, Any]], Awaitable[Any] | Any]

# Less than a listener has, so that a subscriber that hangs is named and not its neighbours.
_CALLBACK_SECONDS = 4.5


class PatterEventType(StrEnum):
    """What may be subscribed to."""

    TURN_STARTED = "turn_started"
    TURN_ENDED = "turn_ended"
    EOU_METRICS = "eou_metrics"
    INTERRUPTION = "interruption"
    FALSE_INTERRUPTION = "false_interruption"
    LLM_METRICS = "llm_metrics"
    TTS_METRICS = "tts_metrics"
    STT_METRICS = "stt_metrics"
    METRICS_COLLECTED = "metrics_collected"
    CONTEXT_TOKENS = "context_tokens"
    CALL_ENDED = "call_ended"
    TRANSCRIPT_PARTIAL = "transcript_partial"
    TRANSCRIPT_FINAL = "transcript_final"
    LLM_CHUNK = "llm_chunk"
    TTS_CHUNK = "tts_chunk"
    TOOL_CALL_STARTED = "tool_call_started"
    TOOL_CALL_COMPLETED = "tool_call_completed"


_CHUNKS = (PatterEventType.LLM_CHUNK, PatterEventType.TTS_CHUNK)


class ObservedCall(Protocol):
    """What the bus needs of a call."""

    @property
    def wants_chunks(self) -> bool:
        """Whether every chunk of text and of sound is told of."""
        ...

    @wants_chunks.setter
    def wants_chunks(self, wanted: bool) -> None: ...

    def listen(self, listener: Listener) -> None:
        """Has ``listener`` told of everything that happens from now on."""
        ...


class EventBus:
    """Who wants to know of which events of all calls; one for each number.

    A call makes events for the bus only while somebody is subscribed, and those of single pieces of text and
    sound (``LLM_CHUNK``, ``TTS_CHUNK``) only where these were asked for. Subscribers are called one after the
    other, off the call's own paths; one that fails is logged once and keeps its place.
    """

    def __init__(self) -> None:
        self._subscribers: dict[PatterEventType, list[BusCallback]] = {}
        self._calls: dict[ObservedCall, Listener] = {}
        self._heard: set[ObservedCall] = set()
        self._complained: set[str] = set()

    def on(self, kind: PatterEventType | str, callback: BusCallback) -> Callable[[], None]:
        """Has ``callback`` (sync or async) called with each such event's payload; returns what undoes it.

        Raises:
            PatterConfigError: there is no such event, or nothing to call.
        """
        kind = _kind(kind)
        if not callable(callback):
            raise PatterConfigError(f"{callback!r} is not a function")
        self._subscribers.setdefault(kind, []).append(callback)
        for call in self._calls:
            self._join(call)
        return lambda: self.off(kind, callback)

    def off(self, kind: PatterEventType | str, callback: BusCallback) -> None:
        """Ends a subscription; one that is not there is ended already."""
        kind = _kind(kind)
        if callback in self._subscribers.get(kind, ()):
            self._subscribers[kind].remove(callback)
            if not self._subscribers[kind]:
                del self._subscribers[kind]
            for call in self._calls:
                call.wants_chunks = self._wants_chunks

    @property
    def _wants_chunks(self) -> bool:
        return any(kind in self._subscribers for kind in _CHUNKS)

    @contextmanager
    def following(self, call: ObservedCall, history: Callable[[], list[dict[str, Any]]]) -> Iterator[None]:
        """While the block runs, subscribers are told of this call; ``history`` gives what was said in it."""
        counts = _Interruptions()

        async def tell(event: CallEvent) -> None:
            if self._subscribers:
                for kind, payload in payloads(event, history, counts):
                    for callback in tuple(self._subscribers.get(kind, ())):
                        await call_back(
                            callback,
                            payload,
                            name=f"subscriber {getattr(callback, '__qualname__', callback)} to {kind}",
                            deadline=_CALLBACK_SECONDS,
                            complained=self._complained,
                        )

        self._calls[call] = tell
        if self._subscribers:
            self._join(call)
        try:
            yield
        finally:
            del self._calls[call]
            self._heard.discard(call)

    def _join(self, call: ObservedCall) -> None:
        call.wants_chunks = self._wants_chunks
        if call not in self._heard:
            self._heard.add(call)
            call.listen(self._calls[call])


class _Interruptions:
    """How often a caller took the floor, and how often it only seemed so."""

    def __init__(self) -> None:
        self.taken = 0
        self.false = 0


def _kind(kind: PatterEventType | str) -> PatterEventType:
    try:
        return PatterEventType(kind)
    except ValueError:
        raise PatterConfigError(
            f"{kind!r} is no event", hint=f"one of {', '.join(PatterEventType)}"
        ) from None


def payloads(
    event: CallEvent, history: Callable[[], list[dict[str, Any]]], counts: _Interruptions
) -> Iterator[tuple[PatterEventType, dict[str, Any]]]:
    """What subscribers are told of an event of a call: nothing, one thing or several."""
    told: dict[str, Any] = {"call_id": event.call_id, "timestamp_ms": event.timestamp_ms}
    kinds = PatterEventType
    match event:
        case UserSpeechEos():
            yield kinds.TURN_STARTED, told
        case TranscriptHeard(role=role, text=text, is_final=is_final):
            told |= {"role": role, "text": text, "is_final": is_final}
            if is_final:
                yield kinds.TRANSCRIPT_FINAL, {**told, "history": history()}
            else:
                yield kinds.TRANSCRIPT_PARTIAL, told
        case LlmText(turn_idx=turn, text=text):
            yield kinds.LLM_CHUNK, {**told, "turn_idx": turn, "text": text}
        case TtsSound(turn_idx=turn, size=size):
            yield kinds.TTS_CHUNK, {**told, "turn_idx": turn, "bytes": size}
        case ToolStarted(turn_idx=turn, tool=tool, arguments=arguments):
            yield kinds.TOOL_CALL_STARTED, {**told, "turn_idx": turn, "name": tool, "args": arguments}
        case ToolFinished(turn_idx=turn, tool=tool, ok=ok, duration_ms=duration):
            found = {
                "turn_idx": turn,
                "name": tool,
                "result": event.result,
                "ok": ok,
                "duration_ms": duration,
            }
            yield kinds.TOOL_CALL_COMPLETED, {**told, **found}
        case FloorReleased(turn_idx=turn, held_ms=held):
            counts.false += 1
            yield kinds.FALSE_INTERRUPTION, {**told, "turn_idx": turn, "held_ms": held}
        case FloorTaken():
            counts.taken += 1
            found = {
                "turn_idx": event.turn_idx,
                "total_duration": event.onset_to_clear_ms,
                "detection_delay": round(event.onset_to_clear_ms - event.cancel_ms, 3),
                "num_interruptions": counts.taken,
                "num_false_interruptions": counts.false,
            }
            yield kinds.INTERRUPTION, {**told, **found}
        case TurnEnded(metrics=TurnMetrics() as turn):
            yield from _of_turn(told, event, turn)
        case CallEnded(outcome=outcome, reason=reason, error_code=error):
            yield kinds.CALL_ENDED, {**told, "outcome": outcome, "reason": reason, "error_code": error}


def _of_turn(
    told: Mapping[str, Any], event: TurnEnded, turn: TurnMetrics
) -> Iterator[tuple[PatterEventType, dict[str, Any]]]:
    """A stage that did not happen has no metrics."""
    told = {**told, "turn_idx": event.turn_idx}
    kinds, latency = PatterEventType, turn.latency
    yield kinds.TURN_ENDED, {**told, "kind": event.kind, "turn": turn}
    yield kinds.METRICS_COLLECTED, {**told, "turn": turn}
    if latency.endpoint_ms is not None:
        delays = {"end_of_utterance_delay": latency.endpoint_ms, "transcription_delay": latency.stt_ms}
        yield kinds.EOU_METRICS, {**told, **delays}
    if latency.stt_ms is not None:
        yield kinds.STT_METRICS, {**told, "processing_ms": latency.stt_ms}
    if turn.usage.requests:
        yield kinds.LLM_METRICS, {**told, "ttfb_ms": latency.llm_ttft_ms, "usage": turn.usage}
    if turn.usage.input_tokens:
        # What one request held; a turn with tools asks several times.
        tokens = turn.usage.input_tokens // max(turn.usage.requests, 1)
        yield kinds.CONTEXT_TOKENS, {**told, "tokens": tokens}
    if latency.tts_ms is not None:
        yield kinds.TTS_METRICS, {**told, "ttfb_ms": latency.tts_ms, "characters": turn.tts_characters}
