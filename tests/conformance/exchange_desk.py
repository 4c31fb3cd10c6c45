"""A tiny scripted server for calls of an exchange: it notes every webhook, and answers as it is told."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, cast

import attrs
import httpx2
import msgspec
import trio

from patter_trio._server.app import build_app
from patter_trio._wire.signatures import verify_twilio
from patter_trio._wire.twiml import connect_stream
from patter_trio.abc import WebhookRequest
from patter_trio.telephony import WebhookReply
from patter_trio.testing import Exchange, MemoryLine, SimulatedTwilio

from .toy_agent import TOKEN, ToyAgent

ORIGIN = "https://voice.example.test"
OURS, THEIRS, OTHER = "+15550001234", "+15550100001", "+15550100002"
SOCKET = "wss://voice.example.test/ws/twilio/one"
STREAM = connect_stream(SOCKET, {}, status_callback=f"{ORIGIN}/webhooks/twilio/stream")


def hook(what: str) -> str:
    return f"{ORIGIN}/webhooks/twilio/{what}?call=t"


@attrs.define(eq=False)
class Desk(ToyAgent):
    """A toy agent that remembers what it was told; ``documents`` are its answers by kind of webhook."""

    told: list[tuple[str, dict[str, str]]] = attrs.field(factory=list[tuple[str, dict[str, str]]])
    documents: dict[str, str] = attrs.field(factory=dict[str, str])
    statuses: dict[str, int] = attrs.field(factory=dict[str, int])

    async def answer_webhook(self, kind: str, what: str, request: WebhookRequest) -> WebhookReply:
        signature = request.headers.get("x-twilio-signature", "")
        assert verify_twilio([TOKEN], request.url, signature, form=request.form), request.url
        self.told.append((what, dict(request.form)))
        await trio.lowlevel.checkpoint()
        if what in self.statuses:
            return WebhookReply(status=self.statuses[what])
        return WebhookReply(body=self.documents.get(what, STREAM if what in ("voice", "answer") else ""))

    def of(self, what: str) -> list[dict[str, str]]:
        return [form for each, form in self.told if each == what]

    def statuses_told(self, what: str = "status") -> list[str]:
        return [form["CallStatus"] for form in self.of(what)]


def line_to(desk: Desk) -> MemoryLine:
    return MemoryLine(cast("Any", build_app(desk)))


class Api:
    """The REST API as any HTTP client uses it, in virtual time."""

    def __init__(self, exchange: Exchange, twilio: SimulatedTwilio) -> None:
        user = b64encode(f"{twilio.account_sid}:{twilio.auth_token}".encode()).decode()
        self._base = f"https://api.twilio.com/2010-04-01/Accounts/{twilio.account_sid}"
        self._headers = {"Authorization": f"Basic {user}"}
        self._exchange = exchange

    async def ask(self, method: str, path: str, **form: str | list[str]) -> tuple[int, Any]:
        async with httpx2.AsyncClient(transport=self._exchange.transport, timeout=5) as client:
            answer = await client.request(
                method, self._base + path, headers=self._headers, data=cast("Any", form) or None
            )
        is_json = answer.headers.get("content-type") == "application/json"
        return answer.status_code, msgspec.json.decode(answer.content) if is_json else answer.content

    async def place(self, to: str = THEIRS, **form: str | list[str]) -> str:
        ordered: dict[str, str | list[str]] = {
            "To": to,
            "From": OURS,
            "StatusCallback": hook("status"),
            "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
            **({} if "Twiml" in form or "Url" in form else {"Twiml": STREAM}),
            **form,
        }
        status, call = await self.ask("POST", "/Calls.json", **ordered)
        assert status == 201, call
        return str(call["sid"])

    async def change(self, sid: str, **form: str) -> tuple[int, Any]:
        return await self.ask("POST", f"/Calls/{sid}.json", **form)
