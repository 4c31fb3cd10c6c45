"""Plivo: signed form webhooks, XML answers, media streams, and actions on running calls by REST."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from secrets import token_hex
from urllib.parse import parse_qsl, urlsplit

import attrs
import httpx2

from .._wire.plivo import PlivoWire
from .._wire.plivo_signatures import sign_plivo_v3, verify_plivo_v2, verify_plivo_v3
from .._wire.plivo_webhooks import read_stream_trouble, read_webhook
from .._wire.twiml import THIS_MACHINE
from ..abc import LiveCarrier, WebhookRequest
from ..errors import PatterConfigError, SignatureError
from ..events import LINEAR_8K, LINEAR_16K, MULAW_8K, AudioFormat
from ..telephony import Notice
from ._plivo_calls import PlivoRest
from ._plivo_live import PlivoLive
from ._rest import open_rest_client

__all__ = ["Carrier", "Plivo"]

_log = logging.getLogger("patter_trio.carriers.plivo")
_AUTH_ID = re.compile(r"(MA|SA)[A-Z0-9]{18}")
_FORMATS = (MULAW_8K, LINEAR_8K, LINEAR_16K)


def _auth_id(given: str | None) -> str:
    auth_id = given or os.environ.get("PLIVO_AUTH_ID") or ""
    if not _AUTH_ID.fullmatch(auth_id):
        raise PatterConfigError(
            "a Plivo auth id is MA (or SA, for a sub-account) and 18 capital letters and digits",
            hint="pass auth_id= or set PLIVO_AUTH_ID as the console shows it",
        )
    return auth_id


def _auth_token(given: str | None) -> str:
    token = given or os.environ.get("PLIVO_AUTH_TOKEN")
    if not token:
        raise PatterConfigError(
            "Plivo needs the account's auth token: without it no webhook can be verified",
            hint="pass auth_token= or set PLIVO_AUTH_TOKEN",
        )
    return token


def _check_tokens(plivo: Plivo, attribute: attrs.Attribute[tuple[str, ...]], value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(token, str) and token for token in value):
        raise PatterConfigError(f"{attribute.name} must be a tuple of tokens that are not empty")


def _check_audio(plivo: Plivo, attribute: attrs.Attribute[AudioFormat], value: object) -> None:
    if value not in _FORMATS:
        raise PatterConfigError(
            "Plivo has no media stream in that format", hint="MULAW_8K, LINEAR_8K or LINEAR_16K"
        )


def _check_base_url(plivo: Plivo, attribute: attrs.Attribute[str], value: object) -> None:
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    extra = parts.query or parts.fragment or "@" in parts.netloc
    if not host or parts.scheme not in ("http", "https") or extra:
        # Not shown: it may hold credentials.
        raise PatterConfigError(
            "base_url must be a web address and no more", hint="like https://api.plivo.com"
        )
    if parts.scheme == "http" and host not in THIS_MACHINE:
        raise PatterConfigError("base_url must be https://: the credentials go there")


def _check_above_zero(plivo: Plivo, attribute: attrs.Attribute[float], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise PatterConfigError(f"{attribute.name}={value!r} must be a number above 0")


@attrs.frozen
class Plivo:
    """Plivo as the carrier.

    Args:
        auth_id: the account, or a sub-account; ``PLIVO_AUTH_ID`` where it is not given.
        auth_token: its token, which signs; ``PLIVO_AUTH_TOKEN`` where it is not given.
        more_auth_tokens: other tokens that may sign: the main account's where ``auth_id`` is a sub-account,
            and an old one while it is being replaced.
        accept_v2: whether webhooks may carry the older signature alone. It covers neither what a webhook says
            nor the query of its address; only for an account whose webhooks have no other.
        audio: the format of media streams: ``MULAW_8K``, ``LINEAR_8K`` or ``LINEAR_16K``.
        base_url: where actions on calls are asked for.
        timeout: seconds that an action may take; connecting has at most 5 of them.
        calls_per_second: how many calls may be placed each second; a new account may place two.
        transport: how requests to the REST API travel, in place of the network: through a proxy, or to a
            simulated carrier.

    Raises:
        PatterConfigError: there is no auth id or token, or a setting is not what it should be.
    """

    auth_id: str = attrs.field(default=None, converter=_auth_id)
    auth_token: str = attrs.field(default=None, converter=_auth_token, repr=False)
    more_auth_tokens: tuple[str, ...] = attrs.field(
        default=(), validator=_check_tokens, repr=False, kw_only=True
    )
    accept_v2: bool = attrs.field(default=False, kw_only=True)
    audio: AudioFormat = attrs.field(default=MULAW_8K, validator=_check_audio, kw_only=True)
    base_url: str = attrs.field(default="https://api.plivo.com", validator=_check_base_url, kw_only=True)
    timeout: float = attrs.field(default=10.0, validator=_check_above_zero, kw_only=True)
    calls_per_second: float = attrs.field(default=2.0, validator=_check_above_zero, kw_only=True)

    transport: httpx2.AsyncBaseTransport | None = attrs.field(default=None, repr=False, kw_only=True)

    @property
    def kind(self) -> str:
        """``"plivo"``."""
        return "plivo"

    def verify(self, request: WebhookRequest) -> None:
        """Checks the V3 signature of a webhook or of a media socket's upgrade.

        Raises:
            SignatureError: it is missing or wrong.
        """
        headers = {name.lower(): value for name, value in request.headers.items()}
        given = [headers.get(f"x-plivo-signature-{name}", "") for name in ("v3", "ma-v3")]
        if any(given):
            nonce = headers.get("x-plivo-signature-v3-nonce", "")
            form = request.form if request.method.upper() != "GET" else ()
            is_signed = bool(nonce) and verify_plivo_v3(
                self._tokens, request.method, request.url, nonce, given, form=form, body=request.body
            )
        elif self.accept_v2:
            given = [headers.get(f"x-plivo-signature-{name}", "") for name in ("v2", "ma-v2")]
            nonce = headers.get("x-plivo-signature-v2-nonce", "")
            is_signed = bool(nonce) and verify_plivo_v2(self._tokens, request.url, nonce, given)
        else:
            raise SignatureError("a request without X-Plivo-Signature-V3")
        if not is_signed:
            raise SignatureError("a request whose X-Plivo-Signature is wrong")

    def sign_webhook(self, url: str, form: Sequence[tuple[str, str]] = ()) -> Mapping[str, str]:
        """The headers by which :meth:`verify` takes a ``POST`` of ``form`` to ``url``; see ``doctor``."""
        nonce = token_hex(16)
        signature = sign_plivo_v3(self.auth_token, "POST", url, nonce, form)
        return {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": nonce}

    def read_notice(self, what: str, request: WebhookRequest) -> Notice | None:
        """What a webhook tells. The caller may be ``anonymous`` or a SIP address, not only a number.

        Raises:
            RemoteProtocolError: it does not say what such a webhook must.
        """
        query = dict(_query(request))
        fields: Mapping[str, str] = dict(request.form) if request.method.upper() == "POST" else query
        notice = read_webhook(what, fields, query)
        if what == "stream" and (trouble := read_stream_trouble(fields)):
            _log.warning("call %s: Plivo says of its stream: %s", fields["CallUUID"], trouble)
        return notice

    def open_wire(self) -> PlivoWire:
        """The protocol of one media stream."""
        return PlivoWire()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LiveCarrier]:
        """The carrier with one HTTP client for all calls of a session."""
        async with open_rest_client(
            "Plivo",
            self.base_url,
            timeout=self.timeout,
            basic=(self.auth_id, self.auth_token),
            transport=self.transport,
        ) as rest:
            yield PlivoLive(PlivoRest(self.auth_id, rest), self.audio)

    @property
    def _tokens(self) -> tuple[str, ...]:
        return (self.auth_token, *self.more_auth_tokens)


Carrier = Plivo
"""The same class under the name that each module of :mod:`patter_trio.carriers` has for its own."""


def _query(request: WebhookRequest) -> list[tuple[str, str]]:
    """The parameters of the address: all there are when the number is configured for GET."""
    return parse_qsl(request.url.partition("#")[0].partition("?")[2], keep_blank_values=True)
