"""A session: one port, one ticker, many calls."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from ._actors.ticker import Ticker
from ._call.agent import Agent
from ._call.call import Call, CallResult
from ._call.screening import Screening
from ._dialling import Dialler
from ._foreign import unwrapped
from ._office import Office
from ._outgoing import MachineDetectionResult, OutgoingCall
from ._providers import Providers
from ._server.admission import Admission
from ._server.app import build_app
from ._server.entrance import Entrance
from ._server.house import UpgradeRequest
from ._server.port import PortStats, serve_port
from ._settings import SessionSettings, normalise_webhook_url
from ._streams import Streams
from ._switchboard import Switchboard
from .abc import MediaSocket, WebhookRequest
from .errors import (
    PatterConfigError,
    PatterConnectionError,
)
from .observability import EventBus
from .telephony import RecordingSaved, WebhookReply

__all__ = ["Session", "open_session"]

_log = logging.getLogger("patter_trio.session")

_LAST_ANSWERS_SECONDS = 1.0

# A callback after the end of a call may talk to a slow CRM; it holds nothing up.
_CALL_END_SECONDS = 30.0


class Session:
    """The running house. Made by :func:`open_session`; implements what the server asks of a house."""

    def __init__(self, settings: SessionSettings, agent: Agent | None, nursery: trio.Nursery) -> None:
        self._settings = settings
        self._nursery = nursery
        self._ticker = Ticker()
        self._office = Office(settings, agent, Providers(nursery), Admission(settings.max_calls))
        self._base = settings.webhook_url
        self._entrance = Entrance(settings, self._known_as)
        self._patience = trio.CancelScope()
        self._over = False
        self._listeners: list[trio.SocketListener] = []
        self._port_closed = trio.Event()
        self.id = secrets.token_hex(8)
        self.address: tuple[str, int] | None = None
        self.counts = self._office.counts
        self.port_stats = PortStats()
        self._switchboard = Switchboard(self, self._office)
        self._streams = Streams(self._office, self._ticker, self._switchboard)
        self._dialler = Dialler(self._office, self._switchboard, self._streams)
        self._switchboard.on_recording = self._streams.tell_recording
        self.app = build_app(self, self.metrics_page if settings.metrics else None)

    # --- for the owner --------------------------------------------------------------------------------------

    @property
    def calls(self) -> Mapping[str, Call]:
        """The running calls by call id."""
        return self._streams.calls

    @property
    def results(self) -> Sequence[CallResult]:
        """How the last thousand calls ended, the latest one last."""
        return self._streams.results

    @property
    def recordings(self) -> Sequence[RecordingSaved]:
        """The last thousand recordings of the carrier's that were told of."""
        return self._streams.recordings

    @property
    def events(self) -> EventBus:
        """Where to subscribe to single kinds of events of all calls."""
        return self._settings.events

    @property
    def url(self) -> str:
        """The base URL that carriers use."""
        return self._base

    def health(self) -> Mapping[str, Any]:
        """What ``/health`` says: no secrets, no numbers of people."""
        return {
            "status": "draining" if self._office.admission.closed else "ok",
            "session": self.id,
            "calls": len(self.calls),
            "max_calls": self._settings.max_calls,
            "counts": attrs.asdict(self.counts),
            "port": self.port_stats.as_dict(),
            "ticker_late_ms": round(self._ticker.late_max * 1000, 1),
            **self._entrance.health(),
        }

    def metrics_page(self) -> str:
        """What ``/metrics`` says, in the text format of Prometheus; empty without ``metrics=True``."""
        instruments = self._office.lookout.instruments
        if instruments is None:
            return ""
        late = self._ticker.late_max
        return instruments.page(
            {
                "patter_calls": ("Calls that are up.", len(self.calls)),
                "patter_calls_max": ("Calls that may be up at once.", self._settings.max_calls),
                "patter_ticker_late_seconds_max": ("The longest that the 20 ms clock was ever late.", late),
            }
        )

    async def look_around(self) -> None:
        """Warns when the public address does not lead here, or calls to our number do not come to it."""
        await self._entrance.look_around(self.id, self.address)

    async def drain(self) -> None:
        """Takes no new calls, lets the running ones finish until the deadline, then ends them."""
        self._office.admission.close()
        await self._dialler.give_up()
        if self._busy:
            count, patience = self._office.admission.on_line, self._settings.drain_seconds
            _log.info("draining: %d call(s), at most %g s", count, patience)
            with trio.CancelScope(deadline=trio.current_time() + patience) as self._patience:
                await self._until_quiet()
            self.end_calls()
        with trio.move_on_after(_CALL_END_SECONDS):
            await self._until_quiet()

    def end_calls(self) -> None:
        """Ends every call now; a drain that is waiting for them waits no longer."""
        self._office.admission.close()
        self._patience.cancel()
        for call in list(self.calls.values()):
            call.drain()

    @property
    def _busy(self) -> bool:
        return bool(self._office.admission.on_line or self._streams.reporting or self._dialler.ringing)

    async def _until_quiet(self) -> None:
        while self._busy:
            await self._streams.wait_change()

    async def call(
        self,
        to: str,
        agent: Agent | None = None,
        *,
        first_message: str | None = None,
        from_number: str = "",
        machine_detection: bool = True,
        on_machine_detection: Callable[[MachineDetectionResult], Any] | None = None,
        voicemail_message: str = "",
        ring_timeout: int = 25,
        send_digits: str = "",
        variables: Mapping[str, Any] | None = None,
        wait: bool = False,
    ) -> OutgoingCall:
        """Calls somebody; returns when the carrier has taken that on. ``await`` what it returns for the end.

        Args:
            to: E.164, or a ``sip:`` address.
            agent: who talks; the session's own where it is left out.
            first_message: said instead of the agent's own first message.
            from_number: our number that is shown; the session's own where it is left out.
            machine_detection: whether the carrier listens for answering machines. The agent is silent until
                it is known who picked up, for 5 s at most, and says nothing to a machine.
            on_machine_detection: told who picked up, once it is known.
            voicemail_message: left on a machine after its beep, in the agent's own voice.
            ring_timeout: seconds that it may ring.
            send_digits: keys pressed by the carrier on answer, ``w`` is half a second.
            variables: values for ``{name}`` in the agent's messages, over its own.
            wait: whether to return only when the call is over; its result is in ``.result`` then.

        Raises:
            PatterConfigError: something of this cannot be meant; nothing was asked of the carrier.
            CapacityError: all lines are taken, or the session is ending.
            PatterError: the carrier did not take the call on.
        """
        agent = agent or self._office.agent
        if agent is None:
            raise PatterConfigError("there is nobody to talk in this call", hint="pass agent=")
        agent.require_pipeline()
        outgoing = OutgoingCall(
            to,
            from_number or self._settings.phone_number,
            ring_seconds=ring_timeout,
            send_digits=send_digits,
            first_message=first_message,
            variables=variables or {},
            screening=Screening(voicemail_message) if machine_detection else None,
            on_machine_detection=on_machine_detection,
        )
        await self._nursery.start(self._dialler.dial, outgoing, agent)
        if wait:
            await outgoing.wait_ended()
        return outgoing

    async def save_recording(self, saved: RecordingSaved, path: str | os.PathLike[str]) -> None:
        """Fetches a recording of the carrier's into a file, which is there when it is complete.

        Raises:
            PatterError: there is none, or the carrier refuses or cannot be reached.
            OSError: the file cannot be written.
        """
        if self._office.live is None:
            raise PatterConfigError("a session without a carrier has no recordings")
        part = trio.Path(f"{os.fspath(path)}.part")
        try:
            async with self._office.live.fetch_recording(saved) as pieces, await part.open("wb") as file:
                async for piece in pieces:
                    await file.write(piece)
            await part.replace(path)
        finally:
            with trio.CancelScope(shield=True):
                await part.unlink(missing_ok=True)

    # --- what the server asks -------------------------------------------------------------------------------

    def public_url(self, target: str, *, websocket: bool = False) -> str:
        """The absolute URL of ``target`` as carriers know it."""
        base = self._base
        if websocket:
            base = base.replace("http", "ws", 1)
        return base + target

    async def answer_webhook(self, kind: str, what: str, request: WebhookRequest) -> WebhookReply:
        """The carrier asks what to do with a call, or tells what became of one."""
        if self._over:
            # An app that is mounted elsewhere is there for longer than the session behind it.
            return WebhookReply("the session is over\n", "text/plain", 503)
        return await self._switchboard.answer(kind, what, request)

    def refuse_media(self, upgrade: UpgradeRequest) -> int | None:
        """Checks a media upgrade before it is accepted: the one-time token, then the signature."""
        return self._streams.refuse(upgrade, self.public_url(upgrade.target, websocket=True))

    async def run_media(self, socket: MediaSocket, upgrade: UpgradeRequest) -> None:
        """Takes an accepted media stream: binds it to its call and runs that."""
        await self._streams.run(socket, upgrade)

    # --- inside ---------------------------------------------------------------------------------------------

    def background(self, task: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Runs something for as long as the session; it must not raise."""
        if not self._over:
            self._nursery.start_soon(task, *args)

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

    def end(self) -> None:
        """Nothing of the session goes on from here."""
        self._over = True
        self._nursery.cancel_scope.cancel()

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
        carrier = self._settings.carrier
        if carrier is not None:
            self._office.live = await self._office.providers.open(carrier)
        if self._office.agent is not None:
            await self._office.providers.live_agent(self._office.agent)
        if self._settings.port is not None:
            await self.listen()
        await self._entrance.open(self._nursery, self._base, self.address, self._office.live)

    def _known_as(self, url: str) -> None:
        self._base = url


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
            try:
                await session.start()
                yield session
                await session.drain()
                await session.close_port()
            finally:
                session.end()
    except BaseExceptionGroup as group:
        # One failure is one exception to the owner: nobody outside opened this nursery.
        raise unwrapped(group) from group.__cause__
