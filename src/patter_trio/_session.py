"""A session: one port, one ticker, many calls."""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import attrs
import trio

from ._actors.observe import WallClock
from ._actors.ticker import Ticker
from ._call.agent import Agent
from ._call.call import Call, CallResult
from ._callbacks import call_end_payload, listeners_for
from ._foreign import call_back, unwrapped
from ._providers import Providers
from ._server.admission import Admission
from ._server.app import build_app
from ._server.entrance import Entrance
from ._server.house import UpgradeRequest
from ._server.port import PortStats, serve_port
from ._settings import SessionCounts, SessionSettings, normalise_webhook_url
from ._wall import wall_time
from .abc import LiveCarrier, MediaSocket, MediaWire, WebhookRequest
from .errors import (
    CapacityError,
    PatterConfigError,
    PatterConnectionError,
    RemoteProtocolError,
    SignatureError,
)
from .events import CallInfo, StreamStarted
from .telephony import CallOffered, Links, Refusal, StreamOrder, WebhookReply
from .tools import MCPServer, Tool, open_mcp_tools

__all__ = ["Session", "open_session"]

_log = logging.getLogger("patter_trio.session")

# The carrier's first messages follow the upgrade at once.
_START_SECONDS = 5.0

_LAST_ANSWERS_SECONDS = 1.0

# How many ended calls a session remembers.
_RESULTS = 1000

# A callback after the end of a call may talk to a slow CRM; it holds nothing up.
_CALL_END_SECONDS = 30.0
# When the session itself is cancelled, people wait for it to end.
_CALL_END_CANCELLED_SECONDS = 2.0


