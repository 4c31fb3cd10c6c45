"""What a carrier asks and tells by its webhooks, and what becomes of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import trio

from ._call.agent import Agent
from ._foreign import call_back
from ._lines import Line
from ._office import Office
from ._outgoing import MachineDetectionResult
from .abc import FollowsUp, LiveCarrier, ServesDocuments, WebhookRequest
from .errors import CapacityError, PatterError, RemoteProtocolError, SignatureError
from .events import CallInfo
from .observability.tracing import TRACE_HEADERS
from .telephony import (
    CallAnswered,
    CallOffered,
    CallOver,
    GreetingEnded,
    Links,
    MachineVerdict,
    Notice,
    RecordingSaved,
    Refusal,
    StreamOrder,
    TransferEnded,
    WebhookReply,
)

__all__ = ["OnCall", "Switchboard"]

_log = logging.getLogger("patter_trio.session")

OnCall = Callable[[CallInfo], Awaitable[Agent | Refusal | None] | Agent | Refusal | None]

# Carriers wait for the answer to their webhook for 2 to 15 s.
_ROUTER_SECONDS = 5.0
_CALLBACK_SECONDS = 5.0
# A target that is busy may say so before the stream to the agent has ended.
_RELEASE_SECONDS = 5.0

# Both carriers that ask for documents understand it.
_HANG_UP = WebhookReply('<?xml version="1.0" encoding="UTF-8"?><Response><Hangup/></Response>')
_HEARD = WebhookReply(status=204)


class Home(Protocol):
    """What the switchboard needs of its session."""

    def public_url(self, target: str, *, websocket: bool = False) -> str:
        """The absolute URL of ``target`` as carriers know it."""
        ...

    def background(self, task: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Runs something for as long as the session; it must not raise."""
        ...


