"""Which spans and span events the events of a call become; pure, and without any tracing library."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from .._turns.cost import Services
from .._turns.latency import TurnMetrics
from ..events import (
    AgentSpeechEnded,
    AgentSpeechStarted,
    AudioOut,
    CallEvent,
    FloorTaken,
    LlmToken,
    ToolFinished,
    ToolStarted,
    TranscriptHeard,
    TurnEnded,
    UserSpeechEnded,
    UserSpeechEos,
    UserSpeechStarted,
)

__all__ = ["PlannedEvent", "PlannedSpan", "SpanPlan"]

Attributes = Mapping[str, str | int | float | bool]

# How the GenAI conventions call providers that we know by another name.
_GEN_AI_PROVIDERS = {"google": "gcp.gemini"}


@attrs.frozen
class PlannedEvent:
    """A moment on the call's span, in seconds of the call's clock."""

    name: str
    at: float
    attributes: Attributes


@attrs.frozen
class PlannedSpan:
    """A child of the call's span, in seconds of the call's clock; ``error`` is a code where it failed."""

    name: str
    start: float
    end: float
    attributes: Attributes
    kind: Literal["internal", "client"] = "internal"
    error: str | None = None


def _known(**attributes: Any) -> Attributes:
    return {name.replace("__", "."): value for name, value in attributes.items() if value is not None}


class SpanPlan:
    """Draws one call's spans, each when all of it is known. Nobody's words and numbers are in them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turn = 0
        self._speech_started: float | None = None
        self._speech_ended: float | None = None
        self._final: float | None = None
        self._characters = 0
        self._committed: dict[int, float] = {}
        self._sound: dict[int, float] = {}
        self._tools: defaultdict[tuple[int, str], deque[float]] = defaultdict(deque)

    def feed(self, event: CallEvent) -> Iterator[PlannedEvent | PlannedSpan]:
        """Takes an event in, and gives what is known by it."""
        moment = _moment(event)
        if moment is not None:
            yield moment
        match event:
            case UserSpeechStarted():
                if self._speech_started is None:
                    self._speech_started = event.time
            case UserSpeechEnded():
                self._speech_ended = event.time
            case TranscriptHeard(role="user", is_final=True):
                self._final = event.time
                self._characters += len(event.text)
            case UserSpeechEos():
                yield from self._heard(event)
            case AudioOut():
                self._sound[event.turn_idx] = event.time
            case ToolStarted():
                self._tools[event.turn_idx, event.tool].append(event.time)
            case ToolFinished():
                yield from self._used(event)
            case FloorTaken():
                yield self._lost(event)
            case TurnEnded(metrics=TurnMetrics() as turn):
                yield from self._spoken(event, turn)

    def _heard(self, event: UserSpeechEos) -> Iterator[PlannedSpan]:
        self._turn += 1
        self._committed[self._turn] = event.time
        ear = self._services.stt
        if self._speech_started is not None and self._final is not None:
            yield PlannedSpan(
                "patter.stt",
                self._speech_started,
                max(self._final, self._speech_started),
                _known(
                    patter__stt__provider=None if ear is None else ear.provider,
                    patter__stt__model=(ear.model or None) if ear is not None else None,
                    patter__stt__text_len=self._characters,
                    patter__turn__idx=self._turn,
                ),
            )
        if self._speech_ended is not None:
            yield PlannedSpan(
                "patter.endpoint",
                self._speech_ended,
                event.time,
                _known(
                    patter__eos__trigger=event.trigger,
                    patter__eos__trailing_silence_ms=event.trailing_silence_ms,
                    patter__turn__idx=self._turn,
                ),
            )
        self._speech_started = self._speech_ended = self._final = None
        self._characters = 0

    def _used(self, event: ToolFinished) -> Iterator[PlannedSpan]:
        begun = self._tools.get((event.turn_idx, event.tool))
        yield PlannedSpan(
            f"execute_tool {event.tool}",
            begun.popleft() if begun else event.time - event.duration_ms / 1000,
            event.time,
            _known(
                gen_ai__operation__name="execute_tool",
                gen_ai__tool__name=event.tool,
                patter__turn__idx=event.turn_idx,
            ),
            error=None if event.ok else "tool_failed",
        )

    def _lost(self, event: FloorTaken) -> PlannedSpan:
        return PlannedSpan(
            "patter.bargein",
            event.time - event.onset_to_clear_ms / 1000,
            event.time,
            _known(
                patter__turn__idx=event.turn_idx,
                patter__bargein__phase=event.phase,
                patter__bargein__cancel_ms=event.cancel_ms,
                patter__bargein__frames_unsent=event.frames_unsent,
            ),
        )

    def _spoken(self, event: TurnEnded, turn: TurnMetrics) -> Iterator[PlannedSpan]:
        """What thought and what spoke; one that was cut is over when its turn is."""
        idx, latency = event.turn_idx, turn.latency
        failed = turn.error_code or ""
        committed, model = self._committed.get(idx), self._services.llm
        if committed is not None and model is not None and turn.usage.requests:
            yield PlannedSpan(
                f"chat {model.model}",
                committed,
                _after(committed, latency.llm_total_ms, event.time),
                _known(
                    gen_ai__operation__name="chat",
                    gen_ai__provider__name=_GEN_AI_PROVIDERS.get(model.provider, model.provider),
                    gen_ai__request__model=model.model,
                    gen_ai__usage__input_tokens=turn.usage.input_tokens or None,
                    gen_ai__usage__output_tokens=turn.usage.output_tokens or None,
                    gen_ai__usage__cache_read__input_tokens=turn.usage.cache_read_tokens or None,
                    gen_ai__response__time_to_first_chunk=(
                        None if latency.llm_ttft_ms is None else latency.llm_ttft_ms / 1000
                    ),
                    patter__llm__requests=turn.usage.requests,
                    patter__turn__idx=idx,
                    patter__turn__interrupted=turn.interrupted,
                ),
                "client",
                failed if failed.startswith("llm") else None,
            )
        sound, voice = self._sound.pop(idx, None), self._services.tts
        if sound is not None and voice is not None:
            waited = 0.0 if turn.filled or latency.tts_ms is None else latency.tts_ms / 1000
            yield PlannedSpan(
                "patter.tts",
                sound - waited,
                _after(sound - waited, latency.tts_total_ms, event.time),
                _known(
                    patter__tts__provider=voice.provider,
                    patter__tts__model=voice.model or None,
                    patter__tts__text_len=turn.tts_characters,
                    patter__turn__idx=idx,
                    patter__turn__interrupted=turn.interrupted,
                ),
                "client",
                failed if failed.startswith("tts") else None,
            )