class Session:
    """The running house. Made by :func:`open_session`; implements what the server asks of a house."""

    def __init__(self, settings: SessionSettings, agent: Agent | None, nursery: trio.Nursery) -> None:
        self._settings = settings
        self._agent = agent
        self._nursery = nursery
        self._ticker = Ticker()
        self._admission = Admission(settings.max_calls)
        self._calls: dict[str, Call] = {}
        self._providers = Providers(nursery)
        self._carrier: LiveCarrier | Any = None
        self._kind = settings.carrier.kind if settings.carrier is not None else ""
        self._base = settings.webhook_url
        self._entrance = Entrance(settings, self._known_as)
        self._quiet = trio.Event()
        self._reporting = 0
        self._patience = trio.CancelScope()
        self._listeners: list[trio.SocketListener] = []
        self._port_closed = trio.Event()
        self.id = secrets.token_hex(8)
        self.address: tuple[str, int] | None = None
        self.results: deque[CallResult] = deque(maxlen=_RESULTS)
        self.counts = SessionCounts()
        self.port_stats = PortStats()
        self.app = build_app(self)

    # --- for the owner --------------------------------------------------------------------------------------

    @property
    def calls(self) -> Mapping[str, Call]:
        """The running calls by call id."""
        return self._calls

    @property
    def url(self) -> str:
        """The base URL that carriers use."""
        return self._base

    def health(self) -> Mapping[str, Any]:
        """What ``/health`` says: no secrets, no numbers of people."""
        return {
            "status": "draining" if self._admission.closed else "ok",
            "session": self.id,
            "calls": len(self._calls),
            "max_calls": self._settings.max_calls,
            "counts": attrs.asdict(self.counts),
            "port": self.port_stats.as_dict(),
            "ticker_late_ms": round(self._ticker.late_max * 1000, 1),
            **self._entrance.health(),
        }

    async def look_around(self) -> None:
        """Warns when the public address does not lead here, or calls to our number do not come to it."""
        await self._entrance.look_around(self.id, self.address)

    async def drain(self) -> None:
        """Takes no new calls, lets the running ones finish until the deadline, then ends them."""
        self._admission.close()
        if self._admission.on_line or self._reporting:
            count, patience = self._admission.on_line, self._settings.drain_seconds
            _log.info("draining: %d call(s), at most %g s", count, patience)
            with trio.CancelScope(deadline=trio.current_time() + patience) as self._patience:
                await self._until_quiet()
            self.end_calls()
        with trio.move_on_after(_CALL_END_SECONDS):
            await self._until_quiet()

    def end_calls(self) -> None:
        """Ends every call now; a drain that is waiting for them waits no longer."""
        self._admission.close()
        self._patience.cancel()
        for call in list(self._calls.values()):
            call.drain()

    async def _until_quiet(self) -> None:
        while self._admission.on_line or self._reporting:
            self._quiet = trio.Event()
            await self._quiet.wait()

    # --- what the server asks -------------------------------------------------------------------------------

    def public_url(self, target: str, *, websocket: bool = False) -> str:
        """The absolute URL of ``target`` as carriers know it."""
        base = self._base
        if websocket:
            base = base.replace("http", "ws", 1)
        return base + target

    async def answer_webhook(self, kind: str, what: str, request: WebhookRequest) -> WebhookReply:
        """The carrier asks what to do with a call, or tells what became of one."""
        carrier = self._settings.carrier
        if carrier is None or carrier.kind != kind:
            return WebhookReply("no such carrier here\n", "text/plain", 404)
        try:
            carrier.verify(request)
        except SignatureError as error:
            self.counts.refused_signature += 1
            _log.warning("webhook refused: %s", error)
            return WebhookReply("signature refused\n", "text/plain", 403)
        try:
            notice = carrier.read_notice(what, request)
        except RemoteProtocolError as error:
            self.counts.refused_malformed += 1
            _log.warning("webhook refused: %s", error)
            return WebhookReply("not understood\n", "text/plain", 400)
        if not isinstance(notice, CallOffered):
            return WebhookReply()
        return await self._take(notice.info)

    async def _take(self, info: CallInfo) -> WebhookReply:
        """Takes an incoming call, if there is room for it."""
        if info.callee and info.callee != self._settings.phone_number:
            _log.warning("a call for another number came here: does its webhook mean this session?")
        try:
            token = self._admission.admit(info, self._agent, trio.current_time())
        except CapacityError as error:
            self.counts.refused_busy += 1
            _log.warning("call %s refused: %s", info.call_id, error)
            return await self._carrier.refuse(info, Refusal("busy"))
        url = self.public_url(f"/ws/{self._kind}/{token}", websocket=True)
        links = Links(self._base, self._kind, token)
        return await self._carrier.answer(info, StreamOrder(url, links))

    def refuse_media(self, upgrade: UpgradeRequest) -> int | None:
        """Checks a media upgrade before it is accepted: the one-time token, then the signature."""
        status = self._judge_media(upgrade)
        if status is not None:
            self.counts.refused_stream += 1
        return status

    async def run_media(self, socket: MediaSocket, upgrade: UpgradeRequest) -> None:
        """Takes an accepted media stream: binds it to its call and runs that."""
        carrier = self._settings.carrier
        expected = self._admission.claim(_token_of(upgrade.target), trio.current_time())
        if carrier is None or expected is None:
            self.counts.refused_stream += 1
            _log.warning("media stream refused: its token is unknown, used or too old")
            await socket.aclose()
            return
        result = None
        try:
            wire = carrier.open_wire()
            started = await self._wait_for_start(socket, wire)
            if started is None or started.call_id != expected.info.call_id:
                self.counts.streams_without_start += 1
                _log.warning("media stream refused: it does not start call %s", expected.info.call_id)
                return
            info = attrs.evolve(expected.info, custom_params=started.parameters)
            call = await self._open_call(info, expected.agent)
            try:
                result = await call.run(socket, wire)
            finally:
                del self._calls[info.call_id]
                result = call.result
        finally:
            # The line is free before anybody is told about the call: callbacks may take their time.
            self._admission.release(expected)
            self._reporting += 1
            try:
                await socket.aclose()
                if result is not None:
                    await self._report_end(expected.info, result)
            finally:
                self._reporting -= 1
                self._quiet.set()

    # --- inside ---------------------------------------------------------------------------------------------

    def _judge_media(self, upgrade: UpgradeRequest) -> int | None:
        carrier = self._settings.carrier
        if carrier is None or not self._admission.knows(_token_of(upgrade.target), trio.current_time()):
            _log.warning("media stream refused: its token is unknown, used or too old")
            return 403
        url = self.public_url(upgrade.target, websocket=True)
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

    async def _open_call(self, info: CallInfo, agent: Agent) -> Call:
        clock = WallClock(wall_time(), trio.current_time())
        call = Call(
            info,
            await self.live_agent(agent),
            ticker=self._ticker,
            clock=clock,
            carrier=self._carrier,
            more_tools=partial(_mcp_tools, agent.mcp_servers) if agent.mcp_servers else None,
        )
        for listener in listeners_for(self._settings, call):
            call.listen(listener)
        self._calls[info.call_id] = call
        self.counts.answered += 1
        return call

    async def _report_end(self, info: CallInfo, result: CallResult) -> None:
        """Records how a call ended: also one that is ended by the end of the session."""
        self.results.append(result)
        if result.outcome == "answered":
            self.counts.completed += 1
        else:
            self.counts.failed += 1
        on_call_end = self._settings.on_call_end
        if on_call_end is None:
            return
        cancelled = trio.current_effective_deadline() == float("-inf")
        seconds = _CALL_END_CANCELLED_SECONDS if cancelled else _CALL_END_SECONDS
        with trio.CancelScope(shield=cancelled):
            payload = call_end_payload(info, result)
            await call_back(on_call_end, payload, name="on_call_end", deadline=seconds)

    async def live_agent(self, agent: Agent) -> Agent:
        """The agent with its providers opened; each provider is opened once per session."""
        return await self._providers.live_agent(agent)

    async def listen(self) -> None:
        """Binds the port and answers it until the session ends.

        Raises:
            PatterConnectionError: the port cannot be bound.
        """
        settings = self._settings
        assert settings.port is not None
        try:
            listeners = await trio.open_tcp_listeners(settings.port, host=settings.host)
        except OSError as error:
            raise PatterConnectionError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}",
                hint="choose another port with port=…, or 0 for any free one",
            ) from error
        host, port = listeners[0].socket.getsockname()[:2]
        self.address = (host, port)
        self._base = self._base.removesuffix(":0") + f":{port}" if self._base.endswith(":0") else self._base
        if not self._base:
            self._base = f"http://{host}:{port}"
            if settings.carrier is not None and settings.tunnel is None:
                _log.warning(
                    "no webhook_url= and no tunnel=: only a carrier on this machine can reach %s", self._base
                )
        self._listeners = listeners
        await self._nursery.start(self._serve_port)
        _log.info("listening on %s:%d as %s", host, port, self._base)

    async def _serve_port(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        try:
            await serve_port(
                self._listeners,
                self.app,
                self,
                limits=self._settings.limits,
                stats=self.port_stats,
                task_status=task_status,
            )
        finally:
            # Also when the session is cancelled: the port must be free for the next one.
            for listener in self._listeners:
                listener.socket.close()
            self._port_closed.set()

    async def close_port(self) -> None:
        """Stops listening and gives the last answers a moment to get out."""
        for listener in self._listeners:
            await listener.aclose()
        if self._listeners:
            with trio.move_on_after(_LAST_ANSWERS_SECONDS):
                await self._port_closed.wait()

    async def start(self) -> None:
        """Opens the agent's providers, starts the clock, binds the port, opens the way to it."""
        self._nursery.start_soon(self._ticker.run)
        self._carrier = await self._providers.open(self._settings.carrier)
        if self._agent is not None:
            await self.live_agent(self._agent)
        if self._settings.port is not None:
            await self.listen()
        await self._entrance.open(self._nursery, self._base, self.address, self._carrier)

    def _known_as(self, url: str) -> None:
        self._base = url


def _mcp_tools(
    servers: Iterable[MCPServer], taken: Collection[str]
) -> AbstractAsyncContextManager[list[Tool]]:
    return open_mcp_tools(servers, taken=taken)


def _token_of(target: str) -> str:
    return target.partition("?")[0].rstrip("/").rpartition("/")[2]


@asynccontextmanager
async def open_session(settings: SessionSettings, agent: Agent | None) -> AsyncIterator[Session]:
    """A session for the length of the block: listening, calls accepted; leaving it ends every call.

    Leaving normally drains: running calls may finish until ``drain_seconds`` have passed. Leaving by an
    exception or a cancellation ends them at once.

    Raises:
        PatterConfigError: the agent cannot take calls, or an extra is missing.
        PatterConnectionError: the port cannot be bound.
    """
    if agent is not None:
        agent.require_pipeline()
    settings = attrs.evolve(settings, webhook_url=normalise_webhook_url(settings.webhook_url))
    if settings.port is None and settings.carrier is not None and not settings.webhook_url:
        raise PatterConfigError("without a port the public address is unknown", hint="pass webhook_url=…")
    try:
        async with trio.open_nursery() as nursery:
            session = Session(settings, agent, nursery)
            await session.start()
            yield session
            await session.drain()
            await session.close_port()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # One failure is one exception to the owner: nobody outside opened this nursery.
        raise unwrapped(group) from group.__cause__
