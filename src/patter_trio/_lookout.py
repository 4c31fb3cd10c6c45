"""Everybody who watches the calls of a session, each attached to a call only if somebody asked for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from ._call.agent import Agent
from ._call.call import Call, CallResult
from ._callbacks import listeners_for
from ._settings import SessionSettings
from ._turns.call_metrics import Metering
from ._turns.cost import Service, Services
from ._turns.prices import PriceBook
from ._wall import wall_time
from .events import CallInfo
from .observability.pricing import shipped_prices
from .observability.prometheus import Instruments
from .observability.tracing import open_tracing

__all__ = ["Lookout"]


class Lookout:
    """Has the callbacks, subscribers and instruments of a session listen to its calls."""

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self.instruments = Instruments() if settings.metrics else None
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
        for listener in listeners_for(self._settings, call):
            call.listen(listener)
        if self.instruments is not None:
            call.listen(self.instruments.note)
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


def _service(settings: Any, live: Any) -> Service | None:
    """Who it is, by the settings, or by what they opened where those do not say."""
    if live is None:
        return None
    provider = getattr(live, "name", "") or getattr(settings, "name", "")
    model = getattr(settings, "model", "") or getattr(live, "model", "")
    return Service(str(provider), str(model or ""))
