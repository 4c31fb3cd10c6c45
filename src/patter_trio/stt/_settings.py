"""What the settings of every recogniser behind a WebSocket share: a key, an address, patience, a format."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

import attrs

from .._net.http import is_web_address
from .._wire.recognizer import RecognizerWire
from .._wire.sent_sound import SentSound
from ..errors import PatterConfigError
from ..events import AudioFormat, CallInfo, Encoding, HearingItem, Transcript
from ._checks import check_header, optional, seconds, stripped, whole
from ._socket import Patience, connect

__all__ = ["SocketSTT", "found_key", "query"]

Kind = TypeVar("Kind", bound="SocketSTT")


def found_key(settings: Any) -> str:
    """The key that was given, or that of the environment; never shown."""
    found = settings.api_key
    if found is None:
        found = next(filter(None, map(os.environ.get, settings.key_names)), "")
    found = stripped(found)
    check_header("api_key", found)
    if not found and settings.key_required:
        names = " or ".join(settings.key_names)
        raise PatterConfigError(
            f"{type(settings).__name__} has no API key", hint=f"set {names} or pass api_key="
        )
    return str(found)


def query(fields: Mapping[str, Any]) -> str:
    """Fields as the query of an address: None is left out, a tuple is given value by value."""
    pairs: list[tuple[str, str]] = []
    for name, value in fields.items():
        for single in value if isinstance(value, tuple | list) else (value,):
            if single is not None:
                pairs.append((name, str(single).lower() if isinstance(single, bool) else str(single)))
    return urlencode(pairs)


@attrs.frozen(kw_only=True)
class SocketSTT:
    """A recogniser behind a WebSocket; the settings are the provider, and each call has a connection.

    A subclass names its vendor, and says how its connection is asked for.

    Args:
        api_key: the key; left out, it comes from the environment, and is ``key`` either way.
        base_url: the endpoint, ``ws://`` or ``wss://``, without a query.
        encoding: what the recogniser is sent, by the vendor's name; None for what the carrier's stream is, or
            16-bit samples where the vendor does not take that.
        sample_rate: its rate; None for that of the call.
        connect_timeout: seconds for a connection to be ready.
        finalize_timeout: seconds in which the end of speech is answered where there are no words.
        close_timeout: seconds for the last words when a call ends.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = ""
    key_names: ClassVar[tuple[str, ...]] = ()
    key_required: ClassVar[bool] = True
    # The vendor's names of the formats, and ours.
    encodings: ClassVar[Mapping[str, Encoding]] = {}

    api_key: str | None = attrs.field(default=None, repr=False)
    key: str = attrs.field(default=attrs.Factory(found_key, takes_self=True), init=False, repr=False)
    base_url: str = attrs.field(default="")
    encoding: str | None = None
    sample_rate: int | None = attrs.field(default=None, validator=optional(whole(8000)))
    connect_timeout: float = attrs.field(default=5.0, validator=seconds)
    finalize_timeout: float = attrs.field(default=0.3, validator=seconds)
    close_timeout: float = attrs.field(default=1.0, validator=seconds)

    def __attrs_post_init__(self) -> None:
        if not is_web_address(self.base_url, ("ws", "wss")):
            raise PatterConfigError(
                f"base_url={self.base_url!r} is no address of a WebSocket",
                hint="like wss://stt.example.org/v1",
            )
        if self.encoding is not None and self.encoding not in self.encodings:
            raise PatterConfigError(
                f"encoding={self.encoding!r} is not known to {type(self).__name__}",
                hint=f"one of {', '.join(self.encodings)}, or None",
            )

    @classmethod
    def for_twilio(cls: type[Kind], api_key: str | None = None, **settings: Any) -> Kind:
        """Settings for calls of Twilio, whose sound goes on as it comes: µ-law at 8 kHz."""
        mulaw = next((name for name, ours in cls.encodings.items() if ours == "mulaw"), None)
        return cls(api_key=api_key, encoding=mulaw, sample_rate=8000 if mulaw else None, **settings)

    @property
    def name(self) -> str:
        """The provider's name, for metrics and logs."""
        return self.provider_name

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        """Recognises one call, in µ-law, A-law or linear16 of any rate.

        Raises:
            AuthenticationError: the key was refused.
            RateLimitError: there are too many connections or requests.
            PatterConfigError: the settings were refused.
            PatterConnectionError: the recogniser cannot be reached, or went away.
            RecognizerError: it failed.
            RemoteProtocolError: it said what its protocol does not allow.
        """
        return self._transcribe(hearing, audio, call)

    @asynccontextmanager
    async def _transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AsyncIterator[AsyncIterable[Transcript]]:
        encoding, target = self._sent_format(audio)
        wire = self.make_wire(encoding, target, call)
        sound = SentSound(audio, target, wire.smallest, wire.largest)
        patience = Patience(self.connect_timeout, self.finalize_timeout, self.close_timeout)
        fields = query(self.query_fields(encoding, target, call))
        url = f"{self.base_url}?{fields}" if fields else self.base_url
        headers = self.request_headers()
        async with connect(url, headers, self.key, wire, sound, patience, hearing) as transcripts:
            yield transcripts

    def _sent_format(self, audio: AudioFormat) -> tuple[str, AudioFormat]:
        """What the recogniser is sent, with the vendor's name of it."""
        encoding = self.encoding
        if encoding is None:
            names = {ours: name for name, ours in reversed(list(self.encodings.items()))}
            encoding = names.get(audio.encoding) or names["linear16"]
        return encoding, AudioFormat(self.encodings[encoding], self.sample_rate or audio.sample_rate)

    def make_wire(self, encoding: str, audio: AudioFormat, call: CallInfo) -> RecognizerWire:
        """The protocol of a new connection; ``encoding`` is the vendor's name of what is sent on it."""
        raise NotImplementedError

    def query_fields(self, encoding: str, audio: AudioFormat, call: CallInfo) -> Mapping[str, Any]:
        """What stands in the query of the address."""
        return {}

    def request_headers(self) -> Mapping[str, str]:
        """The headers of the upgrade, the key among them."""
        return {"Authorization": f"Bearer {self.key}"}
