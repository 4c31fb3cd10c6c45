"""What comes through the public address: health, a signed webhook, a forged one, and a media socket."""

from __future__ import annotations

import secrets
from base64 import b64encode
from urllib.parse import urlencode, urlsplit

import attrs
import httpx2

from .._server.reach import find_unreachable
from ..abc import Carrier, SignsTestWebhook
from .case import Tell
from .findings import Finding

__all__ = ["Answer", "look_at_address", "look_at_media", "look_at_webhooks"]

_FORM = (("Test", "patter-trio doctor"),)
_FORM_TYPE = "application/x-www-form-urlencoded"
# What a session answers itself; a proxy's pages look otherwise.
_REFUSED = "signature refused"
_NOT_UNDERSTOOD = "not understood"
_BODY_SHOWN = 200


@attrs.frozen
class Answer:
    """What came back, from whomever."""

    status: int
    body: str = ""
    failure: str = ""

    @property
    def is_signature_refused(self) -> bool:
        """Whether a session of ours refused a signature."""
        return self.status == 403 and _REFUSED in self.body

    @property
    def is_signature_taken(self) -> bool:
        """Whether a session of ours took the signature, whatever it made of the rest."""
        return self.status in (200, 204) or (self.status == 400 and _NOT_UNDERSTOOD in self.body)

    def __str__(self) -> str:
        return self.failure or f"HTTP {self.status}"


async def look_at_address(base_url: str, session_id: str, address: str, tell: Tell) -> bool:
    """Whether the public address leads to this session."""
    reason = await find_unreachable(base_url, session_id)
    if reason is None:
        tell(Finding("address", "ok", f"{base_url} leads to this session"))
        return True
    advice = f"is the name right, is the tunnel or proxy up, and does it forward to {address}?"
    if urlsplit(base_url).path:
        advice += f" {urlsplit(base_url).path} must be taken off on the way, unless the app is mounted there"
    tell(Finding("address", "failed", f"{base_url} {reason}", advice))
    return False


async def look_at_webhooks(base_url: str, carrier: Carrier, client: httpx2.AsyncClient, tell: Tell) -> None:
    """Whether a webhook arrives as it was signed, and one that was not is refused."""
    url = f"{base_url}/webhooks/{carrier.kind}/status"
    if isinstance(carrier, SignsTestWebhook):
        tell(_judge_signed(await _post(client, url, dict(carrier.sign_webhook(url, _FORM)))))
        forged = dict(carrier.sign_webhook(f"{url}?forged", _FORM))
    else:
        text = f"{carrier.kind} signs with a key that only it has: no test of ours can be signed"
        tell(
            Finding("webhook", "skipped", text, "call the number; a refused webhook is in the session's log")
        )
        forged = {}
    tell(_judge_forged(await _post(client, url, forged)))


def _judge_signed(answer: Answer) -> Finding:
    if answer.is_signature_taken:
        return Finding("webhook", "ok", "a webhook with our signature arrives and is accepted")
    if answer.is_signature_refused:
        return Finding(
            "webhook",
            "failed",
            "a webhook with our signature arrives and is refused",
            "does the session have the same token and the same webhook_url? Does a proxy change the path or "
            "the body?",
        )
    return Finding(
        "webhook",
        "failed",
        f"a webhook does not arrive: {answer}",
        "let the proxy pass POST /webhooks/ through",
    )


def _judge_forged(answer: Answer) -> Finding:
    if answer.is_signature_refused:
        return Finding("forgery", "ok", "a webhook with a wrong signature is refused")
    if answer.is_signature_taken:
        return Finding(
            "forgery",
            "failed",
            "a webhook with a wrong signature is accepted",
            "something else answers at this address, or it does not check: take it off the internet",
        )
    advice = "let the proxy pass POST /webhooks/ through"
    return Finding(
        "forgery", "failed", f"a webhook with a wrong signature gets {answer}, not our 403", advice
    )


async def look_at_media(base_url: str, kind: str, client: httpx2.AsyncClient, tell: Tell) -> None:
    """Whether an upgrade to a WebSocket comes through: with a made-up token the session refuses it."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": b64encode(secrets.token_bytes(16)).decode("ascii"),
    }
    url = f"{base_url}/ws/{kind or 'none'}/{secrets.token_urlsafe(24)}"
    tell(_judge_media(await _ask(client, "GET", url, headers)))


def _judge_media(answer: Answer) -> Finding:
    if answer.status == 403 and "<" not in answer.body:
        return Finding("media", "ok", "WebSockets come through; one with a made-up token is refused")
    if answer.status in (404, 405, 426):
        advice = (
            "have it pass Upgrade and Connection on for /ws/ (nginx: proxy_http_version 1.1 and both headers)"
        )
        return Finding("media", "failed", f"the proxy drops the upgrade to a WebSocket: {answer}", advice)
    if answer.status == 101:
        advice = "something else answers at this address"
        return Finding("media", "failed", "a WebSocket with a made-up token is accepted", advice)
    return Finding(
        "media",
        "failed",
        f"an upgrade to a WebSocket gets {answer}",
        "let the proxy pass /ws/ through as it is",
    )


async def _post(client: httpx2.AsyncClient, url: str, headers: dict[str, str]) -> Answer:
    return await _ask(client, "POST", url, {"Content-Type": _FORM_TYPE, **headers}, urlencode(_FORM).encode())


async def _ask(
    client: httpx2.AsyncClient, method: str, url: str, headers: dict[str, str], body: bytes | None = None
) -> Answer:
    try:
        async with client.stream(method, url, headers=headers, content=body) as response:
            if response.status_code == 101:
                return Answer(101)
            return Answer(
                response.status_code, (await response.aread())[:_BODY_SHOWN].decode("utf-8", "replace")
            )
    except httpx2.HTTPError as error:
        return Answer(0, failure=str(error) or type(error).__name__)
