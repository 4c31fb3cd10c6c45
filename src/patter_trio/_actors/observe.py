"""observe: tells listeners what happened, off the call's own paths."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import trio

from .._foreign import call_back
from .._tools.contracts import ToolOutcome
from .._turns.cancelled import CancelReport
from .._turns.endpointing import Utterance
from .._turns.latency import TurnMetrics
from ..events import (
    AgentSpeechEnded,
    AgentSpeechStarted,
    AgentState,
    AudioOut,
    CallEvent,
    FloorHeld,
    FloorReleased,
    FloorTaken,
    LlmText,
    LlmToken,
    Role,
    ToolFinished,
    ToolStarted,
    TranscriptHeard,
    TtsSound,
    TurnEnded,
    TurnFailed,
    TurnKind,
    UserAway,
    UserSpeechEnded,
    UserSpeechEos,
    UserSpeechStarted,
    UserState,
    UtteranceOvertaken,
    UtterancePassedOver,
)
from .channels import LossySender

__all__ = ["Listener", "Reporter", "WallClock", "observe"]

Listener = Callable[[CallEvent], Awaitable[Any] | Any]

# A callback that takes longer than this is given up, so that one hung listener cannot silence the others.
_LISTENER_SECONDS = 5.0


@attrs.frozen
class WallClock:
    """Wall time for records that people read, from one reading of the real clock at the call's start."""

    epoch: float
    origin: float

    def at(self, now: float) -> float:
        """Seconds since the epoch at the trio time ``now``."""
        return self.epoch + (now - self.origin)


