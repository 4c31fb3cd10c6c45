"""Twilio: signed form webhooks, TwiML answers, media streams, and actions on running calls by REST."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import httpx2

from .._wire.signatures import HMAC_SHA1, HMAC_SHA256, Algorithm, read_signature_settings, verify_twilio
from .._wire.twilio import CALL_SID, TwilioWire
from .._wire.twiml import THIS_MACHINE, connect_stream, dial, reject, say_and_hangup
from ..abc import WebhookRequest
from ..errors import PatterConfigError, RemoteProtocolError, SignatureError
from ..events import CallInfo
from ..telephony import CallOffered, Notice, Refusal, StreamOrder, TransferOrder, WebhookReply
from ._rest import open_rest_client
from ._twilio_calls import RunningCalls

__all__ = ["Carrier", "Twilio"]

_ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")
_CALL_SID = re.compile(CALL_SID)
_API_KEY = re.compile(r"SK[0-9a-f]{32}")

# So that the whole document of a transfer is within the carrier's limit, whatever has to be escaped.
_LONGEST_SENTENCE = 400


def _account_sid(given: str | None) -> str | None:
    sid = given or os.environ.get("TWILIO_ACCOUNT_SID") or None
    if sid is not None and not _ACCOUNT_SID.fullmatch(sid):
        raise PatterConfigError(
            "a Twilio account SID is AC and 32 hexadecimal digits",
            hint="pass account_sid= or set TWILIO_ACCOUNT_SID as the console shows it",
        )
    return sid


def _auth_token(given: str | None) -> str:
    token = given or os.environ.get("TWILIO_AUTH_TOKEN")
    if not token:
        raise PatterConfigError(
            "Twilio needs the account's auth token: without it no webhook can be verified",
            hint="pass auth_token= or set TWILIO_AUTH_TOKEN; an API key cannot take its place",
        )
    return token


def _check_retired(twilio: Twilio, attribute: attrs.Attribute[tuple[str, ...]], value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(token, str) and token for token in value):
        raise PatterConfigError(f"{attribute.name} must be a tuple of tokens that are not empty")


def _check_keys(twilio: Twilio, attribute: attrs.Attribute[Mapping[str, str]], value: object) -> None:
    if not isinstance(value, Mapping) or not all(key and secret for key, secret in value.items()):
        raise PatterConfigError(f"{attribute.name} must map ids of keys to their secrets")


def _check_base_url(twilio: Twilio, attribute: attrs.Attribute[str], value: object) -> None:
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if (
        not host
        or parts.scheme not in ("http", "https")
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        # Not shown: it may hold credentials.
        raise PatterConfigError(
            "base_url must be a web address and no more", hint="like https://api.twilio.com"
        )
    if parts.scheme == "http" and host not in THIS_MACHINE:
        raise PatterConfigError("base_url must be https://: the credentials go there")


def _check_timeout(twilio: Twilio, attribute: attrs.Attribute[float], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise PatterConfigError(f"timeout={value!r} must be seconds above 0")


def _check_rate(twilio: Twilio, attribute: attrs.Attribute[float], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise PatterConfigError(f"calls_per_second={value!r} must be above 0")


def _check_sentence(twilio: Twilio, attribute: attrs.Attribute[str], value: object) -> None:
    if not isinstance(value, str) or len(value) > _LONGEST_SENTENCE:
        raise PatterConfigError(f"after_transfer must be text of at most {_LONGEST_SENTENCE} characters")


@attrs.frozen
class Twilio:
    """Twilio as the carrier.

    Args:
        account_sid: the account; ``TWILIO_ACCOUNT_SID`` where it is not given. Where it is known, webhooks of
            another account are refused.
        auth_token: the account's primary token, which signs; ``TWILIO_AUTH_TOKEN`` where it is not given.
        retired_auth_tokens: tokens that may still sign while the primary one is being replaced.
        shared_keys: webhook signing keys (a beta of Twilio's), id to secret. Requests that name one of them
            are taken with HMAC-SHA256; no other key and no other algorithm is.
        api_key: a key that may be revoked, for actions on calls in place of the auth token;
            ``TWILIO_API_KEY`` where it is not given.
        api_secret: that key's secret; ``TWILIO_API_SECRET`` where it is not given.
        base_url: where actions on calls are asked for; another region has another one.
        timeout: seconds that an action may take; connecting has at most 5 of them.
        after_transfer: what a transferred caller hears before the call ends, in the carrier's own voice: when
            the number did not answer, and when whoever answered hung up first. It must be true in both cases.
        language: the language in which ``after_transfer`` is read out.
        calls_per_second: how many calls may be placed each second; a new account may place one.
        transport: how requests to the REST API travel, in place of the network: through a proxy, or to a
            simulated carrier.

    Raises:
        PatterConfigError: there is no auth token, or a setting is not what it should be.

    Answering calls needs no more than the token; what acts on calls by REST needs ``account_sid`` too.
    """

    account_sid: str | None = attrs.field(default=None, converter=_account_sid)
    auth_token: str = attrs.field(default=None, converter=_auth_token, repr=False)
    retired_auth_tokens: tuple[str, ...] = attrs.field(
        default=(), validator=_check_retired, repr=False, kw_only=True
    )
    shared_keys: Mapping[str, str] = attrs.field(
        factory=dict[str, str], validator=_check_keys, repr=False, hash=False, kw_only=True
    )
    api_key: str = attrs.field(factory=lambda: os.environ.get("TWILIO_API_KEY", ""), kw_only=True)
    api_secret: str = attrs.field(
        factory=lambda: os.environ.get("TWILIO_API_SECRET", ""), repr=False, kw_only=True
    )
    base_url: str = attrs.field(default="https://api.twilio.com", validator=_check_base_url, kw_only=True)
    timeout: float = attrs.field(default=10.0, validator=_check_timeout, kw_only=True)
    after_transfer: str = attrs.field(
        default="The other side is not on the line any more. Goodbye.",
        validator=_check_sentence,
        kw_only=True,
    )
    language: str = attrs.field(default="en-US", kw_only=True)
    calls_per_second: float = attrs.field(default=1.0, validator=_check_rate, kw_only=True)

    transport: httpx2.AsyncBaseTransport | None = attrs.field(default=None, repr=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if bool(self.api_key) != bool(self.api_secret):
            raise PatterConfigError(
                "an API key works with its secret only",
                hint="pass api_key= and api_secret=, or set TWILIO_API_KEY and TWILIO_API_SECRET",
            )
        if self.api_key and not _API_KEY.fullmatch(self.api_key):
            raise PatterConfigError("an API key of Twilio's is SK and 32 hexadecimal digits")
        self._dial("+15550001234")

    @property
    def kind(self) -> str:
        """``"twilio"``."""
        return "twilio"

    def verify(self, request: WebhookRequest) -> None:
        """Checks ``X-Twilio-Signature`` of a webhook or of a media socket's upgrade.

        Raises:
            SignatureError: it is missing or wrong.
        """
        signature = _header(request.headers, "x-twilio-signature")
        if not signature:
            raise SignatureError("a request without X-Twilio-Signature")
        secrets, algorithm = self._secrets_for(
            _header(request.headers, "x-twilio-webhooks-signature-settings")
        )
        is_post = request.method.upper() == "POST"
        if not verify_twilio(
            secrets,
            request.url,
            signature,
            form=request.form if is_post else (),
            body=request.body,
            algorithm=algorithm,
        ):
            raise SignatureError("a request whose X-Twilio-Signature is wrong")

    def read_notice(self, what: str, request: WebhookRequest) -> Notice | None:
        """What a webhook tells. The caller may be ``anonymous`` or a SIP address, not only a number.

        Raises:
            RemoteProtocolError: there is no valid ``CallSid``, or the call belongs to another account.
        """
        fields = dict(_fields(request))
        call_sid = fields.get("CallSid", "")
        if not _CALL_SID.match(call_sid):
            raise RemoteProtocolError("a webhook without a valid CallSid")
        if self.account_sid is not None and fields.get("AccountSid") != self.account_sid:
            raise RemoteProtocolError("a webhook of another account")
        if what not in ("voice", "answer"):
            return None
        return CallOffered(
            CallInfo(
                call_id=call_sid,
                caller=fields.get("From", ""),
                callee=fields.get("To", ""),
                # "outbound-api" and "outbound-dial" are the other two.
                direction="outbound" if fields.get("Direction", "").startswith("outbound") else "inbound",
                telephony_provider=self.kind,
            )
        )

    def open_wire(self) -> TwilioWire:
        """The protocol of one media stream."""
        return TwilioWire()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        """The carrier with one HTTP client for all calls of a session: it acts on running calls too."""
        credentials = (
            (self.api_key, self.api_secret) if self.api_key else (self.account_sid or "", self.auth_token)
        )
        async with open_rest_client(
            "Twilio", self.base_url, timeout=self.timeout, basic=credentials, transport=self.transport
        ) as rest:
            yield _Connected(self, RunningCalls(self.account_sid, rest))

    def _dial(self, number: str, caller_id: str = "") -> str:
        return dial(number, afterwards=self.after_transfer, caller_id=caller_id, language=self.language)

    def _secrets_for(self, settings_header: str) -> tuple[tuple[str, ...], Algorithm]:
        """The secrets that may have signed. The header is unsigned: it only chooses among what we accept."""
        settings = read_signature_settings(settings_header)
        if settings.algorithm == HMAC_SHA1:
            return (self.auth_token, *self.retired_auth_tokens), HMAC_SHA1
        if settings.algorithm == HMAC_SHA256 and settings.key in self.shared_keys:
            return (self.shared_keys[settings.key],), HMAC_SHA256
        raise SignatureError("a request signed with a key or an algorithm that is not accepted here")


@attrs.frozen
class _Connected:
    """Twilio with its HTTP client."""

    settings: Twilio
    _calls: RunningCalls

    async def answer(self, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        """The TwiML that opens a two-way stream.

        Raises:
            PatterConfigError: the URL has a query, is not ``wss://``, or a parameter is too long.
        """
        return WebhookReply(connect_stream(stream.url, stream.parameters))

    async def refuse(self, info: CallInfo, refusal: Refusal) -> WebhookReply:
        """The TwiML that declines a call."""
        if refusal.reason == "said":
            return WebhookReply(say_and_hangup(refusal.sentence))
        return WebhookReply(reject(refusal.reason))

    async def transfer(self, call_id: str, order: TransferOrder) -> None:
        """Connects the caller to a number, E.164 or a ``sip:`` address; the media stream ends."""
        await self._calls.redirect(call_id, self.settings._dial(order.number, order.caller_id))

    async def hang_up(self, call_id: str) -> None:
        """Ends the call; one that is over already is no error."""
        await self._calls.hang_up(call_id)


Carrier = Twilio
"""The same class under the name that each module of :mod:`patter_trio.carriers` has for its own."""


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _fields(request: WebhookRequest) -> tuple[tuple[str, str], ...]:
    """The parameters of a webhook: of the form, or of the query when the number is configured for GET."""
    if request.method.upper() == "POST":
        return request.form
    query = request.url.partition("#")[0].partition("?")[2]
    return tuple(parse_qsl(query, keep_blank_values=True))
