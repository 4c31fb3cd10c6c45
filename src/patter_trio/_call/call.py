"""One call: a nursery of actors between a media socket and an agent."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import attrs
import trio

from .._actors.channels import open_lossy_channel
from .._actors.hear import HearingCounts
from .._actors.observe import Listener, Reporter, WallClock, observe
from .._actors.record import open_recording
from .._actors.ticker import Ticker
from .._actors.transcribe import Reconnection
from .._turns.call_metrics import CallMetrics, Metering
from .._turns.cost import CostBreakdown, Services
from .._turns.history import History, HistoryEntry
from .._turns.latency import TurnMetrics
from ..abc import LiveCarrier, MediaSocket, MediaWire
from ..errors import ErrorCode, PatterError
from ..events import CallAccepted, CallEnded, CallEvent, CallInfo
from ..telephony import EndedAs, Links, TransferMode, Verdict
from .agent import Agent
from .clip import Source
from .control import CallControl
from .house import EndReason, House
from .preempt import PreemptionCounts
from .screening import Screening
from .speech_edges import EventStream, TellsSpeechEdges
from .toolbox import MoreTools

__all__ = ["Call", "CallResult", "EndReason", "Outcome"]

_log = logging.getLogger("patter_trio.call")

# Events for listeners: some ten seconds of a lively call.
_EVENTS = 256

# Listeners that are behind at the end of a call may catch up for so long.
_LISTENERS_SECONDS = 10.0

Outcome = Literal["answered", "voicemail", "no_answer", "busy", "canceled", "failed"]

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
    ``reason`` says which. A call of ours may also meet a machine (``voicemail``), or not be taken at all.
    ``transcript`` holds what was said and *heard*; ``history`` also what was cut. ``status`` is how the
    carrier says that the call ended, ``answered_by`` who it says picked up, where it was asked to say so.
    ``recording_path`` is the file of ``local_recording``, closed and complete. ``metrics`` are the numbers of
    the call; there are none of one that was not taken.
    """

    call_id: str
    outcome: Outcome
    reason: EndReason
    error_code: str | None
    error_message: str | None
    duration_seconds: float
    transcript: tuple[dict[str, Any], ...]
    history: tuple[HistoryEntry, ...]
    turns: tuple[TurnMetrics, ...]
    counts: dict[str, int]
    preemption: PreemptionCounts = attrs.field(factory=PreemptionCounts)
    status: EndedAs = "completed"
    answered_by: Verdict | None = None
    message_left: bool = False
    recording_path: str | None = None
    metrics: CallMetrics | None = None

    @property
    def cost(self) -> CostBreakdown:
        """What the call cost, by the price list."""
        return CostBreakdown() if self.metrics is None else self.metrics.cost


