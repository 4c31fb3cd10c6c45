"""A server on an exchange of Telnyx: the carrier as a session uses it, and a toy agent on each stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import attrs
import trio

from patter_trio._audio import g711
from patter_trio._server.app import build_app
from patter_trio._server.house import UpgradeRequest
from patter_trio.abc import MediaSocket, MediaWire, WebhookRequest
from patter_trio.carriers import Telnyx
from patter_trio.errors import SignatureError
from patter_trio.events import AudioReceived, CallInfo
from patter_trio.telephony import (
    CallOffered,
    Links,
    Notice,
    Refusal,
    StreamOrder,
    TransferEnded,
    WebhookReply,
)
from patter_trio.testing import Exchange, MemoryLine, SimulatedTelnyx, Subscriber, open_exchange

from .toy_agent import ToyAgent, _Conversation

ORIGIN = "https://voice.example.test"
OURS, CALLER, THEIRS, OTHER = "+15550001234", "+15557654321", "+15550100001", "+15550100002"


class Mulaw:
    """A wire for an agent that knows 8 kHz µ-law only."""

    def __init__(self, wire: MediaWire) -> None:
        self._wire = wire
        self.encode_mark, self.encode_clear = wire.encode_mark, wire.encode_clear

    def decode(self, message: str | bytes) -> Any:
        event = self._wire.decode(message)
        if isinstance(event, AudioReceived):
            return attrs.evolve(event, audio=g711.linear_to_mulaw(g711.decode(event.audio, self._wire.audio)))
        return event

    def encode_audio(self, audio: bytes) -> str:
        return self._wire.encode_audio(g711.encode(g711.mulaw_to_linear(audio), self._wire.audio))


@attrs.define(eq=False)
class Desk(ToyAgent):
    """Answers every call; remembers what it was told; takes callers back whose transfer nobody answered."""

    carrier: Any = None
    live: Any = None
    notices: list[Notice] = attrs.field(factory=list[Notice])
    refusal: Refusal | None = None
    refused_signatures: int = 0

    @property
    def links(self) -> Links:
        return Links(self.origin, "telnyx", "token")

    @property
    def stream(self) -> StreamOrder:
        url = self.public_url("/ws/telnyx/one", websocket=True)
        return StreamOrder(url, self.links, {"tenant": "t1"})

    def of(self, kind: type[Any]) -> list[Any]:
        return [notice for notice in self.notices if isinstance(notice, kind)]

    async def answer_webhook(self, kind: str, what: str, request: WebhookRequest) -> WebhookReply:
        try:
            self.carrier.verify(request)
        except SignatureError:
            self.refused_signatures += 1
            return WebhookReply(status=403)
        notice = self.carrier.read_notice(what, request)
        await self.live.follow_up(what, request)
        if notice is not None:
            self.notices.append(notice)
        if isinstance(notice, CallOffered):
            if self.refusal is not None:
                reply: WebhookReply = await self.live.refuse(notice.info, self.refusal)
                return reply
            answered: WebhookReply = await self.live.answer(notice.info, self.stream)
            return answered
        if isinstance(notice, TransferEnded) and not notice.answered:
            await self.live.take_back(notice, CallInfo(notice.call_id), self.stream)
        return WebhookReply()

    def refuse_media(self, upgrade: UpgradeRequest) -> int | None:
        url = self.public_url(upgrade.target, websocket=True)
        self.carrier.verify(WebhookRequest("GET", url, upgrade.headers))
        return self.refuse_media_with

    async def run_media(self, socket: MediaSocket, upgrade: UpgradeRequest) -> None:
        conversation = _Conversation(self, socket)
        cast("Any", conversation)._wire = Mulaw(self.carrier.open_wire())
        try:
            await conversation.run()
        except trio.EndOfChannel:
            pass
        finally:
            self.ends += 1
            self.over.set()


def settings(telnyx: SimulatedTelnyx, **more: Any) -> dict[str, Any]:
    return {
        "api_key": telnyx.api_key,
        "connection_id": telnyx.connection_id,
        "public_key": telnyx.public_key,
        **more,
    }


@asynccontextmanager
async def exchanging(
    book: Mapping[str, Subscriber] | None = None,
    *,
    codec: str = "PCMU",
    sample_rate: int = 8000,
    **world: Any,
) -> AsyncIterator[tuple[Exchange, Any, Desk]]:
    """An exchange, the open carrier and the server, in memory."""
    desk, telnyx = Desk(greeting="good day"), SimulatedTelnyx(**world)
    line = MemoryLine(cast("Any", build_app(desk)))
    async with open_exchange(telnyx, line, port=None) as exchange:
        exchange.book.update(book or {})
        desk.carrier = Telnyx(
            **settings(telnyx, codec=codec, sample_rate=sample_rate, transport=exchange.transport),
            l16_byte_order=telnyx.l16_byte_order,
        )
        async with desk.carrier.open() as desk.live:
            yield exchange, desk.live, desk
            for leg in exchange.legs.values():
                leg.hang_up("carrier")
            await exchange.wait_quiet()
