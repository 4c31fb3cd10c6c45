"""One call: a nursery of actors between a media socket and an agent."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import attrs
import trio

from .._actors.channels import Level, LossySender, open_lossy_channel
from .._actors.detect import SpeechEdge, detect
from .._actors.hear import HearingCounts, hear
from .._actors.leg import Leg
from .._actors.listen import EdgeSeen, listen
from .._actors.observe import Listener, Reporter, WallClock, observe
from .._actors.ticker import Ticker
from .._actors.transcribe import Reconnection, transcribe
from .._turns.edges import CallerSpeech, SpeechTracker
from .._turns.endpointing import Endpointing, Utterance
from .._turns.history import History, HistoryEntry
from .._turns.latency import TurnMetrics
from ..abc import MediaSocket, MediaWire, STTProvider, VADProvider
from ..errors import CarrierLostError, ErrorCode, PatterError
from ..events import (
    AudioReceived,
    CallAccepted,
    CallEnded,
    CallInfo,
    DigitReceived,
    HearingItem,
    SpeechStarted,
    Transcript,
)
from .agent import Agent
from .barge_in import Floor, Inbox
from .control import CallControl
from .conversation import Conversation

__all__ = ["Call", "CallResult", "EndReason"]

_log = logging.getLogger("patter_trio.call")

# Half a second of frames: a detector that is further behind answers too late to be of use.
_FRAMES = 25
# About 1 s of 60 ms blocks, and the edges between them.
_HEARING = 20
# Edges and results: the listener does nothing that waits, so this only rides out a burst.
_HEARD = 64
# Utterances that wait while the agent may not be interrupted.
_UTTERANCES = 16
# Events for listeners: some ten seconds of a lively call.
_EVENTS = 256

# After the line is gone the recogniser may still finish the caller's last words for the transcript.
_LAST_WORDS_SECONDS = 2.0

# Listeners that are behind at the end of a call may catch up for so long.
_LISTENERS_SECONDS = 10.0

EndReason = Literal[
    "caller_hung_up",
    "agent_hung_up",
    "carrier_lost",
    "carrier_silent",
    "carrier_stalled",
    "stt_failed",
    "tts_failed",
    "drained",
    "error",
]

_FAULTS: dict[ErrorCode, EndReason] = {
    ErrorCode.CARRIER_LOST: "carrier_lost",
    ErrorCode.CARRIER_STALLED: "carrier_stalled",
    ErrorCode.STT_FAILED: "stt_failed",
    ErrorCode.TTS_FAILED: "tts_failed",
}


@attrs.frozen
class CallResult:
    """How a call ended and what was said in it.

    ``outcome`` is ``answered`` for a call that ended as calls do, ``failed`` for one that something broke;
    ``reason`` says which. ``transcript`` holds what was said and *heard*; ``history`` also what was cut.
    """

    call_id: str
    outcome: Literal["answered", "failed"]
    reason: EndReason
    error_code: str | None
    error_message: str | None
    duration_seconds: float
    transcript: tuple[dict[str, Any], ...]
    history: tuple[HistoryEntry, ...]
    turns: tuple[TurnMetrics, ...]
    counts: dict[str, int]


class Call:
    """A call that is being answered. Made by the session, one for each media stream."""

    def __init__(
        self,
        info: CallInfo,
        agent: Agent,
        *,
        ticker: Ticker,
        clock: WallClock,
        reconnection: Reconnection | None = None,
    ) -> None:
        agent.require_pipeline()
        self.info = info
        self.agent = agent
        self._ticker = ticker
        self._listeners: list[Listener] = []
        self._reconnection = reconnection or Reconnection()
        self._control = CallControl(info)
        self._history = History(agent.max_history)
        self._counts = HearingCounts()
        self._ended = trio.Event()
        self._draining = False
        self._scope = trio.CancelScope()
        self._result: CallResult | None = None
        self._report = Reporter(info.call_id, clock)

    # --- for whoever holds the call -------------------------------------------------------------------------

    @property
    def call_id(self) -> str:
        """The carrier's id of the call."""
        return self.info.call_id

    @property
    def conversation_state(self) -> dict[str, str]:
        """A snapshot: ``{"user": …, "agent": …}``."""
        return {"user": self._report.user_state, "agent": self._report.agent_state}

    @property
    def history(self) -> History:
        """The conversation so far."""
        return self._history

    def listen(self, listener: Listener) -> None:
        """Has ``listener`` told of everything that happens; to be called before the call runs."""
        self._listeners.append(listener)

    async def hangup(self) -> None:
        """Ends the call once the agent's current turn was heard."""
        await self._control.hangup()

    def drain(self) -> None:
        """Ends the call now, as part of an orderly shutdown."""
        self._draining = True
        self._scope.cancel()

    @property
    def result(self) -> CallResult | None:
        """How the call ended; ``None`` while it runs."""
        return self._result

    async def wait_ended(self) -> CallResult:
        """Waits for the end of the call and says how it went."""
        await self._ended.wait()
        assert self._result is not None
        return self._result

    # --- the nursery ----------------------------------------------------------------------------------------

    async def run(self, socket: MediaSocket, wire: MediaWire) -> CallResult:
        """Takes the call on an open media stream until it ends; a failure is a result, not an exception."""
        started = trio.current_time()
        reason: EndReason = "error"
        fault: PatterError | None = None
        async with trio.open_nursery() as audience:
            if self._listeners:
                self._report.outlet, events = open_lossy_channel(_EVENTS)
                audience.start_soon(observe, events, tuple(self._listeners))
            self._report.agent_state = "idle"
            self._report.tell(CallAccepted, info=self.info)
            metrics: list[TurnMetrics] = []
            try:
                with self._scope:
                    reason = await self._actors(socket, wire, metrics)
            except* PatterError as group:
                fault = _first(group)
                reason = _FAULTS.get(fault.code, "error")
            finally:
                if self._draining or trio.current_effective_deadline() == float("-inf"):
                    reason = "drained"
                if fault is None and reason == "error":
                    fault = _unexpected(sys.exception())
                self._finish(reason, fault, trio.current_time() - started, metrics)
                # The caller does not wait on an open line until everybody was told.
                audience.cancel_scope.deadline = trio.current_time() + _LISTENERS_SECONDS
                await socket.aclose()
        assert self._result is not None
        return self._result

    async def _actors(self, socket: MediaSocket, wire: MediaWire, metrics: list[TurnMetrics]) -> EndReason:
        agent, report = self.agent, self._report
        assert isinstance(agent.vad, VADProvider), "checked by Agent.require_pipeline, opened by the session"
        assert isinstance(agent.stt, STTProvider), "checked by Agent.require_pipeline, opened by the session"
        detector = agent.vad.open_detector(wire.audio.sample_rate)
        tracker = SpeechTracker(agent.vad.thresholds, detector.window)
        speech, gone = Level(CallerSpeech()), Level(False)
        leg = Leg(socket, wire)

        frames: LossySender[AudioReceived]
        hearing: LossySender[HearingItem]
        frames, frames_in = open_lossy_channel(_FRAMES)
        hearing, hearing_in = open_lossy_channel(_HEARING)
        heard, heard_in = trio.open_memory_channel[EdgeSeen | Transcript](_HEARD)
        said, said_in = trio.open_memory_channel[Utterance](_UTTERANCES)
        transcripts = heard.clone()

        inbox = Inbox(said_in)
        floor = Floor(speech, gone, inbox, leg, report, agent.barge_in_threshold_ms / 1000)
        conversation = Conversation(
            self.info,
            agent,
            leg,
            self._ticker,
            floor,
            inbox,
            report,
            self._control,
            gone,
            self._history,
            metrics,
        )
        ending: EndReason = "agent_hung_up"

        def on_mark(name: str) -> bool:
            return conversation.current is not None and conversation.current.mark_played(name)

        def on_edge(edge: SpeechEdge) -> None:
            now = trio.current_time()
            starting = isinstance(edge, SpeechStarted)
            if starting:
                report.user_speech_started(tracker.confidence, edge.at)
            else:
                length = now - tracker.trailing_silence - speech.value.since + tracker.onset_delay
                report.user_speech_ended(length, tracker.confidence, edge.at)
            silence = 0.0 if starting else tracker.trailing_silence
            try:
                heard.send_nowait(
                    EdgeSeen(starting, now - (tracker.onset_delay if starting else 0.0), silence)
                )
            except trio.WouldBlock:
                # Nobody has listened for dozens of edges: the voice hangs, and its deadline ends that.
                self._counts.edges_dropped += 1

        async def hear_the_line() -> None:
            nonlocal ending
            how = await hear(socket, wire, frames, on_mark, self._on_digit, self._counts)
            ending = _ENDINGS[how]
            gone.set(True)
            if conversation.current is not None:
                conversation.current.wake()
            nursery.cancel_scope.deadline = trio.current_time() + _LAST_WORDS_SECONDS

        async def detect_speech() -> None:
            with heard:
                await detect(frames_in, detector, tracker, wire.audio, speech, hearing, on_edge)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(leg.write)
            nursery.start_soon(hear_the_line)
            nursery.start_soon(detect_speech)
            nursery.start_soon(
                transcribe, agent.stt, hearing_in, wire.audio, self.info, transcripts, self._reconnection
            )
            nursery.start_soon(listen, heard_in, Endpointing(agent.endpointing), said, report)
            nursery.start_soon(self._hang_up_when_asked, conversation, nursery.cancel_scope)
            await conversation.run()
            nursery.cancel_scope.cancel()
        self._counts.frames_dropped = frames.dropped
        self._counts.blocks_dropped = hearing.dropped
        if ending == "carrier_lost":
            raise CarrierLostError("the carrier closed the media socket without a stop")
        return ending

    async def _hang_up_when_asked(self, conversation: Conversation, scope: trio.CancelScope) -> None:
        """A hang-up that is asked for between turns ends the call at once; in a turn, after it."""
        await self._control.wait_hangup()
        if conversation.current is None:
            scope.cancel()

    def _on_digit(self, digit: str) -> None:
        self._report.tell(DigitReceived, digit=digit)

    def _finish(
        self, reason: EndReason, fault: PatterError | None, duration: float, metrics: list[TurnMetrics]
    ) -> None:
        counts = attrs.asdict(self._counts)
        counts.pop("last_error")
        counts["events_dropped"] = self._report.dropped
        failed = fault is not None or reason in ("error", "carrier_silent")
        self._result = CallResult(
            call_id=self.call_id,
            outcome="failed" if failed else "answered",
            reason=reason,
            error_code=str(fault.code) if fault else None,
            error_message=str(fault) if fault else None,
            duration_seconds=duration,
            transcript=tuple(self._history.transcript()),
            history=self._history.entries,
            turns=tuple(metrics),
            counts=counts,
        )
        _log.info("call %s ended: %s after %.1f s", self.call_id, reason, duration)
        self._report.tell(
            CallEnded, outcome=self._result.outcome, reason=reason, error_code=self._result.error_code
        )
        if self._report.outlet is not None:
            self._report.outlet.close()
        self._ended.set()


_ENDINGS: dict[str, EndReason] = {
    "stopped": "caller_hung_up",
    "lost": "carrier_lost",
    "silent": "carrier_silent",
}


def _unexpected(failure: BaseException | None) -> PatterError | None:
    """What is told of a failure that is nobody's but ours, or a plugged-in detector's."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return PatterError(f"the call broke: {failure!r}") if isinstance(failure, Exception) else None


def _first(group: BaseExceptionGroup[PatterError]) -> PatterError:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, PatterError)
    return found