class Reporter:
    """Where the parts of one call say what happened; keeps the conversation state.

    Saying something never waits: with no listener it costs a state change, with a slow one the oldest
    unread events give way and are counted.
    """

    def __init__(self, call_id: str, clock: WallClock) -> None:
        self._call_id = call_id
        self._clock = clock
        self.outlet: LossySender[CallEvent] | None = None
        self.user_state: UserState = "listening"
        self.agent_state: AgentState = "initializing"
        self.turn_idx = 0
        self.wants_chunks = False

    @property
    def dropped(self) -> int:
        """Events that no listener will see because the listeners were too slow."""
        return self.outlet.dropped if self.outlet else 0

    def wall(self) -> float:
        """Wall time now, in seconds since the epoch."""
        return self._clock.at(trio.current_time())

    def tell(self, event: type[CallEvent], /, **fields: Any) -> None:
        """Tells the listeners of an event with these fields."""
        if self.outlet is None:
            return
        now = trio.current_time()
        stamp = round(self._clock.at(now) * 1000)
        self.outlet.push(event(call_id=self._call_id, time=now, timestamp_ms=stamp, **fields))

    def user_speech_started(self, confidence: float, offset: float) -> None:
        """The detector's positive edge, ``offset`` seconds into the stream."""
        self.user_state = "speaking"
        self.tell(
            UserSpeechStarted, vad_confidence=round(confidence, 3), audio_offset_ms=round(offset * 1000)
        )

    def user_speech_ended(self, duration: float, confidence: float, offset: float) -> None:
        """The detector's trailing edge."""
        self.user_state = "listening"
        self.tell(
            UserSpeechEnded,
            speech_duration_ms=round(duration * 1000),
            vad_confidence=round(confidence, 3),
            audio_offset_ms=round(offset * 1000),
        )

    def transcript(self, role: Role, text: str, *, final: bool = True) -> None:
        """Words of either side."""
        self.tell(TranscriptHeard, role=role, text=text, is_final=final)

    def end_of_utterance(self, utterance: Utterance) -> None:
        """The utterance is committed; the next turn begins to think."""
        self.turn_idx += 1
        self.user_state = "listening"
        if self.agent_state != "speaking":
            self.agent_state = "thinking"
        silence = None
        if utterance.speech_ended is not None:
            since = utterance.speech_ended - utterance.trailing_silence
            silence = round((utterance.committed_at - since) * 1000)
        self.tell(
            UserSpeechEos,
            trigger=utterance.trigger,
            trailing_silence_ms=silence,
            transcript_so_far=utterance.text,
        )

    def overtaken(self, text: str) -> None:
        """The caller went on before the answer began."""
        self.tell(UtteranceOvertaken, text=text)

    def first_token(self, turn: int, provider: str, model: str) -> None:
        """The first token of the turn."""
        self.tell(LlmToken, turn_idx=turn, llm_provider=provider, model=model)

    def first_audio(self, turn: int, provider: str) -> None:
        """The first synthesised sound of the turn."""
        self.tell(AudioOut, turn_idx=turn, tts_provider=provider)

    def text_came(self, turn: int, text: str) -> None:
        """A piece of the model's text."""
        self.tell(LlmText, turn_idx=turn, text=text)

    def sound_came(self, turn: int, size: int) -> None:
        """A piece of the voice's sound."""
        self.tell(TtsSound, turn_idx=turn, size=size)

    def agent_speech_started(self, turn: int, provider: str) -> None:
        """The first frame went out."""
        self.agent_state = "speaking"
        self.tell(AgentSpeechStarted, turn_idx=turn, tts_provider=provider)

    def agent_speech_ended(self, turn: int, duration: float, *, interrupted: bool) -> None:
        """The turn's sound ended on the wire."""
        self.agent_state = "idle"
        self.tell(
            AgentSpeechEnded,
            turn_idx=turn,
            speech_duration_ms=round(duration * 1000),
            interrupted=interrupted,
        )

    def tool_started(self, turn: int, tool: str, arguments: str) -> None:
        """The model calls a tool."""
        self.tell(ToolStarted, turn_idx=turn, tool=tool, arguments=arguments)

    def tool_finished(self, turn: int, outcome: ToolOutcome) -> None:
        """A tool has answered."""
        self.tell(
            ToolFinished,
            turn_idx=turn,
            tool=outcome.name,
            result=outcome.content,
            ok=outcome.ok,
            duration_ms=round(outcome.seconds * 1000, 3),
            error=outcome.error or None,
        )

    def floor_held(self, turn: int) -> None:
        """The gate closed."""
        self.tell(FloorHeld, turn_idx=turn)

    def floor_released(self, turn: int, held: float) -> None:
        """The gate opened again."""
        self.tell(FloorReleased, turn_idx=turn, held_ms=round(held * 1000))

    def floor_taken(self, turn: int, cancel: CancelReport, onset_to_clear: float) -> None:
        """The caller has the floor: the turn is cancelled and its sound cleared."""
        self.tell(
            FloorTaken,
            turn_idx=turn,
            phase=cancel.phase,
            onset_to_clear_ms=round(onset_to_clear * 1000, 3),
            cancel_ms=cancel.cancel_ms,
            frames_unsent=cancel.frames_unsent,
            text_unheard=cancel.text_unheard,
            report=cancel,
        )

    def user_away(self, after: float) -> None:
        """The caller has been silent for so long that they seem to have left the phone."""
        self.user_state = "away"
        self.tell(UserAway, silent_ms=round(after * 1000))

    def passed_over(self, text: str) -> None:
        """Words over the agent that did not take the floor and ask for no answer."""
        self.tell(UtterancePassedOver, text=text)

    def turn_failed(self, turn: int, code: str, message: str) -> None:
        """A stage of the turn failed."""
        self.tell(TurnFailed, turn_idx=turn, code=code, message=message)

    def turn_ended(self, turn: int, kind: TurnKind, metrics: TurnMetrics) -> None:
        """The record of the turn."""
        if self.agent_state == "thinking":
            self.agent_state = "idle"
        self.tell(TurnEnded, turn_idx=turn, kind=kind, metrics=metrics)


async def observe(events: trio.MemoryReceiveChannel[CallEvent], listeners: Sequence[Listener]) -> None:
    """Passes events on in order until they end; a listener that fails is logged once, and never felt.

    Listeners may be added to the end of ``listeners`` at any time.
    """
    complained: list[set[str]] = []
    async for event in events:
        for place, listener in enumerate(tuple(listeners)):
            while len(complained) <= place:
                complained.append(set())
            name = f"listener for {event.name}"
            await call_back(
                listener, event, name=name, deadline=_LISTENER_SECONDS, complained=complained[place]
            )
