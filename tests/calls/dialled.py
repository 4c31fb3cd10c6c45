"""Calls that go out, in virtual time: a carrier on paper, and what happens at the other side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import attrs
import trio

from patter_trio import Agent, Patter, Session
from patter_trio._wire.twilio import TwilioWire
from patter_trio.abc import WebhookRequest
from patter_trio.errors import PatterError, ProviderError, SignatureError
from patter_trio.events import CallInfo
from patter_trio.telephony import (
    CallAnswered,
    CallOrder,
    CallOver,
    CallState,
    EndedAs,
    Links,
    MachineVerdict,
    Notice,
    Placed,
    Refusal,
    StreamOrder,
    TransferEnded,
    TransferOrder,
    WebhookReply,
)
from patter_trio.testing import Caller, Ear, LineConditions, MemoryLine
from patter_trio.testing.media import MediaLeg
from patter_trio.testing.twilio_wire import TwilioFarWire

from .ring import NUMBER, URL

ACCOUNT = "AC" + "0" * 31 + "1"
THEM = "+15557654321"
SIGNED = {"X-Paper": "signed"}
FORM = {"Content-Type": "application/x-www-form-urlencoded", **SIGNED}

Callee = Callable[["Dialled"], Awaitable[None]]
"""What happens at the other side of one call."""


@attrs.define(eq=False)
class Dialled:
    """A call that was placed with the carrier."""

    carrier: Exchange
    order: CallOrder
    call_id: str
    state: CallState = attrs.field(factory=lambda: CallState("ringing"))
    ear: Ear = attrs.field(factory=Ear)
    heard_at: float = 0.0
    leg: MediaLeg | None = None
    taken: trio.Event = attrs.field(factory=trio.Event)
    spoken: list[str] = attrs.field(factory=list[str])

    async def tell(self, notice: Notice, what: str = "status") -> WebhookReply:
        """Tells the session by a webhook."""
        return await self.carrier.tell(notice, self.order.stream.links.webhook(what))

    async def answer(self, *, told: bool = True) -> None:
        """Somebody has picked up."""
        self.state = CallState("in_progress")
        if told:
            await self.tell(CallAnswered(self.call_id))

    async def end(self, ended_as: EndedAs, *, told: bool = True, detail: str = "") -> None:
        """The call is over."""
        self.state = CallState("ended", ended_as, detail)
        if told:
            await self.tell(CallOver(self.call_id, ended_as, detail=detail))

    async def talk(self, script: Caller) -> None:
        """Opens the media stream and follows a script on it."""
        await self.stream(self.order.stream, script)

    async def stream(self, stream: StreamOrder, script: Caller) -> None:
        """Opens this media stream and follows a script on it."""
        async with self.carrier.line.open_media(stream.url, SIGNED) as socket:
            far = TwilioFarWire("MZ" + self.call_id[2:], call_sid=self.call_id, account_sid=ACCOUNT)
            self.leg = MediaLeg(socket, far, LineConditions(), 1.0, parameters=stream.parameters)
            self.ear = self.leg.phone.ear
            self.heard_at = trio.current_time()
            await self.leg.run(script.rendered(), self.taken)


@attrs.define(eq=False)
class Exchange:
    """A carrier whose webhooks are notices by number, and whose calls are answered by functions."""

    callees: dict[str, Callee] = attrs.field(factory=dict[str, Callee])
    refuses: PatterError | None = None
    calls_per_second: float = 100.0
    calls: list[Dialled] = attrs.field(factory=list[Dialled])
    asked: list[Any] = attrs.field(factory=list[Any])
    streams: list[StreamOrder] = attrs.field(factory=list[StreamOrder])
    told: list[Notice] = attrs.field(factory=list[Notice])
    kind: str = "paper"
    without_ids: bool = False
    app: Any = None
    nursery: trio.Nursery | None = None

    # --- settings -------------------------------------------------------------------------------------------

    def verify(self, request: WebhookRequest) -> None:
        if "x-paper" not in {name.lower() for name in request.headers}:
            raise SignatureError("nobody signed this")

    def read_notice(self, what: str, request: WebhookRequest) -> Notice | None:
        return self.told[int(dict(request.form)["n"])]

    def open_wire(self) -> TwilioWire:
        return TwilioWire()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        yield self

    # --- what it does ---------------------------------------------------------------------------------------

    @property
    def line(self) -> MemoryLine:
        return MemoryLine(self.app, URL)

    async def tell(self, notice: Notice, url: str) -> WebhookReply:
        self.told.append(notice)
        body = urlencode({"n": len(self.told) - 1}).encode()
        answer = await self.line.post(url, FORM, body)
        return WebhookReply(answer.body.decode(), status=answer.status)

    async def place(self, order: CallOrder) -> Placed:
        self.asked.append(order)
        if self.refuses is not None:
            raise self.refuses
        call = Dialled(self, order, f"CA{len(self.calls):032x}")
        self.calls.append(call)
        assert self.nursery is not None
        self.nursery.start_soon(self.callees[order.to], call)
        return Placed("", f"request-{len(self.calls)}") if self.without_ids else Placed(call.call_id)

    async def answer(self, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        self.asked.append(("answer", info, stream))
        self.streams.append(stream)
        return WebhookReply(f"<Stream>{stream.url}</Stream>")

    async def refuse(self, info: CallInfo, refusal: Refusal) -> WebhookReply:
        self.asked.append(("refuse", info, refusal))
        return WebhookReply("<Reject/>")

    async def read_state(self, placed: Placed) -> CallState:
        self.asked.append(("read", placed))
        return self._call(placed).state

    async def cancel(self, placed: Placed) -> None:
        self.asked.append(("cancel", placed))
        self._call(placed).state = CallState("ended", "canceled")

    async def hang_up(self, call_id: str) -> None:
        self.asked.append(("hang up", call_id))

    async def speak(self, call_id: str, text: str, *, language: str = "en-US") -> None:
        self.asked.append(("speak", call_id, text))
        self._call(Placed(call_id)).spoken.append(text)

    async def transfer(self, call_id: str, order: TransferOrder) -> None:
        self.asked.append(order)
        for call in self.calls:
            if call.call_id == call_id:
                call.taken.set()

    async def take_back(self, notice: TransferEnded, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        self.asked.append(("take back", info, stream))
        self.streams.append(stream)
        return WebhookReply(f"<Stream>{stream.url}</Stream>")

    async def start_recording(self, call_id: str, links: Links) -> str:
        self.asked.append(("record", call_id, links))
        return "RE1"

    def _call(self, placed: Placed) -> Dialled:
        for number, call in enumerate(self.calls, 1):
            if placed.call_id == call.call_id or placed.request_id == f"request-{number}":
                return call
        raise ProviderError("no such call")


@asynccontextmanager
async def open_house(exchange: Exchange, agent: Agent | None, **options: Any) -> AsyncIterator[Session]:
    """A session behind that carrier; what happens at the other sides ends with it."""
    async with trio.open_nursery() as nursery:
        async with Patter(exchange, NUMBER, URL).session(agent, port=None, **options) as session:
            exchange.app, exchange.nursery = session.app, nursery
            yield session
        nursery.cancel_scope.cancel()


def person(script: Caller, *, rings: float = 2.0, verdict: float | None = 2.0) -> Callee:
    """Somebody who picks up; the carrier says so after ``verdict`` seconds, or never."""

    async def happens(call: Dialled) -> None:
        await trio.sleep(rings)
        await call.answer()
        async with trio.open_nursery() as nursery:

            async def judge() -> None:
                assert verdict is not None
                await trio.sleep(verdict)
                await call.tell(MachineVerdict(call.call_id, "human", raw="human"))

            if verdict is not None:
                nursery.start_soon(judge)
            await call.talk(script)
            nursery.cancel_scope.cancel()
        await call.end("completed")

    return happens
