"""Telnyx: signed JSON webhooks, commands by REST (Call Control), media streams."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Literal

import attrs
import httpx2

from .._wall import wall_time
from .._wire.signatures_telnyx import fault_in_telnyx, read_telnyx_key
from .._wire.telnyx import CODECS, ByteOrder, TelnyxWire
from .._wire.telnyx_webhooks import read_event, read_webhook
from ..abc import LiveCarrier, WebhookRequest
from ..errors import SignatureError
from ..events import AudioFormat
from ..telephony import Notice
from . import _telnyx_checks as checks
from ._rest import open_rest_client
from ._telnyx_calls import TelnyxRest
from ._telnyx_live import open_live

__all__ = ["Carrier", "Telnyx"]

_log = logging.getLogger("patter_trio.carriers.telnyx")


@attrs.frozen
class Telnyx:
    """Telnyx as the carrier, by Call Control with version 2 of its webhooks.

    Args:
        api_key: the key of the REST API, by which every call is answered; ``TELNYX_API_KEY`` where it is not
            given.
        connection_id: the Call Control application; ``TELNYX_CONNECTION_ID`` where it is not given.
        public_key: the account's public key, which webhooks are verified with; ``TELNYX_PUBLIC_KEY`` where it
            is not given.
        retired_public_keys: keys that may still sign while the account's is being replaced.
        codec: what media streams speak, both ways: ``PCMU``, ``PCMA`` or ``L16``.
        sample_rate: 8000, or for ``L16`` 16000.
        l16_byte_order: the order of bytes in ``L16``, which Telnyx does not document. ``little`` is what
            calls had that were looked at; if the other side is only noise, it is ``big``.
        machine_detection: which detector listens to calls that ask for one.
        voice: who says what the carrier itself says, in Telnyx's words (``AWS.Polly.Joanna-Neural``).
        base_url: where the REST API is, without ``/v2``; ``https://api.telnyx.eu`` for numbers in the EU.
        timeout: seconds that a command may take with all its attempts; connecting has at most 5 of them.
        calls_per_second: how many calls may be placed each second.
        transport: how requests to the REST API travel, in place of the network: through a proxy, or to a
            simulated carrier.

    Raises:
        PatterConfigError: a key or the application is missing, or a setting is not what it should be.
        MissingExtraError: the package ``cryptography`` is not installed.
    """

    api_key: str = attrs.field(default=None, converter=checks.api_key, repr=False)
    connection_id: str = attrs.field(default=None, converter=checks.connection_id)
    public_key: str = attrs.field(default=None, converter=checks.public_key)
    retired_public_keys: tuple[str, ...] = attrs.field(
        default=(), validator=checks.check_retired, kw_only=True
    )
    codec: Literal["PCMU", "PCMA", "L16"] = attrs.field(default="PCMU", kw_only=True)
    sample_rate: int = attrs.field(default=8000, kw_only=True)
    l16_byte_order: ByteOrder = attrs.field(
        default="little", validator=checks.check_choice("little", "big"), kw_only=True
    )
    machine_detection: Literal["premium", "greeting_end", "detect_words", "detect_beep", "detect"] = (
        attrs.field(
            default="premium",
            validator=checks.check_choice("premium", "greeting_end", "detect_words", "detect_beep", "detect"),
            kw_only=True,
        )
    )
    voice: str = attrs.field(default="female", validator=checks.check_text, kw_only=True)
    base_url: str = attrs.field(
        default="https://api.telnyx.com", validator=checks.check_base_url, kw_only=True
    )
    timeout: float = attrs.field(default=10.0, validator=checks.check_positive, kw_only=True)
    calls_per_second: float = attrs.field(default=30.0, validator=checks.check_positive, kw_only=True)
    transport: httpx2.AsyncBaseTransport | None = attrs.field(default=None, repr=False, kw_only=True)
    _clock: Callable[[], float] = attrs.field(default=wall_time, repr=False, kw_only=True)
    _keys: tuple[bytes, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        checks.check_rate(self.codec, self.sample_rate)
        checks.require_cryptography()
        keys = tuple(read_telnyx_key(key) for key in (self.public_key, *self.retired_public_keys))
        object.__setattr__(self, "_keys", keys)

    @property
    def kind(self) -> str:
        """``"telnyx"``."""
        return "telnyx"

    @property
    def audio(self) -> AudioFormat:
        """The format that media streams are asked for in."""
        return AudioFormat(CODECS[self.codec], self.sample_rate)

    def verify(self, request: WebhookRequest) -> None:
        """Checks the signature of a webhook, and that it is not older than 5 minutes.

        The upgrade of a media socket is not signed: the token in its address, which opens one stream of one
        call, is what keeps others out, and the session has checked that.

        Raises:
            SignatureError: it is missing, wrong or old.
        """
        if request.method.upper() == "GET" and request.url.partition(":")[0] in ("ws", "wss"):
            return
        fault = fault_in_telnyx(
            self._keys,
            _header(request.headers, "telnyx-signature-ed25519"),
            _header(request.headers, "telnyx-timestamp"),
            request.body,
            now=self._clock(),
        )
        if fault:
            raise SignatureError(f"a webhook {fault}")

    def read_notice(self, what: str, request: WebhookRequest) -> Notice | None:
        """What a webhook tells, by its ``event_type``; ``what`` does not matter: all may come to one address.

        A call is over as ``completed`` for causes that follow an answer; where no ``CallAnswered`` came
        before, ``normal_clearing`` is the far network that gave up. A transfer counts as answered once the
        two were connected.

        Raises:
            RemoteProtocolError: it is of another version of the API, or does not name its call.
        """
        event = read_event(request.body)
        if event is None:
            return None
        if event.kind == "streaming.failed":
            _log.warning("call %s: the stream failed: %s", event.call_id, event.failure or "no reason given")
        return read_webhook(event, self.kind)

    def open_wire(self) -> TelnyxWire:
        """The protocol of one media stream."""
        return TelnyxWire(self.audio, self.l16_byte_order)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LiveCarrier]:
        """The carrier with one HTTP client for all calls of a session."""
        async with (
            open_rest_client(
                "Telnyx", self.base_url, timeout=self.timeout, bearer=self.api_key, transport=self.transport
            ) as rest,
            open_live(
                TelnyxRest(rest),
                connection_id=self.connection_id,
                audio=self.audio,
                detection=self.machine_detection,
                voice=self.voice,
            ) as live,
        ):
            yield live


Carrier = Telnyx
"""The same class under the name that each module of :mod:`patter_trio.carriers` has for its own."""


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")
