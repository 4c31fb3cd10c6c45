"""The smallest vendor of an exchange: JSON commands, no signatures, and calls that wait for instructions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from patter_trio.testing import Exchange, Leg, RestApi, RestReply, RestRequest, Webhook, speak_words
from patter_trio.testing.dialling import Dial
from patter_trio.testing.instructions import Document, JoinRoom, OpenStream, Speak
from patter_trio.testing.legevents import LegAnswered, LegEnded, LegEvent, LegInitiated, SpeechEnded
from patter_trio.testing.twilio_wire import TwilioFarWire


class PlainVendor:
    """Commands: ``POST /calls``, and ``POST /calls/{id}/{command}``."""

    def open_skin(self, exchange: Exchange) -> PlainSkin:
        return PlainSkin(exchange)


class PlainSkin:
    """Tells everything to one address, and does what it is told by REST."""

    number, caller, lead_limit, stays_when_done = "+15550001234", "+15557654321", 1.0, True

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.rest = PlainRest(exchange)

    def leg_id(self, number: int) -> str:
        return f"leg-{number}"

    async def offer(self, leg: Leg) -> Document | None:
        await self.exchange.post.ask(self._webhook("voice", {"call": leg.leg_id}))
        return ()

    def webhooks(self, leg: Leg, event: LegEvent) -> Iterator[Webhook]:
        told = {LegInitiated: "began", LegAnswered: "answered", LegEnded: "ended", SpeechEnded: "spoke"}
        if type(event) in told:
            cause = event.cause if isinstance(event, LegEnded) else ""
            yield self._webhook("status", {"call": leg.leg_id, "what": told[type(event)], "cause": cause})

    def far_wire(self, leg: Leg, order: OpenStream, number: int) -> tuple[str, TwilioFarWire]:
        return f"MZ{number:032}", TwilioFarWire(f"MZ{number:032}", call_sid="CA" + "0" * 32, account_sid="AC")

    def media_headers(self, leg: Leg, url: str) -> Mapping[str, str]:
        return {"Authorization": "plain"}

    def _webhook(self, kind: str, said: Mapping[str, str]) -> Webhook:
        url = f"{self.exchange.line.public_url}/{kind}"
        return Webhook(kind, url, msgspec.json.encode(said), {"Content-Type": "application/json"}, retries=2)


class PlainRest(RestApi):
    """The commands."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def carry_out(self, request: RestRequest) -> RestReply:
        given: dict[str, Any] = msgspec.json.decode(request.body or b"{}")
        _, _, leg_id, command = f"{request.path}//".split("/")[:4]
        if not leg_id:
            leg = self._exchange.place(given["to"], PlainSkin.number, _nothing)
            return RestReply(200, msgspec.json.encode({"call": leg.leg_id}))
        leg = self._exchange.legs[leg_id]
        if leg.ended is not None:
            return RestReply(422)
        match command:
            case "answer":
                leg.answer()
            case "stream":
                leg.redirect((OpenStream(given["url"]),))
            case "speak":
                leg.redirect((Speak(given["text"]),))
            case "speak-over":
                leg.play_over(speak_words(given["text"]))
            case "dial":
                leg.redirect((Dial(given["to"], ring_seconds=10),))
            case "join":
                leg.redirect((JoinRoom("room"),))
            case "hangup":
                leg.hang_up()
            case _:
                return RestReply(404)
        return RestReply(200)


async def _nothing(leg: Leg) -> Document:
    return ()
