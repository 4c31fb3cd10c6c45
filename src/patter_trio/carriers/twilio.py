"""Twilio: signed form webhooks, TwiML answers, media streams."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

import attrs

from .._wire.signatures import HMAC_SHA1, HMAC_SHA256, Algorithm, read_signature_settings, verify_twilio
from .._wire.twilio import CALL_SID, TwilioWire
from .._wire.twiml import connect_stream, reject
from ..abc import WebhookRequest
from ..errors import PatterConfigError, RemoteProtocolError, SignatureError
from ..events import CallInfo

__all__ = ["Carrier", "Twilio"]

_ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")
_CALL_SID = re.compile(CALL_SID)


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

    Raises:
        PatterConfigError: there is no auth token, or a setting is not what it should be.
    """

    account_sid: str | None = attrs.field(default=None, converter=_account_sid)
    auth_token: str = attrs.field(default=None, converter=_auth_token, repr=False)
    retired_auth_tokens: tuple[str, ...] = attrs.field(
        default=(), validator=_check_retired, repr=False, kw_only=True
    )
    shared_keys: Mapping[str, str] = attrs.field(
        factory=dict[str, str], validator=_check_keys, repr=False, hash=False, kw_only=True
    )

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

    def read_incoming(self, request: WebhookRequest) -> CallInfo:
        """Who calls whom. The caller may be ``anonymous`` or a SIP address, not only a number.

        Raises:
            RemoteProtocolError: there is no valid ``CallSid``, or the call belongs to another account.
        """
        fields = dict(_fields(request))
        call_sid = fields.get("CallSid", "")
        if not _CALL_SID.match(call_sid):
            raise RemoteProtocolError("a voice webhook without a valid CallSid")
        if self.account_sid is not None and fields.get("AccountSid") != self.account_sid:
            raise RemoteProtocolError("a voice webhook of another account")
        return CallInfo(
            call_id=call_sid,
            caller=fields.get("From", ""),
            callee=fields.get("To", ""),
            # "outbound-api" and "outbound-dial" are the other two.
            direction="outbound" if fields.get("Direction", "").startswith("outbound") else "inbound",
            telephony_provider=self.kind,
        )

    def answer(self, stream_url: str, parameters: Mapping[str, str]) -> str:
        """The TwiML that opens a two-way stream.

        Raises:
            PatterConfigError: the URL has a query, is not ``wss://``, or a parameter is too long.
        """
        return connect_stream(stream_url, parameters)

    def refuse(self, reason: str = "busy") -> str:
        """The TwiML that declines a call before it is answered.

        Raises:
            PatterConfigError: ``reason`` is neither ``"busy"`` nor ``"rejected"``.
        """
        return reject(reason)

    def open_wire(self) -> TwilioWire:
        """The protocol of one media stream."""
        return TwilioWire()

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


def _fields(request: WebhookRequest) -> tuple[tuple[str, str], ...]:
    """The parameters of a webhook: of the form, or of the query when the number is configured for GET."""
    if request.method.upper() == "POST":
        return request.form
    query = request.url.partition("#")[0].partition("?")[2]
    return tuple(parse_qsl(query, keep_blank_values=True))