class Switchboard:
    """Answers one carrier's webhooks: routes calls to agents, and what is told of calls to those."""

    def __init__(self, home: Home, office: Office) -> None:
        self._home = home
        self._office = office
        self.on_recording: Callable[[Line, RecordingSaved], Awaitable[None]] | None = None

    def stream_order(self, line: Line, token: str) -> StreamOrder:
        """The order to open the stream of this token."""
        kind = line.info.telephony_provider
        url = self._home.public_url(f"/ws/{kind}/{token}", websocket=True)
        return StreamOrder(url, self.links(line))

    def links(self, line: Line) -> Links:
        """Where is told of this call."""
        return Links(self._home.public_url(""), line.info.telephony_provider, line.key)

    async def answer(self, kind: str, what: str, request: WebhookRequest) -> WebhookReply:
        """What a carrier gets back for its webhook; nothing it sends is believed before it is verified."""
        carrier, live = self._office.settings.carrier, self._office.live
        if carrier is None or live is None or carrier.kind != kind:
            return WebhookReply("no such carrier here\n", "text/plain", 404)
        try:
            carrier.verify(request)
        except SignatureError as error:
            self._office.counts.refused_signature += 1
            _log.warning("webhook refused: %s", error)
            return WebhookReply("signature refused\n", "text/plain", 403)
        if isinstance(live, FollowsUp):
            self._home.background(self._follow_up, live, what, request)
        if what == "document":
            document = live.serve_document(request) if isinstance(live, ServesDocuments) else None
            return document or WebhookReply("nothing was left for this call\n", "text/plain", 404)
        try:
            notice = carrier.read_notice(what, request)
        except RemoteProtocolError as error:
            self._office.counts.refused_malformed += 1
            _log.warning("webhook refused: %s", error)
            return WebhookReply("not understood\n", "text/plain", 400)
        if notice is None:
            return _HEARD
        keys = parse_qs(urlsplit(request.url).query).get("call", [""])
        return await self._act(live, notice, keys[0], request.headers)

    async def _follow_up(self, live: FollowsUp, what: str, request: WebhookRequest) -> None:
        try:
            await live.follow_up(what, request)
        except PatterError as error:
            _log.error("what a webhook made due could not be done: %s", error)

    async def _act(
        self, live: LiveCarrier, notice: Notice, key: str, headers: Mapping[str, str]
    ) -> WebhookReply:
        line = self._office.lines.find(key, notice.call_id)
        match notice:
            case CallOffered():
                return await self._offered(live, notice.info, line, headers)
            case RecordingSaved():
                if line is not None and self.on_recording is not None:
                    self._home.background(self.on_recording, line, notice)
            case TransferEnded():
                return await self._transfer_ended(live, notice, line)
            case _:
                if line is not None:
                    self._tell(line, notice)
        return _HEARD

    # --- calls that are offered -----------------------------------------------------------------------------

    async def _offered(
        self, live: LiveCarrier, info: CallInfo, line: Line | None, headers: Mapping[str, str]
    ) -> WebhookReply:
        if line is not None and line.outgoing is not None:
            # One of ours was picked up, and the carrier asks what to do with it.
            return await self._connect(live, line, line.info)
        if line is not None and line.call is not None:
            _log.info("call %s is offered again, and is running", info.call_id)
            return _HEARD
        if line is not None and line.reply is not None:
            return line.reply
        if line is None:
            routed = await self._route(info)
            if isinstance(routed, Refusal):
                return await self._refuse(live, info, routed)
            trace = {name: headers[name] for name in TRACE_HEADERS if name in headers}
            line = self._office.lines.add(Line(info, routed, trace=trace))
        return await self._connect(live, line, info)

    async def _route(self, info: CallInfo) -> Agent | Refusal:
        """Which agent takes an incoming call."""
        settings = self._office.settings
        if settings.on_call is not None:
            chosen = await call_back(settings.on_call, info, name="on_call", deadline=_ROUTER_SECONDS)
            if isinstance(chosen, Agent | Refusal):
                return chosen
            if chosen is not None:
                _log.error("on_call gave %r, which is neither an agent nor a Refusal", type(chosen).__name__)
        elif info.callee and info.callee != settings.phone_number:
            _log.warning("a call for another number came here: does its webhook mean this session?")
        if self._office.agent is None:
            _log.warning("call %s refused: no agent answers here", info.call_id)
            return Refusal("busy")
        return self._office.agent

    async def _connect(self, live: LiveCarrier, line: Line, info: CallInfo) -> WebhookReply:
        """Has the stream of a call opened, if there is room for it."""
        try:
            line.agent.require_pipeline()
            token = self._office.admission.admit(line, trio.current_time())
        except PatterError as error:
            _log.warning("call %s refused: %s", info.call_id, error)
            self._office.lines.end(line)
            return await self._refuse(live, info, Refusal("busy"))
        # Commands take their time, and a carrier that hears nothing meanwhile offers the call again.
        line.reply = _HEARD
        try:
            line.reply = await live.answer(info, self.stream_order(line, token))
            return line.reply
        except PatterError as error:
            _log.error("call %s cannot be answered: %s", info.call_id, error)
            line.reply = None
            self._office.admission.forget(token)
            return WebhookReply("cannot be answered now\n", "text/plain", 503)

    async def _refuse(self, live: LiveCarrier, info: CallInfo, refusal: Refusal) -> WebhookReply:
        self._office.counts.refused_busy += 1
        try:
            return await live.refuse(info, refusal)
        except PatterError as error:
            _log.error("call %s cannot even be refused: %s", info.call_id, error)
            return WebhookReply("cannot be refused now\n", "text/plain", 503)

    # --- what is told of calls ------------------------------------------------------------------------------

    def _tell(self, line: Line, notice: Notice) -> None:
        outgoing = line.outgoing
        if outgoing is None:
            return
        match notice:
            case CallAnswered():
                outgoing.answered = True
            case CallOver():
                outgoing.over = outgoing.over or notice
            case MachineVerdict() | GreetingEnded():
                outgoing.answered = True
                if outgoing.screening is not None and outgoing.screening.tell(notice):
                    self._home.background(self._report_verdict, line, notice.raw)
            case _:
                return
        outgoing.wake()

    async def _report_verdict(self, line: Line, raw: str) -> None:
        outgoing = line.outgoing
        assert outgoing is not None
        assert outgoing.screening is not None
        verdict = outgoing.screening.verdict or "unknown"
        result = MachineDetectionResult.now(line.info.call_id, line.info.telephony_provider, verdict, raw)
        for told in (outgoing.on_machine_detection, self._office.settings.on_machine_detection):
            if told is not None:
                await call_back(told, result, name="on_machine_detection", deadline=_CALLBACK_SECONDS)

    # --- calls that come back -------------------------------------------------------------------------------

    async def _transfer_ended(
        self, live: LiveCarrier, notice: TransferEnded, line: Line | None
    ) -> WebhookReply:
        """Somebody else had the call. When nobody answered there, the caller is taken back by the agent."""
        ended = _HANG_UP if notice.wants_document else _HEARD
        if line is None or not line.given_away:
            return ended
        if notice.answered:
            return ended
        _log.info("call %s comes back: %s", notice.call_id, notice.detail or "nobody answered")
        with trio.move_on_after(_RELEASE_SECONDS):
            await line.released.wait()
        line.come_back()
        self._office.lines.add(line)
        try:
            token = self._office.admission.admit(line, trio.current_time())
            return await live.take_back(notice, line.info, self.stream_order(line, token))
        except CapacityError as error:
            _log.warning("call %s cannot be taken back: %s", notice.call_id, error)
        except PatterError as error:
            _log.error("call %s cannot be taken back: %s", notice.call_id, error)
        if not notice.wants_document:
            await self._hang_up(live, notice.call_id)
        return ended

    async def _hang_up(self, live: LiveCarrier, call_id: str) -> None:
        try:
            await live.hang_up(call_id)
        except PatterError as error:
            _log.warning("call %s cannot be hung up: %s", call_id, error)
