"""Everybody who watches the calls of a session, each attached to a call only if somebody asked for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from ._call.agent import Agent
from ._call.call import Call, CallResult
from ._callbacks import listeners_for
from ._foreign import call_back
from ._settings import SessionSettings
from ._turns.call_metrics import Metering
from ._turns.cost import Service, Services
from ._turns.prices import PriceBook
from ._wall import wall_time
from .events import CallInfo
from .observability.call_log import CallRecord, EventTape, masked, recorded_words
from .observability.pricing import shipped_prices
from .observability.prometheus import Instruments
from .observability.tracing import open_tracing

__all__ = ["Lookout"]


# It holds nothing up but the end of the session.
_CALL_LOG_SECONDS = 10.0


class Lookout:
    """Has the callbacks, subscribers and instruments of a session listen to its calls."""

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self.instruments = Instruments() if settings.metrics else None
        self._tapes: dict[str, EventTape] = {}
        self._tracing = open_tracing(settings.tracing)
        self._prices = PriceBook((*settings.pricing, *shipped_prices()))

    def metering(self, agent: Agent, live: Agent, info: CallInfo) -> Metering:
        """How a call is measured: ``agent`` has the settings, ``live`` what they opened."""
        outbound = info.direction == "outbound"
        ours = info.caller if outbound else info.callee
        services = Services(
            stt=_service(agent.stt, live.stt),
            llm=_service(agent.llm, live.llm),
            hedge_llm=_service(agent.hedge_llm, live.hedge_llm),
            tts=_service(agent.tts, live.tts),
            # The list knows what numbers of the United States cost; of others it says nothing.
            telephony=Service(info.telephony_provider, "us-local" if ours.startswith("+1") else ours),
            outbound=outbound,
        )
        return Metering(services, self._prices, wall_time())

    def trace_headers(self) -> dict[str, str]:
        """The trace of whoever places a call now, as headers; empty where nothing is traced."""
        return {} if self._tracing is None else self._tracing.headers()

    @contextmanager
    def watching(self, call: Call, trace: Mapping[str, str]) -> Iterator[None]:
        """While the block runs, whoever wants to know is told of this call, which belongs to a trace."""
        try:
            with self._attached(call, trace):
                yield
        finally:
            if call.result is None:
                # It was ended before it began, and leaves no record.
                self._tapes.pop(call.call_id, None)

    @contextmanager
    def _attached(self, call: Call, trace: Mapping[str, str]) -> Iterator[None]:
        for listener in listeners_for(self._settings, call):
            call.listen(listener)
        if self.instruments is not None:
            call.listen(self.instruments.note)
        if self._settings.call_log is not None:
            self._tapes[call.call_id] = tape = EventTape()
            call.listen(tape.note)
        with ExitStack() as stack:
            stack.enter_context(self._settings.events.following(call, call.history.transcript))
            if self._tracing is None:
                yield
                return
            traced = stack.enter_context(self._tracing.tracing(call.info, call.services, trace))
            call.listen(traced.note)
            try:
                yield
            finally:
                traced.metrics = call.metrics

    def note_end(self, result: CallResult) -> None:
        """Takes in how a call ended, one that was not taken too."""
        if self.instruments is not None:
            self.instruments.note_end(
                result.outcome, result.reason, result.error_code, result.counts, result.cost
            )

    async def keep(self, info: CallInfo, result: CallResult) -> None:
        """Writes the record of a call that is over, where records are kept."""
        log = self._settings.call_log
        if log is not None:
            record = self._record(info, result)
            await call_back(log.write, record, name="the call log", deadline=_CALL_LOG_SECONDS)

    def _record(self, info: CallInfo, result: CallResult) -> CallRecord:
        tape = self._tapes.pop(result.call_id, None) or EventTape()
        if not self._settings.call_log_numbers:
            info = masked(info)
        now = wall_time()
        return CallRecord(
            call_id=result.call_id,
            direction=info.direction,
            caller=info.caller,
            callee=info.callee,
            telephony_provider=info.telephony_provider,
            started_at=now - result.duration_seconds,
            ended_at=now,
            duration_seconds=result.duration_seconds,
            outcome=result.outcome,
            reason=result.reason,
            error_code=result.error_code,
            transcript=recorded_words(result.history),
            events=tuple(tape.events),
            events_dropped=tape.dropped + result.counts.get("events_dropped", 0),
            metrics=result.metrics,
            counts=dict(result.counts),
            recording_path=result.recording_path,
        )


def _service(settings: Any, live: Any) -> Service | None:
    """Who it is, by the settings, or by what they opened where those do not say."""
    if live is None:
        return None
    provider = getattr(live, "name", "") or getattr(settings, "name", "")
    model = getattr(settings, "model", "") or getattr(live, "model", "")
    return Service(str(provider), str(model or ""))
