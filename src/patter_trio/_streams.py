"""The media streams of a session: each is bound to its call, and the call is run and reported."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import attrs
import trio

from ._actors.observe import WallClock
from ._actors.ticker import Ticker
from ._call.call import Call, CallResult
from ._callbacks import call_end_payload, call_start_payload, overridden
from ._foreign import call_back
from ._lines import Line
from ._office import Office
from ._server.house import UpgradeRequest
from ._switchboard import Switchboard
from ._wall import wall_time
from .abc import MediaSocket, MediaWire, OutlivesStreams, WebhookRequest
from .errors import PatterConfigError, PatterError, RemoteProtocolError, SignatureError
from .events import StreamStarted
from .telephony import RecordingSaved
from .tools import MCPServer, Tool, open_mcp_tools

__all__ = ["Streams"]

_log = logging.getLogger("patter_trio.session")

# The carrier's first messages follow the upgrade at once.
_START_SECONDS = 5.0

# How many ended calls a session remembers.
_RESULTS = 1000

# Somebody else has hung up, or has the call.
_OVER_AT_THE_CARRIER = ("caller_hung_up", "transferred")
_HANG_UP_SECONDS = 5.0

# The caller listens to silence meanwhile: a callback that takes longer changes nothing any more.
_SETTINGS_SECONDS = 1.0
_CALL_START_SECONDS = 5.0

# A callback after the end of a call may talk to a slow CRM; it holds nothing up.
_CALL_END_SECONDS = 30.0
# When the session itself is cancelled, people wait for it to end.
_CALL_END_CANCELLED_SECONDS = 2.0


class Streams:
    """Takes media streams, and keeps the books of the calls that ran on them."""

    def __init__(self, office: Office, ticker: Ticker, switchboard: Switchboard) -> None:
        self._office = office
        self._ticker = ticker
        self._switchboard = switchboard
        self._changed = trio.Event()
        self.calls: dict[str, Call] = {}
        self.results: deque[CallResult] = deque(maxlen=_RESULTS)
        self.recordings: deque[RecordingSaved] = deque(maxlen=_RESULTS)
        self.reporting = 0

    def note_change(self) -> None:
        """A call has ended, or been given up."""
        self._changed.set()
        self._changed = trio.Event()

    async def wait_change(self) -> None:
        """Waits until a call has ended or been given up."""
        await self._changed.wait()

    def refuse(self, upgrade: UpgradeRequest, url: str) -> int | None:
        """Checks an upgrade before it is accepted: the one-time token, then the signature over ``url``."""
        status = self._judge(upgrade, url)
        if status is not None:
            self._office.counts.refused_stream += 1
        return status

    async def run(self, socket: MediaSocket, upgrade: UpgradeRequest) -> None:
        """Takes an accepted media stream: binds it to its call and runs that."""
        carrier = self._office.settings.carrier
        line = self._office.admission.claim(_token_of(upgrade.target), trio.current_time())
        if carrier is None or line is None:
            self._office.counts.refused_stream += 1
            _log.warning("media stream refused: its token is unknown, used or too old")
            await socket.aclose()
            return
        result = None
        line.released = trio.Event()
        try:
            wire = carrier.open_wire()
            started = await self._wait_for_start(socket, wire)
            if started is None or not _begins(line, started.call_id):
                self._office.counts.streams_without_start += 1
                _log.warning("media stream refused: it does not start call %s", line.info.call_id)
                return
            parameters = {**line.info.custom_params, **started.parameters}
            line.info = attrs.evolve(line.info, custom_params=parameters)
            call = await self._open_call(line)
            try:
                with self._office.lookout.watching(call, line.trace):
                    result = await self._run(line, call, socket, wire)
            finally:
                del self.calls[line.info.call_id]
                result = call.result
        finally:
            # The line is free before anybody is told about the call: callbacks may take their time.
            self._office.admission.release(line)
            self._office.lines.end(line)
            line.released.set()
            self.reporting += 1
            try:
                await socket.aclose()
                if result is not None:
                    await self._hang_up(line, result)
                    await self.report(line, result)
            finally:
                self.reporting -= 1
                self.note_change()

    def _judge(self, upgrade: UpgradeRequest, url: str) -> int | None:
        carrier = self._office.settings.carrier
        if carrier is None or not self._office.admission.knows(
            _token_of(upgrade.target), trio.current_time()
        ):
            _log.warning("media stream refused: its token is unknown, used or too old")
            return 403
        try:
            carrier.verify(WebhookRequest("GET", url, upgrade.headers))
        except SignatureError as error:
            _log.warning("media stream refused: %s", error)
            return 403
        return None

    async def _wait_for_start(self, socket: MediaSocket, wire: MediaWire) -> StreamStarted | None:
        with trio.move_on_after(_START_SECONDS):
            while True:
                try:
                    event = wire.decode(await socket.receive())
                except RemoteProtocolError as error:
                    _log.warning("before the start of a media stream: %s", error)
                    continue
                except trio.EndOfChannel:
                    return None
                if isinstance(event, StreamStarted):
                    return event
        return None

    async def _open_call(self, line: Line) -> Call:
        clock = WallClock(wall_time(), trio.current_time())
        outgoing, agent = line.outgoing, line.agent
        live = await self._office.providers.live_agent(agent)
        if outgoing is not None:
            live = outgoing.prepared(live)
        call = Call(
            line.info,
            live,
            ticker=self._ticker,
            clock=clock,
            carrier=self._office.live,
            links=self._switchboard.links(line),
            more_tools=partial(_mcp_tools, agent.mcp_servers) if agent.mcp_servers else None,
            screening=None if outgoing is None else outgoing.screening,
            history=line.history,
            metering=self._office.lookout.metering(agent, live, line.info),
        )
        self.calls[line.info.call_id] = line.call = call
        self._office.counts.answered += 1
        return call

    async def _hang_up(self, line: Line, result: CallResult) -> None:
        """Ends the call itself, at a carrier that does not do so when its stream ends."""
        live = self._office.live
        if not isinstance(live, OutlivesStreams) or result.reason in _OVER_AT_THE_CARRIER:
            return
        with trio.move_on_after(_HANG_UP_SECONDS, shield=True):
            try:
                await live.hang_up(line.info.call_id)
            except PatterError as error:
                _log.error("call %s cannot be hung up: %s", line.info.call_id, error)

    async def _run(self, line: Line, call: Call, socket: MediaSocket, wire: MediaWire) -> CallResult:
        async with trio.open_nursery() as nursery:
            if self._office.settings.recording and line.history is None:
                nursery.start_soon(self._record, call)
            if self._office.settings.on_call_start is not None:
                await nursery.start(self._tell_start, call)
            if line.outgoing is not None:
                line.outgoing.call = call
                line.outgoing.wake()
            result = await call.run(socket, wire)
            nursery.cancel_scope.cancel()
        return result

    async def _tell_start(
        self, call: Call, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Has the user's callback change the settings of a call, which waits for that a moment."""
        on_call_start = self._office.settings.on_call_start
        assert on_call_start is not None
        answered = trio.Event()
        answers: list[Any] = []

        async def ask() -> None:
            payload = call_start_payload(call.info)
            answers.append(
                await call_back(on_call_start, payload, name="on_call_start", deadline=_CALL_START_SECONDS)
            )
            answered.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            with trio.move_on_after(_SETTINGS_SECONDS) as waiting:
                await answered.wait()
            if not waiting.cancelled_caught and isinstance(answers[0], Mapping):
                _override(call, answers[0])
            task_status.started()
        if waiting.cancelled_caught and answers[0] is not None:
            _log.warning("call %s: the settings of on_call_start came too late", call.call_id)

    async def _record(self, call: Call) -> None:
        """Has the carrier record a call, which does not wait for that."""
        try:
            await call.control.record()
        except PatterError as error:
            _log.error("call %s is not recorded: %s", call.call_id, error)

    async def tell_recording(self, line: Line, saved: RecordingSaved) -> None:
        self.recordings.append(saved)
        if saved.error:
            _log.error("call %s: its recording failed: %s", line.info.call_id, saved.error)
        if self._office.settings.on_recording is not None:
            await call_back(
                self._office.settings.on_recording, saved, name="on_recording", deadline=_CALL_END_SECONDS
            )

    async def report(self, line: Line, result: CallResult) -> None:
        """Records how a call ended: also one that is ended by the end of the session."""
        self.results.append(result)
        self._office.lookout.note_end(result)
        if line.outgoing is not None:
            line.outgoing.end(result)
        if result.outcome == "failed":
            self._office.counts.failed += 1
        else:
            self._office.counts.completed += 1
        cancelled = trio.current_effective_deadline() == float("-inf")
        with trio.CancelScope(shield=cancelled) as last:
            if cancelled:
                last.deadline = trio.current_time() + _CALL_END_CANCELLED_SECONDS
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._office.lookout.keep, line.info, result)
                nursery.start_soon(self._tell_end, line, result)

    async def _tell_end(self, line: Line, result: CallResult) -> None:
        on_call_end = self._office.settings.on_call_end
        if on_call_end is not None:
            payload = call_end_payload(line.info, result)
            await call_back(on_call_end, payload, name="on_call_end", deadline=_CALL_END_SECONDS)


def _override(call: Call, settings: Mapping[str, Any]) -> None:
    try:
        call.agent = overridden(call.agent, settings)
    except PatterConfigError as error:
        _log.error("call %s goes on with its agent's own settings: %s", call.call_id, error)


def _mcp_tools(
    servers: Iterable[MCPServer], taken: Collection[str]
) -> AbstractAsyncContextManager[list[Tool]]:
    return open_mcp_tools(servers, taken=taken)


def _begins(line: Line, call_id: str) -> bool:
    """Whether the start of this stream is that of the call; one that was given up begins no more."""
    given_up = line.outgoing is not None and line.outgoing.given_up
    return not given_up and line.recognise(call_id)


def _token_of(target: str) -> str:
    return target.partition("?")[0].rstrip("/").rpartition("/")[2]
