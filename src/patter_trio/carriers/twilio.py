"""Twilio: signed form webhooks, TwiML answers, media streams, and actions on running calls by REST."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import attrs
import httpx2

from .._wire.signatures import (
    HMAC_SHA1,
    HMAC_SHA256,
    Algorithm,
    read_signature_settings,
    sign_twilio,
    verify_twilio,
)
from .._wire.twilio import TwilioWire
from .._wire.twilio_webhooks import read_webhook
from ..abc import LiveCarrier, WebhookRequest
from ..errors import RemoteProtocolError, SignatureError
from ..telephony import Notice
from . import _twilio_checks as checks
from ._rest import open_rest_client
from ._twilio_calls import TwilioRest
from ._twilio_live import TwilioLive

__all__ = ["Carrier", "Twilio"]

_log = logging.getLogger("patter_trio.carriers.twilio")
_WORDS_LIMIT = 200


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
        calls_per_second: how many calls may be placed each second; a new account may place one.
        transport: how requests to the REST API travel, in place of the network: through a proxy, or to a
            simulated carrier.

    Raises:
        PatterConfigError: there is no auth token, or a setting is not what it should be.

    Answering calls needs no more than the token; what acts on calls by REST needs ``account_sid`` too.
    """

    account_sid: str | None = attrs.field(default=None, converter=checks.account_sid)
    auth_token: str = attrs.field(default=None, converter=checks.auth_token, repr=False)
    retired_auth_tokens: tuple[str, ...] = attrs.field(
        default=(), validator=checks.check_retired, repr=False, kw_only=True
    )
    shared_keys: Mapping[str, str] = attrs.field(
        factory=dict[str, str], validator=checks.check_keys, repr=False, hash=False, kw_only=True
    )
    api_key: str = attrs.field(factory=lambda: os.environ.get("TWILIO_API_KEY", ""), kw_only=True)
    api_secret: str = attrs.field(
        factory=lambda: os.environ.get("TWILIO_API_SECRET", ""), repr=False, kw_only=True
    )
    base_url: str = attrs.field(
        default="https://api.twilio.com", validator=checks.check_base_url, kw_only=True
    )
    timeout: float = attrs.field(default=10.0, validator=checks.check_seconds, kw_only=True)
    calls_per_second: float = attrs.field(default=1.0, validator=checks.check_rate, kw_only=True)

    transport: httpx2.AsyncBaseTransport | None = attrs.field(default=None, repr=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        checks.check_key(self.api_key, self.api_secret)

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

    def sign_webhook(self, url: str, form: Sequence[tuple[str, str]] = ()) -> Mapping[str, str]:
        """The header that Twilio would put on a ``POST`` of ``form`` to this URL."""
        return {"X-Twilio-Signature": sign_twilio(self.auth_token, url, form)}

    def read_notice(self, what: str, request: WebhookRequest) -> Notice | None:
        """What a webhook tells. The caller may be ``anonymous`` or a SIP address, not only a number.

        Raises:
            RemoteProtocolError: there is no valid ``CallSid``, the call belongs to another account, or it
                does not say what such a webhook must.
        """
        query = dict(_query(request))
        fields = dict(request.form) if request.method.upper() == "POST" else query
        if self.account_sid is not None and fields.get("AccountSid") != self.account_sid:
            raise RemoteProtocolError("a webhook of another account")
        notice = read_webhook(what, fields, query)
        if what == "stream" and fields.get("StreamEvent") == "stream-error":
            said = " ".join(fields.get("StreamError", "").split())[:_WORDS_LIMIT]
            _log.warning("call %s: Twilio says that the stream broke: %s", fields["CallSid"], said)
        return notice

    def open_wire(self) -> TwilioWire:
        """The protocol of one media stream."""
        return TwilioWire()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LiveCarrier]:
        """The carrier with one HTTP client for all calls of a session: it acts on running calls too."""
        credentials = (
            (self.api_key, self.api_secret) if self.api_key else (self.account_sid or "", self.auth_token)
        )
        async with open_rest_client(
            "Twilio", self.base_url, timeout=self.timeout, basic=credentials, transport=self.transport
        ) as rest:
            yield TwilioLive(TwilioRest(self.account_sid, rest))

    def _secrets_for(self, settings_header: str) -> tuple[tuple[str, ...], Algorithm]:
        """The secrets that may have signed. The header is unsigned: it only chooses among what we accept."""
        settings = read_signature_settings(settings_header)
        if settings.algorithm == HMAC_SHA1:
            return (self.auth_token, *self.retired_auth_tokens), HMAC_SHA1
        if settings.algorithm == HMAC_SHA256 and settings.key in self.shared_keys:
            return (self.shared_keys[settings.key],), HMAC_SHA256
        raise SignatureError("a request signed with a key or an algorithm that is not accepted here")


Carrier = Twilio
"""The same class under the name that each module of :mod:`patter_trio.carriers` has for its own."""


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _query(request: WebhookRequest) -> list[tuple[str, str]]:
    """The parameters of the address: all there are when the number is configured for GET."""
    return parse_qsl(request.url.partition("#")[0].partition("?")[2], keep_blank_values=True)