class Call(TellsSpeechEdges):
    """A call that is being answered. Made by the session, one for each media stream."""

    def __init__(
        self,
        info: CallInfo,
        agent: Agent,
        *,
        ticker: Ticker,
        clock: WallClock,
        reconnection: Reconnection | None = None,
        carrier: LiveCarrier | None = None,
        links: Links | None = None,
        more_tools: MoreTools | None = None,
        screening: Screening | None = None,
        history: History | None = None,
        metering: Metering | None = None,
    ) -> None:
        super().__init__()
        agent.require_pipeline()
        self.info = info
        self.agent = agent
        self._ticker = ticker
        self._listeners: list[Listener] = []
        self._audience: trio.Nursery | None = None
        self._streams: list[EventStream] = []
        self._reconnection = reconnection or Reconnection()
        self._control = CallControl(info)
        self._control.allow(carrier, links)
        self._more_tools = more_tools
        self._screening = screening
        self._history = history or History(agent.max_history)
        self._metering = metering or Metering()
        self._house: House | None = None
        self._started = trio.current_time()
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

    @property
    def services(self) -> Services:
        """What the call is made of, by name."""
        return self._metering.services

    @property
    def metrics(self) -> CallMetrics:
        """The numbers of the call so far, its cost among them."""
        if self._result is not None and self._result.metrics is not None:
            return self._result.metrics
        return self._measure(trio.current_time() - self._started, None)

    def listen(self, listener: Listener) -> None:
        """Has ``listener`` told of everything that happens from now on."""
        self._listeners.append(listener)
        self._open_audience()

    def events(self) -> EventStream:
        """What happens from now on, for ``async for``; see :class:`EventStream`."""
        stream = EventStream()
        if self._result is None:
            self._streams.append(stream)
            self.listen(stream.push)
        else:
            stream.close()
        return stream

    @property
    def wants_chunks(self) -> bool:
        """Whether listeners are told of each piece of text and sound."""
        return self._report.wants_chunks

    @wants_chunks.setter
    def wants_chunks(self, wanted: bool) -> None:
        self._report.wants_chunks = wanted

    def _open_audience(self) -> None:
        """Events are made only for calls that somebody listens to."""
        if self._audience is not None and self._listeners and self._report.outlet is None:
            self._report.outlet, events = open_lossy_channel(_EVENTS)
            self._audience.start_soon(self._address, events)

    async def _address(self, events: trio.MemoryReceiveChannel[CallEvent]) -> None:
        try:
            await observe(events, self._listeners)
        finally:
            for stream in self._streams:
                stream.close()

    @property
    def control(self) -> CallControl:
        """What may be done to the call; the methods and properties from here on are its."""
        return self._control

    @property
    def is_hung_up(self) -> bool:
        """Whether a hang-up was asked for."""
        return self._control.is_hung_up

    @property
    def is_transferred(self) -> bool:
        """Whether the carrier was asked to give this call to somebody else, and has not refused."""
        return self._control.is_transferred

    @property
    def is_on_hold(self) -> bool:
        """Whether the caller is on hold."""
        return self._control.is_on_hold

    @property
    def is_muted(self) -> bool:
        """Whether the agent's ears are closed."""
        return self._control.is_muted

    async def hangup(self) -> None:
        """Ends the call once the agent's current turn was heard."""
        await self._control.hangup()

    async def say(self, text: str, *, interruptible: bool = True) -> None:
        """Has the agent say something: see :meth:`CallControl.say`."""
        await self._control.say(text, interruptible=interruptible)

    async def play(self, source: Source, *, text: str = "", interruptible: bool = True) -> None:
        """Plays a recording: see :meth:`CallControl.play`."""
        await self._control.play(source, text=text, interruptible=interruptible)

    async def send_dtmf(self, digits: str, *, delay_ms: int = 300) -> None:
        """Presses keys: see :meth:`CallControl.send_dtmf`."""
        await self._control.send_dtmf(digits, delay_ms=delay_ms)

    async def hold(self, music: Source | None = None) -> None:
        """Puts the caller on hold: see :meth:`CallControl.hold`."""
        await self._control.hold(music)

    async def resume(self) -> None:
        """Takes the caller back: see :meth:`CallControl.resume`."""
        await self._control.resume()

    def mute(self, muted: bool = True) -> None:
        """Closes the agent's ears, or opens them: see :meth:`CallControl.mute`."""
        self._control.mute(muted)

    def commit_user_turn(self) -> None:
        """Takes what the caller has said so far as complete: see :meth:`CallControl.commit_user_turn`."""
        self._control.commit_user_turn()

    async def transfer(
        self, number: str, *, mode: TransferMode = "cold", summary: str = "", ring_seconds: int = 20
    ) -> None:
        """Connects the caller to another number: see :meth:`CallControl.transfer`."""
        await self._control.transfer(number, mode=mode, summary=summary, ring_seconds=ring_seconds)

    async def start_recording(self) -> str:
        """Has the carrier record the call: see :meth:`CallControl.start_recording`."""
        return await self._control.start_recording()

    async def stop_recording(self) -> None:
        """Ends the recording: see :meth:`CallControl.stop_recording`."""
        await self._control.stop_recording()

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
        self._started = trio.current_time()
        reason: EndReason = "error"
        fault: PatterError | None = None
        async with trio.open_nursery() as audience:
            self._audience = audience
            self._open_audience()
            self._report.agent_state = "idle"
            self._report.tell(CallAccepted, info=self.info)
            recording = open_recording(self.agent.local_recording, self.info, wire)
            if recording is not None:
                audience.start_soon(recording.run)
            self._house = house = House(
                self.info,
                self.agent,
                socket,
                wire if recording is None else recording.wire,
                ticker=self._ticker,
                report=self._report,
                control=self._control,
                history=self._history,
                counts=self._counts,
                reconnection=self._reconnection,
                more_tools=self._more_tools,
                screening=self._screening,
            )
            try:
                with self._scope:
                    reason = await house.run()
            except* PatterError as group:
                fault = _first(group)
                reason = _FAULTS.get(fault.code, "error")
                if self.agent.engine is not None and reason in ("stt_failed", "tts_failed"):
                    # Its ears and its voice are one thing.
                    reason = "engine_failed"
            finally:
                if self._draining or trio.current_effective_deadline() == float("-inf"):
                    reason = "drained"
                if fault is None and reason == "error":
                    fault = _unexpected(sys.exception())
                duration = trio.current_time() - self._started
                path = None
                if recording is not None:
                    # The caller is not kept on the line by a disk.
                    with trio.CancelScope(shield=True):
                        await socket.aclose()
                    path = await recording.finish()
                self._finish(reason, fault, duration, house, None if path is None else str(path))
                # The caller does not wait on an open line until everybody was told.
                audience.cancel_scope.deadline = trio.current_time() + _LISTENERS_SECONDS
                await socket.aclose()
        assert self._result is not None
        return self._result

    def _measure(self, seconds: float, error_code: str | None) -> CallMetrics:
        turns = () if self._house is None else self._house.metrics
        early = PreemptionCounts() if self._house is None else self._house.preemption_counts
        return self._metering.metrics(
            self.call_id,
            turns,
            seconds,
            error_code=error_code,
            hits=early.hits,
            misses=early.misses,
            wasted=early.wasted,
        )

    def _finish(
        self,
        reason: EndReason,
        fault: PatterError | None,
        duration: float,
        house: House,
        recording_path: str | None,
    ) -> None:
        counts = attrs.asdict(self._counts)
        counts.pop("last_error")
        counts["events_dropped"] = self._report.dropped
        failed = fault is not None or reason in ("error", "carrier_silent")
        outcome: Outcome = "failed" if failed else "answered"
        verdict = None if self._screening is None else self._screening.verdict
        if self._screening is not None and self._screening.is_machine and not failed:
            outcome = "voicemail"
        self._result = CallResult(
            call_id=self.call_id,
            outcome=outcome,
            reason=reason,
            error_code=str(fault.code) if fault else None,
            error_message=str(fault) if fault else None,
            duration_seconds=duration,
            transcript=tuple(self._history.transcript()),
            history=self._history.entries,
            turns=tuple(house.metrics),
            counts=counts,
            preemption=house.preemption_counts,
            answered_by=verdict,
            message_left=self._screening is not None and self._screening.message_left,
            recording_path=recording_path,
            metrics=self._measure(duration, str(fault.code) if fault else None),
        )
        _log.info("call %s ended: %s after %.1f s", self.call_id, reason, duration)
        self._report.tell(
            CallEnded, outcome=self._result.outcome, reason=reason, error_code=self._result.error_code
        )
        self._audience = None
        if self._report.outlet is not None:
            self._report.outlet.close()
        self._ended.set()


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
