"""A carrier whose account is in memory: Twilio's signatures and documents, a number that goes somewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from patter_trio import Twilio
from patter_trio.abc import MediaWire, WebhookRequest
from patter_trio.events import CallInfo
from patter_trio.telephony import Notice, NumberRoute, Refusal, StreamOrder, WebhookReply

ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "0123456789abcdef0123456789abcdef"
NUMBER = "+15550001234"


@attrs.define(eq=False)
class Account:
    """What the carrier knows, and what it was asked."""

    route: NumberRoute = attrs.field(factory=lambda: NumberRoute(NUMBER))
    name: str = "Corner Bakery"
    failures: dict[str, Exception] = attrs.field(factory=dict[str, Exception])
    asked: list[tuple[str, ...]] = attrs.field(factory=list[tuple[str, ...]])

    async def ask(self, what: str, *more: str) -> None:
        await trio.lowlevel.checkpoint()
        self.asked.append((what, *more))
        if what in self.failures:
            raise self.failures[what]


class FakeCarrier:
    """Settings of such a carrier; signs test webhooks unless it is told not to be able to."""

    def __init__(self, account: Account | None = None, base_url: str = "") -> None:
        self.account = account or Account()
        self.base_url = base_url
        self._twilio = Twilio(ACCOUNT, TOKEN)

    @property
    def kind(self) -> str:
        return "twilio"

    @property
    def calls_per_second(self) -> float:
        return 1.0

    def verify(self, request: WebhookRequest) -> None:
        self._twilio.verify(request)

    def read_notice(self, what: str, request: WebhookRequest) -> Notice | None:
        return self._twilio.read_notice(what, request)

    def open_wire(self) -> MediaWire:
        return self._twilio.open_wire()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        async with self._twilio.open() as live:
            yield FakeLive(self.account, live)


class SigningCarrier(FakeCarrier):
    """One that can sign as its webhooks are signed."""

    def sign_webhook(self, url: str, form: Sequence[tuple[str, str]] = ()) -> Mapping[str, str]:
        return self._twilio.sign_webhook(url, form)


class FakeLive:
    """The carrier at work: calls as Twilio's, the account from memory."""

    def __init__(self, account: Account, twilio: Any) -> None:
        self._account = account
        self._twilio = twilio

    async def answer(self, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        reply: WebhookReply = await self._twilio.answer(info, stream)
        return reply

    async def refuse(self, info: CallInfo, refusal: Refusal) -> WebhookReply:
        reply: WebhookReply = await self._twilio.refuse(info, refusal)
        return reply

    async def place(self, *_: Any) -> Any:
        raise NotImplementedError

    read_state = cancel = hang_up = speak = transfer = take_back = place
    start_recording = stop_recording = place

    def fetch_recording(self, *_: Any) -> Any:
        raise NotImplementedError

    async def check(self) -> str:
        await self._account.ask("check")
        return self._account.name

    async def read_number(self, number: str) -> NumberRoute:
        await self._account.ask("read", number)
        return self._account.route

    async def route_number(self, number: str, voice_url: str, status_url: str = "") -> NumberRoute:
        await self._account.ask("route", number, voice_url, status_url)
        before, self._account.route = self._account.route, NumberRoute(number, voice_url, status_url)
        return before