def _after(start: float, milliseconds: float | None, otherwise: float) -> float:
    return max(start, otherwise if milliseconds is None else start + milliseconds / 1000)


def _moment(event: CallEvent) -> PlannedEvent | None:
    """The seven speech edges, with the names and attributes that people know."""
    match event:
        case UserSpeechStarted():
            name = "user_speech_started"
            found = _known(
                patter__audio__offset_ms=event.audio_offset_ms, patter__vad__confidence=event.vad_confidence
            )
        case UserSpeechEnded():
            name = "user_speech_ended"
            found = _known(patter__speech__duration_ms=event.speech_duration_ms)
        case UserSpeechEos():
            name = "user_speech_eos"
            found = _known(
                patter__eos__trigger=event.trigger, patter__eos__trailing_silence_ms=event.trailing_silence_ms
            )
        case AgentSpeechStarted():
            name = "agent_speech_started"
            found = _known(
                patter__turn__idx=event.turn_idx,
                patter__tts__provider=event.tts_provider,
                patter__engine=event.engine,
            )
        case AgentSpeechEnded():
            name = "agent_speech_ended"
            found = _known(
                patter__turn__idx=event.turn_idx,
                patter__speech__duration_ms=event.speech_duration_ms,
                patter__turn__interrupted=event.interrupted,
            )
        case LlmToken() if event.llm_provider != "fixed":
            name = "llm_first_token"
            found = _known(
                gen_ai__request__model=event.model,
                gen_ai__provider__name=_GEN_AI_PROVIDERS.get(event.llm_provider, event.llm_provider),
                patter__turn__idx=event.turn_idx,
            )
        case AudioOut():
            name = "tts_first_audio"
            found = _known(patter__turn__idx=event.turn_idx, patter__tts__provider=event.tts_provider)
        case _:
            return None
    return PlannedEvent(f"patter.event.{name}", event.time, found)
